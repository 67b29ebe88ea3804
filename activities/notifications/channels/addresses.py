"""Where webhooks may go: to public addresses, unless an operator allows more; names are looked up once and pinned."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from activities.guard import is_metadata_host, place_of
from activities.notifications.settings import NotifySettings
from placet.errors import InputInvalid, Problem

_PORTS = {"http": 80, "https": 443}


class AddressRefused(InputInvalid):
    """Webhooks may not be sent to that address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
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


def check_url(url: str) -> SplitResult:
    """Return the parts of an URL that webhooks could have; raises AddressRefused that says what to write instead."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("it is not an URL") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise _refused("write https://HOST/PATH")
    if is_metadata_host(parts.hostname):
        raise _refused("that host hands out credentials")
    if parts.username or parts.password:
        raise _refused("leave name and password out; the signature says who sends")
    if parts.fragment:
        raise _refused("leave the fragment out; it is never sent")
    return parts


async def locate(url: str, settings: NotifySettings) -> Target:
    """Look an endpoint up and return where to connect to; raises AddressRefused, or OSError where it has no address."""
    parts = check_url(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    # One forbidden address is enough: a name that points both ways is a trap.
    for address in addresses:
        _check_address(address, parts.scheme, settings)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, address=addresses[0], port=port, path=path)


def _check_address(text: str, scheme: str, settings: NotifySettings) -> None:
    place = place_of(text)
    if place == "loopback":
        if not settings.webhook_allow_loopback:
            raise _refused("it is this machine; PLACET_WEBHOOK_ALLOW_LOOPBACK would allow it")
        return
    if place == "forbidden":
        raise _refused("nobody's server has such an address")
    if place == "private":
        if not settings.webhook_allow_private:
            raise _refused("it is a private address; PLACET_WEBHOOK_ALLOW_PRIVATE would allow it")
        return
    if scheme != "https":
        raise _refused("write https://; what is sent would be readable on its way")


def _refused(why: str) -> AddressRefused:
    return AddressRefused(f"Webhooks may not be sent there: {why}.", problems=(Problem(pointer="/url", message=why),))
