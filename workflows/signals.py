"""Signals as they come: whoever reaches the engine can send anything, and nothing of it may stop a request.

A handler that asks for its argument fails the workflow's task when a signal comes without one, again and again, and the
request with it. So handlers take whatever there is, and read it here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from activities.messages import TokenVerdict
from placet.audit.reasons import because
from placet.audit.sealed import Sealed
from placet.engine.events import Actor, Decide
from placet.engine.state import Decision
from placet.errors import InputInvalid
from placet.frozen import stored_as
from placet.json_pointer import pointer_of

T = TypeVar("T")

_LONGEST_PLACE = 200  # characters: whoever reaches the engine can name a place as they like


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """The `decide` signal: a decision by whomever the token was signed for."""

    token: str
    task_id: str
    decision: Decision
    comment: str | None = None
    form: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSubprocessResult:
    """The `child_ended` signal: what a sub-process came to, signed by the worker that ended it
    (activities.subprocesses)."""

    node: Annotated[str, stored_as("point")]
    visit: int
    outcome: str
    output: dict[str, Any] = field(default_factory=dict)
    signature: str = ""


# What entries call a shape that has another name by now: theirs stays.
_NAMES: dict[type, str] = {SignedSubprocessResult: "ChildEnded"}


def read_signal(shape: type[T], given: tuple[Any, ...]) -> T:
    """Read what a signal carries, one value of this shape; raises InputInvalid for anything else."""
    name = _NAMES.get(shape, shape.__name__)
    if len(given) != 1:
        raise InputInvalid(reason=because("signal_values", count=len(given), shape=name))
    try:
        read: T = _reader(shape).validate_python(given[0])  # type: ignore[arg-type]  # classes are hashable
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = pointer_of(first["loc"])
        # The message is the library's own, and may be another after an upgrade: no audit chain holds it.
        reason = because("signal_shape", shape=name, pointer=Sealed(place[:_LONGEST_PLACE] or "/"))
        message = f"the signal carries no {name}: {place or '/'}: {first['msg']}"
        raise InputInvalid(message, reason=reason) from None
    return read


def decision_of(signed: SignedDecision, verdict: TokenVerdict) -> Decide:
    """Return the event that a signal stands for whose token holds."""
    assert verdict.person is not None, "the token stands for somebody"  # noqa: S101
    return Decide(
        by=Actor(person=verdict.person),
        task_id=signed.task_id,
        decision=signed.decision,
        comment=signed.comment,
        form=signed.form,
        round=verdict.round,
        revision=verdict.revision,
        hand_overs=verdict.hand_overs,
        via="signal",
        stands_in=True,  # nobody has asked the store; who has the task by themself needs no directory
    )


@cache
def _reader(shape: type[Any]) -> TypeAdapter[Any]:
    """Prepare for a shape once: for each of some hundred signals that come together it would take too long."""
    return TypeAdapter(shape)
