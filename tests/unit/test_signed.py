"""What a signal carries is read, or refused with the place that is wrong, however many come."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from placet.errors import InputInvalid
from placet.events import ChildEnded
from workflows import signed
from workflows.signed import SignedDecision, read_signal

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

    monkeypatch.setattr(signed, "TypeAdapter", prepare)
    signed._reader.cache_clear()
    ended = {"point": "p", "visit": 1, "outcome": "approved"}
    for _ in range(3):
        read_signal(SignedDecision, (GOOD,))
        read_signal(ChildEnded, (ended,))
    assert prepared == [SignedDecision, ChildEnded]
