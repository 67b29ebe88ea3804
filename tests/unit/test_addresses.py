"""The guard of addresses: where an address leads, in every form that carries another one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.http_client.addresses import is_metadata_host, kind_of_address

METADATA = "169.254.169.254"


def around(address: str, prefix: str, length: int) -> str:
    """Put an IPv4 address behind a prefix as RFC 6052 does, with bits 64 to 71 left out."""
    bits, inner = f"{int(IPv6Address(prefix)):0128b}"[:length], f"{int(IPv4Address(address)):032b}"
    before = inner[: 64 - length]
    whole = bits + before + "0" * 8 + inner[64 - length :]
    return str(IPv6Address(int(whole.ljust(128, "0"), 2)))


def teredo(client: str) -> str:
    return str(
        IPv6Address((0x20010000 << 96) | (int(IPv4Address("8.8.8.8")) << 64) | (~int(IPv4Address(client)) & 0xFFFFFFFF))
    )


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "private"),  # shared by a carrier's customers
        ("fd12::1", "private"),
        ("fec0::1", "private"),  # site-local, as it once was
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        (METADATA, "forbidden"),
        ("fe80::1%eth0", "forbidden"),
        ("0.0.0.0", "forbidden"),
        ("0.1.2.3", "forbidden"),
        ("255.255.255.255", "forbidden"),
        ("224.0.0.1", "forbidden"),
        ("::", "forbidden"),
        ("100.100.100.200", "forbidden"),
        ("168.63.129.16", "forbidden"),
        ("192.0.0.192", "forbidden"),
        ("fd00:ec2::254", "forbidden"),
        ("::ffff:127.0.0.1", "loopback"),  # mapped
        (f"::ffff:{METADATA}", "forbidden"),
        ("::ffff:8.8.8.8", "public"),
        ("::127.0.0.1", "forbidden"),  # compatible, which nothing uses any more
        ("::8.8.8.8", "forbidden"),
        ("::ffff:0:127.0.0.1", "forbidden"),  # translated
        ("2002:7f00:1::", "loopback"),  # 6to4
        ("2002:a00:1::", "private"),
        ("2002:a9fe:a9fe::", "forbidden"),
        ("2002:808:808::", "public"),
        ("64:ff9b::127.0.0.1", "loopback"),  # NAT64
        ("64:ff9b::10.0.0.1", "private"),
        (f"64:ff9b::{METADATA}", "forbidden"),
        ("64:ff9b::8.8.8.8", "public"),  # what a network without IPv4 makes of every name
        (f"64:ff9b:1::{METADATA}", "forbidden"),  # a network's own NAT64
        (around(METADATA, "64:ff9b:1::", 48), "forbidden"),
        (around(METADATA, "64:ff9b:1:200::", 56), "forbidden"),
        (around(METADATA, "64:ff9b:1:203::", 64), "forbidden"),
        (teredo("8.8.8.8"), "private"),
        (teredo("127.0.0.1"), "loopback"),
        (teredo(METADATA), "forbidden"),
        ("2606:4700::5efe:7f00:1", "loopback"),  # ISATAP
        (f"2606:4700::200:5efe:{METADATA}", "forbidden"),
    ],
)
def test_what_counts_is_where_an_address_leads(address: str, place: str) -> None:
    assert kind_of_address(address) == place


@given(st.ip_addresses())
def test_every_address_has_a_place(address: IPv4Address | IPv6Address) -> None:
    assert kind_of_address(str(address)) in {"public", "private", "loopback", "forbidden"}


@given(st.ip_addresses(v=4))
def test_an_address_is_no_more_open_in_any_form_than_by_itself(address: IPv4Address) -> None:
    order = ["public", "private", "loopback", "forbidden"]
    forms = [f"::ffff:{address}", f"64:ff9b::{address}", f"64:ff9b:1::{address}", f"::{address}", teredo(str(address))]
    forms += [around(str(address), "64:ff9b:1::", length) for length in (48, 56, 64)]
    for form in forms:
        assert order.index(kind_of_address(form)) >= order.index(kind_of_address(str(address))), form


@pytest.mark.parametrize("host", ["metadata.google.internal", "Metadata.Google.Internal.", "instance-data"])
def test_hosts_that_hand_out_credentials_are_known_by_name(host: str) -> None:
    assert is_metadata_host(host)
    assert not is_metadata_host(f"{host}.example.com")
