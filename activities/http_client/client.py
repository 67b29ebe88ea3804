"""The one way to call somebody's server: guarded, and bounded in time, length and redirects.

A name is looked up once; every address that it has is checked, and the connection is made to the one that was checked.
Where calls may go is a `Policy`, a value: webhooks go to public addresses, actions to hosts that an operator listed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from urllib.parse import SplitResult, urlsplit

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from activities.http_client.addresses import is_metadata_host, kind_of_address
from placet.errors import InputInvalid, PlacetError, Problem

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 8000


class AddressRefused(InputInvalid):
    """Nothing may be sent to that address."""


class NotAnswered(PlacetError):
    """The server gave no answer that can be used.

    The message holds no secret and nothing of the answer; `cause` is what the library says, for a log or an operator.
    `permanent`: the same call would come to the same again.
    """

    def __init__(self, message: str, *, cause: str = "", permanent: bool = False) -> None:
        super().__init__(message)
        self.cause = cause
        self.permanent = permanent


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """Where calls may go and how much of an answer they take. What a refusal names is the setting that allows more.

    Addresses that are nobody's server, or where clouds hand out credentials, are refused by every policy; public ones
    are called by `https` only.
    """

    sender: str
    """Who calls, as refusals say it: `Webhooks`, `Actions`."""
    private: bool
    """Whether hosts may have private addresses; `private_setting` says so."""
    private_setting: str
    loopback: bool
    """Whether they may be this machine; `loopback_setting` says so."""
    loopback_setting: str
    hosts: tuple[str, ...] | None = None
    """The only hosts that may be called, as `allowed` reads them; None: any."""
    hosts_setting: str = ""
    longest: int | None = None
    """The longest answer that is read, in bytes; None: it is left unread, whatever it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTarget:
    """Where to connect to: the address that was checked, and the name that certificate and Host are about."""

    scheme: str
    host: str
    address: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """Write the URL with the address in place of the name, so that no second look-up can lead elsewhere."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{address}:{self.port}{self.path}"

    @property
    def authority(self) -> str:
        """Write what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What a server answered; `body` is whole, or empty where the policy leaves it unread."""

    status: int
    content_type: str
    body: bytes


async def fetch(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes, seconds: float, policy: CallPolicy
) -> HttpResponse:
    """Send one request and return its answer, a redirect too: none is followed.

    Raises AddressRefused where it may not go there, and NotAnswered.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _send(method, await locate(url, policy), headers, content, policy.longest)
    except TimeoutError as error:
        raise NotAnswered(f"no answer within {seconds:g} s") from error
    except (httpx.HTTPError, OSError) as error:
        raise NotAnswered(f"the server cannot be reached: {type(error).__name__}", cause=str(error)) from error
    except (httpx.InvalidURL, ValueError) as error:  # a header or path that no request can carry
        raise NotAnswered(f"this cannot be sent: {type(error).__name__}", cause=str(error), permanent=True) from error


async def locate(url: str, policy: CallPolicy) -> ConnectionTarget:
    """Look a host up and return where to connect to.

    Raises AddressRefused that says what to write instead, and NotAnswered where the host has no address now.
    """
    parts = _parts(url, policy)
    host, port = (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]
    if policy.hosts is not None and not allowed(host, port, parts.scheme, policy.hosts):
        raise _refused(
            policy, f"{host} is not on the list of hosts that may be called; add it to {policy.hosts_setting}"
        )
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotAnswered(f"{host} has no address now: {getattr(error, 'strerror', None) or error}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    # One forbidden address is enough: a name that points both ways is a trap.
    for address in addresses:
        _check(address, parts.scheme, policy)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ConnectionTarget(scheme=parts.scheme, host=host, address=addresses[0], port=port, path=path)


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


def signed(secret: str, message_id: str, content: str, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks; raises ValueError where the secret is not whsec_ and base64."""
    try:
        signature = Webhook(secret).sign(message_id, now, content)
    except (ValueError, EmptyWebhookSecretError) as error:
        raise ValueError("the secret is not whsec_ and base64") from error
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def _parts(url: str, policy: CallPolicy) -> SplitResult:
    """Return the parts of an URL that could be called; raises AddressRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(policy, "it is no URL; write https://HOST/PATH") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or len(url) > _LONGEST_URL:
        raise _refused(policy, "it is no URL of a server; write https://HOST/PATH")
    if is_metadata_host(parts.hostname):
        raise _refused(policy, "that host hands out credentials")
    if parts.username or parts.password:
        raise _refused(policy, "leave name and password out of the address; a secret belongs into a header")
    if parts.fragment:
        raise _refused(policy, "leave the fragment out; it is never sent")
    return parts


def _check(address: str, scheme: str, policy: CallPolicy) -> None:
    place = kind_of_address(address)
    if place == "forbidden":
        raise _refused(policy, "nobody's server has such an address")
    if place == "loopback" and not policy.loopback:
        raise _refused(policy, f"it is this machine; {policy.loopback_setting} would allow it")
    if place == "private" and not policy.private:
        raise _refused(policy, f"it has a private address; {policy.private_setting} would allow it")
    if place == "public" and scheme != "https":
        raise _refused(policy, "write https://; what is sent would be readable on its way")


def _refused(policy: CallPolicy, why: str) -> AddressRefused:
    message = f"{policy.sender} may not be sent there: {why}."
    return AddressRefused(message, problems=(Problem(pointer="/url", message=why),))


async def _send(
    method: str, target: ConnectionTarget, headers: Mapping[str, str], content: bytes, longest: int | None
) -> HttpResponse:
    # Compressed answers are not asked for, and not unpacked: a kilobyte can hold a gigabyte.
    sent = {**headers, "Host": target.authority, "Accept-Encoding": "identity"}
    # A connection for each call: one that is kept is known by its address only, whatever name its certificate has.
    # The environment's proxies would look names up anew. `fetch` bounds the whole in time.
    async with (
        httpx.AsyncClient(verify=_certificates(), trust_env=False, follow_redirects=False, timeout=None) as client,  # noqa: S113
        client.stream(
            method, target.url, content=content, headers=sent, extensions={"sni_hostname": target.host}
        ) as response,
    ):
        body = b"" if longest is None else await _body(response, longest)
        return HttpResponse(
            status=response.status_code, content_type=response.headers.get("content-type", ""), body=body
        )


async def _body(response: httpx.Response, longest: int) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > longest:
            raise NotAnswered(f"the answer is longer than {longest} bytes", permanent=True)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NotAnswered("the answer is compressed, which was not asked for", permanent=True)
    return body


@cache
def _certificates() -> ssl.SSLContext:
    """Return the authorities that are trusted; reading them takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)
