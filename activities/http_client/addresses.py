"""The kind of an IP address: public, private, loopback or forbidden, in every form in which it can be written.

An IPv6 address can carry an IPv4 address, to which a translator on the way sends the packets. The carried address
counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

AddressKind = Literal["public", "private", "loopback", "forbidden"]

# From the most to the least open. Where an address may lead to several kinds, the least open one counts.
_ORDER: tuple[AddressKind, ...] = ("public", "private", "loopback", "forbidden")

# Metadata services of clouds, which give credentials to every caller. Most are link-local; these are not.
_METADATA = {
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    )
}
_METADATA_NAMES = {
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
}

_THIS_HOST = IPv4Network("0.0.0.0/8")
_COMPATIBLE = IPv6Network("::/96")  # deprecated (RFC 4291)
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215: whoever runs the network chooses the length of the prefix
_ISATAP = {0x00005EFE, 0x02005EFE}  # RFC 5214


def is_metadata_host(host: str) -> bool:
    """Tell whether a host name is that of a cloud's metadata service, which gives out credentials."""
    return host.lower().rstrip(".") in _METADATA_NAMES


def kind_of_address(text: str) -> AddressKind:
    """Return the kind of an IP address; raises ValueError for a text that is none.

    `forbidden` are addresses of no server and those of metadata services. No setting allows them.
    """
    address = ip_address(text.partition("%")[0])
    places = list(_kinds(address))
    return max(places, key=_ORDER.index)


def _kinds(address: IPv4Address | IPv6Address) -> Iterator[AddressKind]:
    if isinstance(address, IPv4Address):
        yield _own_kind(address)
        return
    whole = int(address)
    if address.ipv4_mapped is not None:
        yield _own_kind(address.ipv4_mapped)
    elif address.sixtofour is not None:
        yield _own_kind(address.sixtofour)
    elif address in _NAT64:
        yield _own_kind(_low_bits(whole))
    elif address in _NAT64_LOCAL:
        yield "private"
        yield _own_kind(_low_bits(whole))
        for length in (48, 56, 64):
            yield _own_kind(_behind_prefix(whole, length))
    elif address.teredo is not None:
        yield "private"
        for one in address.teredo:
            yield _own_kind(one)
    else:
        yield _own_kind(address)
        if (address in _COMPATIBLE and whole > 1) or address in _TRANSLATED or (whole >> 32) & 0xFFFFFFFF in _ISATAP:
            yield _own_kind(_low_bits(whole))


def _low_bits(whole: int) -> IPv4Address:
    return IPv4Address(whole & 0xFFFFFFFF)


def _behind_prefix(whole: int, length: int) -> IPv4Address:
    """Return the IPv4 address behind a prefix of this length; bits 64 to 71 are left out of it (RFC 6052)."""
    bits = f"{whole:0128b}"
    return IPv4Address(int((bits[length:64] + bits[72:])[:32], 2))


def _own_kind(address: IPv4Address | IPv6Address) -> AddressKind:
    """Return the kind of an address, whatever it may carry."""
    if address.is_loopback:
        return "loopback"
    nobody = address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    if nobody or address in _METADATA or (isinstance(address, IPv4Address) and address in _THIS_HOST):
        return "forbidden"
    site = isinstance(address, IPv6Address) and address.is_site_local
    return "public" if address.is_global and not site else "private"
