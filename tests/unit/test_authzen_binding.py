"""The binding hash of AuthZEN's profile: the digests that its vectors publish, computed in two ways."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from placet.errors import InputInvalid
from placet.json_text import read_json
from service.authzen.binding import binding_hash, bulk_binding_hash, relevant_members


def who(kind: str, name: str, **properties: Any) -> dict[str, Any]:
    return {"id": name, "type": kind} | ({"properties": properties} if properties else {})


USER_BOB, ACCOUNT = who("user", "bob@example.com"), who("account", "A-123")
AT = "2026-07-13T10:00:00Z"
# The parts of each vector by its name, and the digest that the profile's repository publishes for it.
SINGLE: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "single-basic": (
        {
            "subject": who("user", "alice@example.com", act={"sub": "delegating-client"}, department="engineering"),
            "resource": who("document", "quarterly-plan", classification="internal"),
            "action": {"name": "read"},
            "context": {"evaluation_id": "eval-123", "time": AT, "tenant": "acme"},
        },
        ["tenant"],
        "l0ugE2lupDlzVCE-RxH7_vnpivDDkZ585VWMB0HJN_c",
    ),
    "single-empty-context": (
        {
            "subject": who("service", "reporting-agent"),
            "resource": who("report", "sales-2026"),
            "action": {"name": "generate"},
            "context": {"reason": "quarterly reporting", "time": AT},
        },
        [],
        "wFFGDqeZl3iEDz9S6wvFqVwJgBgwHHCe_qas6OxYjtU",
    ),
    "single-context-member-absent": (
        {"subject": USER_BOB, "resource": ACCOUNT, "action": {"name": "transfer"}, "context": {"tenant": "acme"}},
        ["risk"],
        "lf0v2KKyh8NBEn11WRxqKqEscpKysEicAJ8D2RWelzU",
    ),
    "single-context-member-null": (
        {
            "subject": USER_BOB,
            "resource": ACCOUNT,
            "action": {"name": "transfer"},
            "context": {"risk": None, "tenant": "acme"},
        },
        ["risk"],
        "ZhIBgx_FoUtpREC6-YQd5mq96D5b_26VZqobNE-BDPY",
    ),
    "single-number-canonicalization": (
        {
            "subject": who("user", "carol@example.com"),
            "resource": who("model", "forecast-v2"),
            "action": {"name": "invoke"},
            "context": {
                "metrics": read_json(
                    b'{"trailing_zero": 4.50, "rounded": 333333333.33333329, "negative_zero": -0, '
                    b'"small": 2e-3, "large": 1E30}'
                )
            },
        },
        ["metrics"],
        "LjTcv3mUVNvDmimDGK4z6HbDi0h71JBVzNV50QY0r_c",
    ),
    "single-array-order": (
        {
            "subject": who("user", "dana@example.com"),
            "resource": who("deployment", "prod-eu"),
            "action": {"name": "promote"},
            "context": {"approval_chain": ["security", None, "operations"]},
        },
        ["approval_chain"],
        "_6B-qB6P-mydIxD8KB6VpJ-B-clDcC8eGLtkPDCw1ys",
    ),
}
ITEMS = [
    {"resource": who("service", "api"), "action": {"name": "deploy", "properties": {"version": "2.1.0"}}},
    {"resource": who("database", "primary"), "action": {"name": "migrate", "properties": {"revision": 42}}},
]
BULK = {
    "subject": who("service", "deployment-agent", environment="production", act={"sub": "release-manager"}),
    "items": ITEMS,
    "context": {"time": AT, "tenant": "acme", "region": "eu-west-1"},
}
BULK_HASH = "mtqgljH0HQqidY8vzpi6EqMjIbDxN8PflXqEIEOJWYI"


def canonical(value: Any) -> str:
    """Write JSON as RFC 8785 does, as far as these values need it, without the library that Placet uses."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return '"' + "".join({'"': '\\"', "\\": "\\\\", "\n": "\\n"}.get(sign, sign) for sign in value) + '"'
    if isinstance(value, int | float | Decimal):
        return number(float(value))
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    return "[" + ",".join(canonical(one) for one in value) + "]"


