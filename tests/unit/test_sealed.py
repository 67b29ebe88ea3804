"""Sealed values: what the chain holds of content, and that it holds without it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from placet.audit.chain import Entry, canonical_json, first_bad, genesis
from placet.audit.sealed import committed, erased, salt_of, sealed, secret_of, without_erased
from placet.engine.events import ActionDone, Actor, Comment, SignalRefused
from tests.unit.core import Case, case

CONTENT = "Zanzibar"


def told() -> Case:
    """Return a request in which people have said a word wherever they can."""
    request = case(
        {"form": {"type": "object"}},
        title=f"Trip to {CONTENT}",
        variables=[{"name": "place", "type": "string"}],
        input={"place": CONTENT},
    )
    request.do(Comment(by=Actor(person="olivia"), text=f"{CONTENT} again?"))
    request.do(SignalRefused(claimed={"task_id": CONTENT}, reason=CONTENT))
    request.decide("mo", comment=f"to {CONTENT}", form={"by": CONTENT})
    return request


def without(entry: Entry, place: str) -> Entry:
    """Return an entry of which a value at the first level was erased."""
    name = place.removeprefix("/")
    kept: Any = committed(entry.detail, {place: entry.salts[place]}, canonical_json)[name]
    salts = {p: s for p, s in entry.salts.items() if p != place}
    return replace(entry, detail=entry.detail | {name: kept}, salts=salts)


def test_the_chain_hashes_no_content() -> None:
    entries = told().entries
    assert sum(CONTENT in json.dumps(e.detail) for e in entries) == 4
    for entry in entries:
        assert CONTENT not in json.dumps(committed(entry.detail, entry.salts, canonical_json))


def test_a_chain_holds_with_its_content_and_without_any_part_of_it() -> None:
    entries = told().entries
    assert first_bad(genesis("r"), entries) is None
    for index, entry in enumerate(entries):
        for place in entry.salts:
            entries[index] = without(entries[index], place)
            assert first_bad(genesis("r"), entries) is None
    assert CONTENT not in json.dumps([e.detail for e in entries])


@pytest.mark.parametrize(
    "changed",
    [
        {"detail": {"why": "something else"}},
        {"detail": {"why": {"sealed": "0" * 64}}},  # erased, but with another commitment
        {"salts": {}},  # the value alone
        {"salts": {"/why": "0" * 32}},
        {"salts": {"/why": "no salt"}},
        {"salts": {"xwhy": "0" * 32}},
        {"salts": {"x/why": "0" * 32}},
        {"salts": {"/elsewhere": "0" * 32}},
        {"salts": {"why": "0" * 32}},
        {"salts": {"": "0" * 32}},
    ],
)
def test_an_edited_value_or_salt_is_found(changed: dict[str, Any]) -> None:
    entries = told().entries
    index = next(n for n, e in enumerate(entries) if e.kind == "commented")
    assert list(entries[index].salts) == ["/why"]
    entries[index] = replace(entries[index], **changed)
    assert first_bad(genesis("r"), entries) == index + 1


def test_nothing_can_move_between_a_value_and_its_salt() -> None:
    salts = {"/n": "0" * 32}
    assert committed({"n": 12}, salts, canonical_json) != committed({"n": 2}, salts, canonical_json)
    with pytest.raises(ValueError, match="no salt"):
        committed({"n": 2}, {"/n": "0" * 32 + "1"}, canonical_json)


def test_salts_differ_by_entry_place_and_request_and_are_the_same_in_every_replay() -> None:
    salts = {salt_of(s, n, p) for s in ("a", "b") for n in (1, 2) for p in ("/why", "/form")}
    assert len(salts) == 8
    assert [e.hash for e in told().entries] == [e.hash for e in told().entries]
    assert case({}).entries[0].hash == case({}).entries[0].hash != case({}, secret="other").entries[0].hash
    assert secret_of("a", "r~1") != secret_of("a", "r~2") != secret_of("b", "r~2")


def test_what_is_erased_is_null_with_its_place() -> None:
    gone = {"sealed": "0" * 64}
    assert erased(gone)
    assert not erased({"sealed": 1})
    assert without_erased({"a": gone, "b": {"c": gone, "d": 1}}) == (
        {"a": None, "b": {"c": None, "d": 1}},
        ["/a", "/b/c"],
    )
    assert sealed(None) is None


def test_what_an_action_reported_is_content() -> None:
    event = ActionDone(node="x", visit=1, key="k", ok=False, error=f"no flight to {CONTENT}")
    entry = case({}).do(event)[0]
    assert list(entry.salts) == ["/why/error"]
    assert entry.detail["why"]["code"] == "reported"
