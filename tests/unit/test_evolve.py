"""Evolving a frozen value gives what `dataclasses.replace` gives."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.evolve import evolve
from placet.state import StageRun, State, Task
from tests.unit.core import HOUR, START, case


def values() -> list[Any]:
    """Return one value of each kind that runs evolve."""
    request = case({"sla_hours": 8})
    return [request.state, *request.state.tasks, *request.state.stages]


@given(st.sampled_from(values()), st.data())
def test_it_gives_what_replace_gives_and_leaves_the_value_alone(value: Any, data: st.DataObject) -> None:
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


@pytest.mark.parametrize("kind", [State, Task, StageRun])
def test_what_runs_evolve_has_neither_slots_nor_checks(kind: type) -> None:
    assert not hasattr(kind, "__slots__")
    assert not hasattr(kind, "__post_init__")
