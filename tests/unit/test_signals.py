"""What a signal carries is read, or refused with the place that is wrong, however many come."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from activities.messages import TokenVerdict
from placet.engine import machine
from placet.engine.events import ChildEnded
from placet.errors import InputInvalid, PlacetError
from tests.unit.core import case
from tests.unit.test_calls import parent
from workflows import signals
from workflows.signals import SignedDecision, decision_of, read_signal

GOOD = {"token": "t", "task_id": "r.1", "decision": "approve"}


def test_a_decision_is_read() -> None:
    assert read_signal(SignedDecision, (GOOD,)) == SignedDecision(token="t", task_id="r.1", decision="approve")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "carries 0 values"),
        ((GOOD, GOOD), "carries 2 values"),
        ((None,), "no SignedDecision: /:"),
        ((GOOD | {"decision": "maybe"},), "/decision: "),
        ((GOOD | {"form": []},), "/form: "),
    ],
)
def test_anything_else_is_refused_by_its_place(given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InputInvalid, match=said):
        read_signal(SignedDecision, given)


def test_a_shape_is_prepared_once_and_not_for_each_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[type[Any]] = []

    def prepare(shape: type[Any]) -> TypeAdapter[Any]:
        prepared.append(shape)
        return TypeAdapter(shape)

    monkeypatch.setattr(signals, "TypeAdapter", prepare)
    signals._reader.cache_clear()
    ended = {"point": "p", "visit": 1, "outcome": "approved"}
    for _ in range(3):
        read_signal(SignedDecision, (GOOD,))
        read_signal(ChildEnded, (ended,))
    assert prepared == [SignedDecision, ChildEnded]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(form=JSON, comment=JSON, task=st.sampled_from(["r.1", "r.2", "\0"]), decision=JSON | st.just("approve"))
def test_whatever_a_signal_carries_is_applied_or_refused(form: Any, comment: Any, task: Any, decision: Any) -> None:
    """A handler that raises anything else would have the workflow's task tried again, for ever."""
    form_schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    request = case({"approvers": ["user:mo"], "form": form_schema})
    carried = {"token": "t", "task_id": task, "decision": decision, "comment": comment, "form": form}
    verdict = TokenVerdict(person="mo", round=1, reason=None, at=request.now, code=None, hand_overs=0, revision=None)
    with suppress(PlacetError):
        machine.apply(
            request.plan, request.state, decision_of(read_signal(SignedDecision, (carried,)), verdict), request.now
        )


@given(outcome=st.text(max_size=10), output=st.dictionaries(st.text(max_size=5) | st.just("sum"), JSON, max_size=4))
def test_whatever_a_sub_process_came_to_is_applied_or_refused(outcome: str, output: dict[str, Any]) -> None:
    request = parent()
    with suppress(PlacetError):
        ended = ChildEnded(node="sub", visit=1, outcome=outcome, output=output)
        machine.apply(request.plan, request.state, ended, request.now)
