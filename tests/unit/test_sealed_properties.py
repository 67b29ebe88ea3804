"""Any request's chain holds, whatever of its content is erased, and never with anything changed."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from placet.audit.chain import Entry, canonical_json, first_bad, genesis
from placet.audit.sealed import committed
from placet.directory import Directory
from placet.json_pointer import parts_of, pointer_to
from tests.unit.core import REFUSALS, Case, plan_of
from tests.unit.test_machine_properties import CHILD, MORE_ACTIONS, drawings, organisations, perform

TITLE = "Trip to Zanzibar"
VARIABLES = {"amount", "day", "sum"}


@st.composite
def chains(draw: st.DrawFn) -> list[Entry]:
    """Draw the chain of a request that went any way through any process."""
    orgs: list[Directory] = [draw(organisations())]
    plan = plan_of(draw(drawings()), {"Child": CHILD})
    amount = draw(st.sampled_from(["1", "500", "9000"]))
    case = Case(plan=plan, org=orgs[0], title=TITLE, input={"amount": amount})
    for action in draw(st.lists(MORE_ACTIONS, min_size=4, max_size=14)):
        try:
            perform(case, *action, orgs)
        except REFUSALS:
            continue
    return case.entries


def hashed(entry: Entry) -> Any:
    """Return an entry's detail as it is hashed."""
    return committed(entry.detail, entry.salts, canonical_json)


def erased(entry: Entry, places: set[str]) -> Entry:
    """Return the entry with only the commitments of these values."""
    going = {place: salt for place, salt in entry.salts.items() if place in places}
    kept = {place: salt for place, salt in entry.salts.items() if place not in places}
    return replace(entry, detail=committed(entry.detail, going, canonical_json), salts=kept)


def places_of(value: Any, place: str = "") -> Iterator[str]:
    """Generate the places of all that is no object."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places_of(inner, pointer_to(place, name))
    elif place:
        yield place


def keys_of(value: Any) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_of(inner)
    if isinstance(value, dict):
        yield from value


def edited(detail: dict[str, Any], place: str) -> dict[str, Any]:
    """Return the detail with something else at a place."""
    changed = deepcopy(detail)
    *parents, name = parts_of(place)
    holder = changed
    for part in parents:
        holder = holder[part]
    holder[name] = "something else" if holder[name] != "something else" else None
    return changed


@settings(max_examples=60)
@given(chain=chains(), data=st.data())
def test_a_chain_holds_without_any_part_of_its_content(chain: list[Entry], data: st.DataObject) -> None:
    assert first_bad(genesis("r"), chain) is None
    for index, entry in enumerate(chain):
        if entry.salts:
            gone = data.draw(st.sets(st.sampled_from(sorted(entry.salts))))
            chain[index] = erased(entry, gone)
            event(f"erased {len(gone)} of {entry.kind}")
    assert first_bad(genesis("r"), chain) is None


@settings(max_examples=60)
@given(chain=chains())
def test_what_is_hashed_holds_no_content_and_no_words(chain: list[Entry]) -> None:
    for entry in chain:
        detail = hashed(entry)
        assert TITLE not in canonical_json(detail).decode()
        assert not VARIABLES & set(keys_of(detail)), detail
        assert not isinstance(detail.get("why"), str), detail


@settings(max_examples=120)
@given(chain=chains(), which=st.integers(0), erase=st.booleans(), data=st.data())
def test_any_change_of_a_value_a_salt_or_a_parameter_is_found(
    chain: list[Entry], which: int, erase: bool, data: st.DataObject
) -> None:
    index = which % len(chain)
    entry = erased(chain[index], set(chain[index].salts)) if erase else chain[index]
    what = data.draw(st.sampled_from(["detail", "salt", "no salt", "actor", "at", "kind", "stage", "task_id", "hash"]))
    event(what)
    if what == "detail":
        places = sorted(places_of(entry.detail))
        assume(places)
        changed = replace(entry, detail=edited(entry.detail, data.draw(st.sampled_from(places))))
    elif what in {"salt", "no salt"}:
        assume(entry.salts)
        place = data.draw(st.sampled_from(sorted(entry.salts)))
        salts = entry.salts | {place: "0" * 32} if what == "salt" else {}
        changed = replace(entry, salts=salts)
    elif what == "at":
        changed = replace(entry, at=entry.at + timedelta(microseconds=1))
    else:
        changed = replace(entry, **{what: "something else"})
    chain[index] = changed
    assert first_bad(genesis("r"), chain) == entry.seq
