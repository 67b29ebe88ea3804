"""Quick values are made and evolved as the plain frozen dataclasses that they would be."""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.audit.chain import Entry
from placet.engine.state import Notification, Seat, StageRun, State, Task, Transition
from placet.frozen import evolve
from tests.unit.core import HOUR, START, case

QUICK: list[type[Any]] = [Entry, Notification, Seat, StageRun, State, Transition, Task]


@cache
def plain(kind: type[Any]) -> Any:
    """Return the frozen dataclass with the same fields, as `dataclasses` makes it."""
    known = fields(kind)
    defaults = {f.name: f.default for f in known if f.default is not MISSING}
    made = {f.name: field(default_factory=f.default_factory) for f in known if f.default_factory is not MISSING}
    body = {"__annotations__": {f.name: object for f in known}, **defaults, **made}
    return dataclass(frozen=True, kw_only=True)(type(kind.__name__, (), body))


def needed(kind: type[Any]) -> list[str]:
    """List the fields without which no value can be made."""
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


@given(st.sampled_from(QUICK), st.data())
def test_a_quick_value_is_made_as_a_plain_one(kind: type[Any], data: st.DataObject) -> None:
    others = [f.name for f in fields(kind) if f.name not in needed(kind)]
    names = [*needed(kind), *data.draw(st.lists(st.sampled_from(others), unique=True) if others else st.just([]))]
    facts = {name: data.draw(st.integers() | st.none()) for name in names}
    made, twin = kind(**facts), plain(kind)(**facts)
    assert {f.name: getattr(made, f.name) for f in fields(kind)} == vars(twin)
    assert (repr(made), made == kind(**facts)) == (repr(twin), True)


@pytest.mark.parametrize("kind", QUICK)
def test_what_a_plain_value_refuses_a_quick_one_refuses_as_well(kind: type[Any]) -> None:
    facts: dict[str, Any] = dict.fromkeys(needed(kind), 1)
    for wrong in ({}, {**facts, "owed": 1}):
        with pytest.raises(TypeError) as refused:
            plain(kind)(**wrong)
        with pytest.raises(TypeError) as quickly:
            kind(**wrong)
        assert str(quickly.value) == str(refused.value)
    with pytest.raises(FrozenInstanceError):
        setattr(kind(**facts), needed(kind)[0], 2)
    with pytest.raises(TypeError):
        kind(1)


def test_no_two_values_share_what_is_made_for_each() -> None:
    one, other = (State(**dict.fromkeys(needed(State), 1)) for _ in range(2))
    assert one.visits == other.visits == {}
    assert one.visits is not other.visits


@pytest.mark.parametrize("kind", QUICK)
def test_what_is_quick_has_neither_slots_nor_checks(kind: type[Any]) -> None:
    assert not hasattr(kind, "__slots__")
    assert not hasattr(kind, "__post_init__")


def values() -> list[Any]:
    """Return one value of each kind that runs evolve."""
    request = case({"sla_hours": 8})
    return [request.state, *request.state.tasks, *request.state.stages]


@given(st.sampled_from(values()), st.data())
def test_evolving_gives_what_replace_gives_and_leaves_the_value_alone(value: Any, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from([f.name for f in fields(value)]), unique=True))
    changes = {name: data.draw(st.integers() | st.none()) for name in names}
    before = replace(value)
    changed = evolve(value, **changes)
    assert changed == replace(value, **changes)
    assert (type(changed), repr(changed)) == (type(value), repr(replace(value, **changes)))
    assert value == before


def test_what_is_evolved_is_frozen_and_has_no_other_fields() -> None:
    task = evolve(case({}).state.tasks[0], due_at=START + HOUR)
    with pytest.raises(FrozenInstanceError):
        task.due_at = None  # type: ignore[misc] # it is frozen
    with pytest.raises(TypeError, match=r"Task has no owed, owing$"):
        evolve(task, owing=1, owed=2)
