"""Call another party's server, within bounds of time and length and without following redirects.

A host name is looked up once. Every address that it has is checked, and the connection goes to a checked address. A
`CallPolicy` says where calls may go: webhooks to public addresses, actions to the hosts that an operator lists.
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
    """The policy does not allow a call of that address."""


class NotAnswered(PlacetError):
    """The server gave no usable answer.

    The message holds no secret and nothing of the answer; `cause` is the library's message, for logs and operators.
    `permanent`: a retry would end in the same way.
    """

    def __init__(self, message: str, *, cause: str = "", permanent: bool = False) -> None:
        super().__init__(message)
        self.cause = cause
        self.permanent = permanent


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """Where calls may go and how long an answer may be. The `…_setting` fields are named in refusals.

    Every policy refuses addresses of no server and of metadata services, and public ones without `https`; but `plain`.
    """

    sender: str
    """Who calls, for refusals: `Webhooks` or `Actions`."""
    private: bool
    """Whether hosts may have private addresses; `private_setting` is the setting for that."""
    private_setting: str
    loopback: bool
    """Whether hosts may be this machine; `loopback_setting` is the setting for that."""
    loopback_setting: str
    hosts: tuple[str, ...] | None = None
    """The only hosts that may be called, as `allowed` reads them; None: any."""
    hosts_setting: str = ""
    plain: bool = False
    """Whether public addresses may be called without encryption: answers are signed, and the call is no secret."""
    longest: int | None = None
    """The longest answer that is read, in bytes; None: answers are not read at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTarget:
    """Where to connect to: the checked address, and the host name for certificate and Host header."""

    scheme: str
    host: str
    address: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The URL with the address in place of the host name, so that no second look-up can return another address."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{address}:{self.port}{self.path}"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """The answer of a server. `body` is complete, or empty where the policy does not read it."""

    status: int
    content_type: str
    body: bytes


async def fetch(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes, seconds: float, policy: CallPolicy
) -> HttpResponse:
    """Send one request and return its answer. A redirect is returned and not followed.

    Raises AddressRefused where the policy does not allow the call, and NotAnswered.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _send(method, await locate(url, policy), headers, content, policy.longest)
    except TimeoutError as error:
        raise NotAnswered(f"the server did not answer within {seconds:g} s") from error
    except (httpx.HTTPError, OSError) as error:
        raise NotAnswered(f"the server cannot be reached: {type(error).__name__}", cause=str(error)) from error
    except (httpx.InvalidURL, ValueError) as error:  # a header or path that no request can carry
        raise NotAnswered(
            f"the request cannot be sent: {type(error).__name__}", cause=str(error), permanent=True
        ) from error


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
    # One forbidden address is enough: a name with allowed and forbidden addresses is an attack.
    for address in addresses:
        _check(address, parts.scheme, policy)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ConnectionTarget(scheme=parts.scheme, host=host, address=addresses[0], port=port, path=path)


def allowed(host: str, port: int, scheme: str, listed: tuple[str, ...]) -> bool:
    """Tell whether a host is on the list. An entry without a port stands for the scheme's default port."""
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
        raise _refused(policy, "the address is not a URL; write https://HOST/PATH") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or len(url) > _LONGEST_URL:
        raise _refused(policy, "the address is not the URL of a server; write https://HOST/PATH")
    if is_metadata_host(parts.hostname):
        raise _refused(policy, "that host is a metadata service, which gives out credentials")
    if parts.username or parts.password:
        raise _refused(policy, "the address holds a name or password; remove them and use a header")
    if parts.fragment:
        raise _refused(policy, "the address has a fragment, which is never sent; remove it")
    return parts


def _check(address: str, scheme: str, policy: CallPolicy) -> None:
    place = kind_of_address(address)
    if place == "forbidden":
        raise _refused(policy, "no server may have such an address")
    if place == "loopback" and not policy.loopback:
        raise _refused(policy, f"the address is this machine; {policy.loopback_setting} allows it")
    if place == "private" and not policy.private:
        raise _refused(policy, f"the host has a private address; {policy.private_setting} allows it")
    if place == "public" and scheme != "https" and not policy.plain:
        raise _refused(policy, "http:// is not encrypted; write https://")


def _refused(policy: CallPolicy, why: str) -> AddressRefused:
    message = f"{policy.sender} may not be sent there: {why}."
    return AddressRefused(message, problems=(Problem(pointer="/url", message=why),))


async def _send(
    method: str, target: ConnectionTarget, headers: Mapping[str, str], content: bytes, longest: int | None
) -> HttpResponse:
    # Compressed answers are neither requested nor unpacked: a kilobyte can hold a gigabyte.
    sent = {**headers, "Host": target.authority, "Accept-Encoding": "identity"}
    # Each call has its own connection: a kept one is found by address only, whatever host name its certificate has.
    # Proxies of the environment would look the name up again. `fetch` bounds the time.
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
        raise NotAnswered("the server compressed its answer, which was not requested", permanent=True)
    return body


@cache
def _certificates() -> ssl.SSLContext:
    """Return the trusted certificate authorities. Reading them takes longer than a call, so it happens once."""
    return httpx.create_ssl_context(trust_env=False)
