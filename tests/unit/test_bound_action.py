"""Bound actions: equal actions have equal digests however they are written, and what is not exact is refused."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from placet.engine.bound_action import BoundAction, bound_action, check_action, digest_of
from placet.engine.content import content_digest
from placet.errors import InputInvalid
from placet.json_text import read_json
from tests.unit.core import START, blueprint, plan_of

LATER = START + timedelta(days=1)
# Numbers that a double holds as they are written, and texts that a database can store.
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15, allow_nan=False).map(lambda f: round(f, 3))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
PARAMETERS = st.dictionaries(TEXTS, VALUES, max_size=4)


def action(parameters: dict[str, Any], **more: Any) -> BoundAction:
    fields: dict[str, Any] = {"kind": "payment", "target": "acct-1", "expires_at": LATER, "at": "/action", **more}
    return bound_action(parameters=parameters, **fields)


def read(text: str) -> dict[str, Any]:
    """Read parameters as the API does."""
    found: dict[str, Any] = read_json(text.encode())
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"amount": 1}', '{"amount": 1.0}'),  # numbers are doubles
        ('{"amount": 82000}', '{"amount": 8.2e4}'),
        ('{"amount": 0.1}', '{"amount": 1e-1}'),
        ('{"amount": 0}', '{"amount": -0.0}'),
        ('{"amount": 9007199254740992}', '{"amount": 9007199254740992.0}'),  # 2^53 itself is exact
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),  # members have no order
        ('{"name": "é"}', '{"name": "\\u00e9"}'),  # an escape is the character
        ('{"a": [1, 2]}', '{"a": [1.0, 2.00]}'),
        ('{ "a" : 1 }', '{"a":1}'),
    ],
)
def test_the_same_action_has_the_same_digest_however_it_is_written(one: str, other: str) -> None:
    assert action(read(one)).digest == action(read(other)).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"amount": 82000}', '{"amount": 820000}'),
        ('{"amount": 1}', '{"amount": "1"}'),
        ('{"amount": 1}', '{"amount": true}'),
        ('{"amount": null}', "{}"),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": {}}', '{"a": []}'),
        ('{"name": "é"}', '{"name": "e\\u0301"}'),  # they look alike and are other characters
        ('{"name": "pay"}', '{"name": "p\\u0430y"}'),  # a Cyrillic letter
        ('{"a": "b"}', '{"a": "b "}'),
    ],
)
def test_another_action_has_another_digest(one: str, other: str) -> None:
    assert action(read(one)).digest != action(read(other)).digest


def test_each_part_of_an_action_is_in_its_digest_and_a_moment_is_the_same_in_every_zone() -> None:
    usual = action({"a": 1})
    others = [
        action({"a": 1}, kind="refund"),
        action({"a": 1}, target="acct-2"),
        action({"a": 2}),
        action({"a": 1}, expires_at=LATER + timedelta(microseconds=1)),
    ]
    assert len({usual.digest, *(one.digest for one in others)}) == 5
    berlin = LATER.astimezone(timezone(timedelta(hours=1)))
    assert action({"a": 1}, expires_at=berlin).digest == usual.digest


def test_the_digest_is_that_of_its_definition() -> None:
    text = (
        '{"expires_at":"2026-03-03T09:00:00.000000Z","parameters":{"amount":82000,"to":"é"},'
        '"target":"acct-1","type":"payment"}'
    )
    # printf 'placet action 1\n%s' "$text" | sha256sum
    assert action({"to": "é", "amount": Decimal("82000.0")}).digest == (
        "4217115d1dfbad87acb63ac4377b5bb5bfe77e1a11732334be8287d0bb31d2af"
    )
    assert digest_of(json.loads(text)) == action({"to": "é", "amount": 82000}).digest


@given(PARAMETERS)
def test_parameters_survive_storage_and_the_digest_with_them(parameters: dict[str, Any]) -> None:
    made = action(parameters)
    stored = json.loads(json.dumps(made.document))
    assert digest_of(stored) == made.digest
    again = action(stored["parameters"], expires_at=datetime.fromisoformat(stored["expires_at"]))
    assert again == made
    turned = dict(reversed(list(made.parameters.items())))
    assert action(turned).digest == made.digest


@given(PARAMETERS, PARAMETERS)
def test_two_actions_have_one_digest_only_where_they_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = action(one), action(other)
    same = json.dumps(first.document, sort_keys=True) == json.dumps(second.document, sort_keys=True)
    assert (first.digest == second.digest) == same


@given(TEXTS)
def test_other_forms_of_a_character_are_other_texts(text: str) -> None:
    other = unicodedata.normalize("NFD", text)
    assume(other != text)
    assert action({"to": text}).digest != action({"to": other}).digest


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"n": 9007199254740993}', "/action/parameters/n"),
        ('{"n": -9007199254740993}', "/action/parameters/n"),
        ('{"n": 9007199254740993.0}', "/action/parameters/n"),
        ('{"n": 1e22}', "/action/parameters/n"),
        ('{"n": [0, {"m~": 1e300}]}', "/action/parameters/n/1/m~0"),
        ('{"n": 0.1000000000000000055}', "/action/parameters/n"),  # would have the digest of 0.1
        ('{"n": 82000.000000000000001}', "/action/parameters/n"),
        ('{"n": 1e-400}', "/action/parameters/n"),
    ],
)
def test_a_number_that_json_does_not_keep_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        action(read(text))
    assert [one.pointer for one in refused.value.problems] == [place]
    assert "write it as text" in refused.value.problems[0].message


def test_a_name_that_is_given_twice_is_refused_where_it_stands() -> None:
    with pytest.raises(InputInvalid) as refused:
        read('{"action": {"parameters": {"amount": 82000, "amount": 820000}}}')
    assert [one.pointer for one in refused.value.problems] == ["/action/parameters/amount"]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"kind": ""}, "/action/type"),
        ({"kind": "pay\u202ement"}, "/action/type"),  # turns the direction of what follows
        ({"target": "acct 1 "}, "/action/target"),
        ({"target": "a\nb"}, "/action/target"),
        ({"target": "x" * 501}, "/action/target"),
        ({"parameters": {"a": "\0"}}, "/action/parameters/a"),
        ({"parameters": {"a": "x" * 70_000}}, "/action"),
        ({"parameters": {"a": float("nan")}}, "/action/parameters/a"),
        ({"expires_at": datetime(2026, 3, 3)}, "/action/expires_at"),  # noqa: DTZ001 - that is what is tested
    ],
)
def test_what_nobody_can_read_is_no_action(changed: dict[str, Any], place: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        action(**{"parameters": {}} | changed)
    assert [one.pointer for one in refused.value.problems] == [place]


def test_parameters_are_nested_as_deeply_as_can_be_shown() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    with pytest.raises(InputInvalid, match="nested"):
        action({"a": deep})


@pytest.mark.parametrize("expires_at", [START, START - timedelta(days=1), datetime(2200, 1, 1, tzinfo=UTC)])
def test_an_action_is_asked_for_that_can_still_be_claimed_and_has_an_end(expires_at: datetime) -> None:
    made = action({}, expires_at=expires_at)
    check_action(made, "/action")  # as one that is claimed
    with pytest.raises(InputInvalid, match="/action/expires_at"):
        check_action(made, "/action", now=START)


def test_the_content_digest_covers_the_action() -> None:
    plan = plan_of(blueprint({}))
    digests = {content_digest(plan, "t", {}, (), one) for one in (None, action({"a": 1}), action({"a": 1.5}))}
    assert len(digests) == 3
    assert content_digest(plan, "t", {}, (), action({"a": 1})) == content_digest(plan, "t", {}, (), action({"a": 1.0}))
