"""The guard of the HTTP client: no form of an address that carries another one leads past it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from activities.actions.settings import ActionSettings
from activities.http_client.client import AddressRefused, CallPolicy, ConnectionTarget, locate
from activities.notifications.settings import NotifySettings
from tests.unit.test_addresses import around, teredo

CLOSED = NotifySettings().webhook_policy
OPEN = NotifySettings(webhook_allow_private=True, webhook_allow_loopback=True).webhook_policy
# Not for everybody: whether of a site, of this machine, or of nobody.
INNER = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/29",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192")

inner = st.one_of([st.ip_addresses(v=4, network=IPv4Network(network)) for network in INNER]).map(str)


def mapped(address: str) -> str:
    return f"::ffff:{address}"


def nat64(address: str) -> str:
    return f"64:ff9b::{address}"


def six_to_four(address: str) -> str:
    whole = int(IPv4Address(address))
    return f"2002:{whole >> 16:x}:{whole & 0xFFFF:x}::1"


def isatap(address: str) -> str:
    return f"2606:4700::5efe:{address}"


def forms(address: str) -> tuple[str, ...]:
    """Return an address by itself and in each form that carries it."""
    own_nat64 = [around(address, "64:ff9b:1::", length) for length in (48, 56, 64)]
    carriers = (mapped, nat64, six_to_four, isatap, teredo)
    compatible, translated = f"::{address}", f"::ffff:0:{address}"
    return (address, *(c(address) for c in carriers), *own_nat64, f"64:ff9b:1::{address}", compatible, translated)


def looked_up(addresses: Iterable[str], policy: CallPolicy) -> dict[str, ConnectionTarget | None]:
    """Look each address up as a host of an URL; None for one that is refused."""

    async def one(address: str) -> ConnectionTarget | None:
        host = f"[{address}]" if ":" in address else address
        try:
            return await locate(f"https://{host}/hook", policy)
        except AddressRefused:
            return None

    async def every() -> dict[str, ConnectionTarget | None]:
        return {address: await one(address) for address in addresses}

    return asyncio.run(every())


@settings(max_examples=60)
@given(inner)
@example("10.0.0.1")
@example("127.0.0.1")
def test_nothing_that_is_not_public_is_reached_in_any_form(address: str) -> None:
    assert {form for form, target in looked_up(forms(address), CLOSED).items() if target is not None} == set()


@pytest.mark.parametrize("address", METADATA)
def test_no_setting_and_no_list_opens_what_hands_out_credentials(address: str) -> None:
    assert set(looked_up(forms(address), OPEN).values()) == {None}
    for form in forms(address):
        host = f"[{form}]" if ":" in form else form
        listed = ActionSettings(action_hosts=(host,), action_private=True).policy
        assert looked_up([form], listed) == {form: None}


@settings(max_examples=60)
@given(st.ip_addresses(v=4).filter(lambda address: address.is_global and not address.is_multicast))
@example(IPv4Address("8.8.8.8"))
def test_what_is_public_is_reached_at_the_address_that_was_checked(public: IPv4Address) -> None:
    address = str(public)
    if address in METADATA:
        return
    open_forms = (address, mapped(address), nat64(address), six_to_four(address))
    found = looked_up(open_forms, CLOSED)
    assert None not in found.values()
    target = found[address]
    assert target is not None
    assert (target.url, target.authority) == (f"https://{address}:443/hook", address)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost"])
def test_a_host_is_judged_by_where_its_name_leads(host: str) -> None:
    assert looked_up([host], CLOSED) == {host: None}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://8.8.8.8/",
        "https://",
        "https://8.8.8.8:0/",
        "https://8.8.8.8:99999/",
        "https://[8.8.8.8/",
        "https://name:word@8.8.8.8/",
        "https://8.8.8.8/#part",
        "https://metadata.google.internal/",
        "https://8.8.8.8/" + "x" * 8000,
        "http://8.8.8.8/",  # readable on its way
    ],
)
async def test_what_is_no_address_of_a_server_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(AddressRefused):
        await locate(url, OPEN)


async def test_a_refusal_names_who_is_refused_and_the_setting() -> None:
    with pytest.raises(AddressRefused, match=r"Webhooks may not be sent there: .*PLACET_WEBHOOK_ALLOW_PRIVATE"):
        await locate("https://10.0.0.1/", CLOSED)
    with pytest.raises(AddressRefused, match=r"Webhooks may not be sent there: .*PLACET_WEBHOOK_ALLOW_LOOPBACK"):
        await locate("https://127.0.0.1/", CLOSED)
    with pytest.raises(AddressRefused, match=r"Actions may not be sent there: 10\.0\.0\.1 .*PLACET_ACTION_HOSTS"):
        await locate("https://10.0.0.1/", ActionSettings(action_hosts=()).policy)
    with pytest.raises(AddressRefused, match=r"Actions may not be sent there: .*PLACET_ACTION_PRIVATE=1"):
        await locate("https://10.0.0.1/", ActionSettings(action_hosts=("10.0.0.1",)).policy)
