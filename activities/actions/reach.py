"""Where actions may go: to hosts that an operator listed, at addresses that are looked up once and kept to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from activities.actions.executor import ActionFailed
from activities.actions.settings import ActionSettings
from activities.guard import is_metadata_host, place_of
from activities.notifications.channels.addresses import Target

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered, whole."""

    status: int
    content_type: str
    body: bytes


async def locate(url: str, settings: ActionSettings) -> Target:
    """Look a host up and return where to connect to; raises ActionFailed that says what to do."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise ActionFailed("the address is no URL; write https://HOST/PATH", permanent=True) from error
    host = (parts.hostname or "").lower()
    if parts.scheme not in _PORTS or not host or not port or len(url) > _LONGEST_URL:
        raise ActionFailed("the address is no URL of a server; write https://HOST/PATH", permanent=True)
    if parts.username or parts.password:
        raise ActionFailed("leave name and password out of the address; put a secret into a header", permanent=True)
    if is_metadata_host(host):
        raise ActionFailed(f"{host} hands out credentials; actions never call it", permanent=True)
    if not allowed(host, port, parts.scheme, settings.action_hosts):
        raise ActionFailed(f"{host} is not a host that actions may call; add it to PLACET_ACTION_HOSTS", permanent=True)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ActionFailed(f"{host} has no address now: {error}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    # One forbidden address is enough: a name that points both ways is a trap.
    for address in addresses:
        _check(address, host, parts.scheme, settings)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, address=addresses[0], port=port, path=path)


def allowed(host: str, port: int, scheme: str, listed: tuple[str, ...]) -> bool:
    """Say whether a host is on the list: an entry without a port means the scheme's own."""
    for entry in listed:
        name, _, given = entry.rpartition(":") if entry.rsplit(":", 1)[-1].isdigit() else (entry, "", "")
        name = name.strip("[]")
        if (int(given) if given else _PORTS[scheme]) != port:
            continue
        if host == name or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _check(text: str, host: str, scheme: str, settings: ActionSettings) -> None:
    place = place_of(text)
    if place == "forbidden":
        raise ActionFailed(f"{host} has an address that is nobody's server", permanent=True)
    if place != "public":
        if not settings.action_private:
            raise ActionFailed(f"{host} has a private address; PLACET_ACTION_PRIVATE=1 would allow it", permanent=True)
    elif scheme != "https":
        raise ActionFailed(f"write https:// for {host}; what is sent would be readable on its way", permanent=True)


@asynccontextmanager
async def plain_client() -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that takes nothing from the environment, follows nothing and keeps nothing."""
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, cookies=None, timeout=None) as client:  # noqa: S113 - `fetch` bounds the whole
        yield client


async def fetch(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes, seconds: float, settings: ActionSettings
) -> Answer:
    """Send one request and read its answer, bounded in time and length; raises ActionFailed."""
    try:
        async with asyncio.timeout(seconds):
            target = await locate(url, settings)
            return await _send(method, target, headers, content, settings.action_max_bytes)
    except TimeoutError as error:
        raise ActionFailed(f"no answer within {seconds:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ActionFailed(f"the server cannot be reached: {type(error).__name__}") from error
    except (ValueError, UnicodeError) as error:  # a header or path that no request can carry
        raise ActionFailed(f"this cannot be sent: {type(error).__name__}", permanent=True) from error


async def _send(method: str, target: Target, headers: Mapping[str, str], content: bytes, most: int) -> Answer:
    # Compressed answers are not asked for, and not unpacked: a kilobyte can hold a gigabyte.
    sent = {**headers, "Host": target.authority, "Accept-Encoding": "identity"}
    async with (
        plain_client() as client,
        client.stream(
            method, target.url, content=content, headers=sent, extensions={"sni_hostname": target.host}
        ) as response,
    ):
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > most:
                raise ActionFailed(f"the answer is longer than {most} bytes", permanent=True)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ActionFailed("the answer is compressed, which was not asked for", permanent=True)
        return Answer(status=response.status_code, content_type=response.headers.get("content-type", ""), body=body)