def number(value: float) -> str:
    """Write a number as ECMAScript does: Python's shortest digits, and an exponent only beyond 1e21 or below 1e-6."""
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


def independently(parts: Mapping[str, Any], members: Sequence[str]) -> str:
    """Compute a binding hash by the words of the profile alone."""
    subject = {name: value for name, value in parts["subject"].items() if name != "properties"}
    if "properties" in parts["subject"]:
        kept = {name: value for name, value in parts["subject"]["properties"].items() if name != "act"}
        subject["properties"] = kept
    context = {name: value for name, value in parts["context"].items() if name in members}
    what = ("items",) if "items" in parts else ("resource", "action")
    document = {"subject": subject, "context": context, **{name: parts[name] for name in what}}
    return urlsafe_b64encode(hashlib.sha256(canonical(document).encode()).digest()).decode().rstrip("=")


@pytest.mark.parametrize("name", SINGLE)
def test_the_hash_is_the_published_one_and_the_same_by_another_computation(name: str) -> None:
    parts, members, published = SINGLE[name]
    assert binding_hash(**parts, members=members) == independently(parts, members) == published


def test_the_hash_of_several_items_is_the_published_one_and_keeps_their_order() -> None:
    members = ["tenant", "region"]
    assert bulk_binding_hash(**BULK, members=members) == independently(BULK, members) == BULK_HASH
    turned = {**BULK, "items": ITEMS[::-1]}
    assert bulk_binding_hash(**turned, members=members) == independently(turned, members) != BULK_HASH


PARTS: dict[str, Any] = {
    "subject": who("user", "ann"),
    "resource": who("document", "plan"),
    "action": {"name": "can_read"},
    "context": {"tenant": "a", "n": 1},
}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (b'{"tenant": "a", "n": 1}', True),
        (b'{"n": 1.0, "tenant": "a"}', True),  # key order, and another form of the number
        (b'{"n": 1e0, "tenant": "\\u0061"}', True),
        (b'{"n": 1, "tenant": "a", "time": "noon"}', True),  # what is not bound
        (b'{"n": 1, "tenant": "a", "x": null}', True),
        (b'{"n": 2, "tenant": "a"}', False),
        (b'{"n": "1", "tenant": "a"}', False),
        (b'{"n": true, "tenant": "a"}', False),
        (b'{"n": null, "tenant": "a"}', False),
        (b'{"tenant": "a"}', False),  # absent is not null
        (b'{"n": 1, "tenant": "\\u00e4"}', False),
    ],
)
def test_json_that_is_equal_has_one_hash_and_json_that_only_looks_so_has_another(text: bytes, *, same: bool) -> None:
    members = relevant_members(PARTS["context"])
    assert members == ("n", "tenant")
    usual = binding_hash(**PARTS, members=members)
    other = {**PARTS, "context": read_json(text)}
    assert (binding_hash(**other, members=members) == usual) is same
    assert binding_hash(**other, members=members) == independently(other, members)


def test_the_same_letters_in_another_unicode_form_are_another_subject() -> None:
    one, other = ({**PARTS, "subject": who("user", name)} for name in ("\u00e4", "a\u0308"))
    assert binding_hash(**one, members=()) != binding_hash(**other, members=())


@pytest.mark.parametrize("number_", [2**53, -(2**53), 2**60, Decimal("1e400")])
def test_a_number_beyond_what_a_double_counts_is_hashed_as_a_double_or_refused(number_: Any) -> None:
    parts = {**PARTS, "context": {"n": number_}}
    if number_ == Decimal("1e400"):
        with pytest.raises(InputInvalid):
            binding_hash(**parts, members=["n"])
    else:
        assert binding_hash(**parts, members=["n"]) == independently(parts, ["n"])


def test_who_acts_for_the_subject_is_not_bound_and_every_other_property_is() -> None:
    bound = {
        binding_hash(**{**PARTS, "subject": who("user", "ann", **properties)}, members=())
        for properties in ({"a": 1}, {"a": 1, "act": {"sub": "x"}}, {"a": 1, "act": None})
    }
    assert len(bound) == 1
    other = {**PARTS, "subject": who("user", "ann", a=2)}
    assert binding_hash(**other, members=()) not in bound
