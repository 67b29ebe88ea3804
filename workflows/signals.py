"""Read signals, which anybody who reaches the engine may send with any content, and which must not stop a request.

A handler with a typed argument fails the workflow task for a signal without one, again and again, and with it the
request. So handlers accept any arguments, and read them with the functions here.
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

_LONGEST_PLACE = 200  # characters, since senders choose the names in a signal freely


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """The `decide` signal: a decision by the person of the token."""

    token: str
    task_id: str
    decision: Decision
    comment: str | None = None
    form: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSubprocessResult:
    """The `child_ended` signal: the result of a sub-process, signed by the worker that ended it
    (activities.subprocesses)."""

    node: Annotated[str, stored_as("point")]
    visit: int
    outcome: str
    output: dict[str, Any] = field(default_factory=dict)
    signature: str = ""


# Names of shapes in stored reasons that differ from the class names of today.
_NAMES: dict[type, str] = {SignedSubprocessResult: "ChildEnded"}


def read_signal(shape: type[T], given: tuple[Any, ...]) -> T:
    """Read the argument of a signal as one value of this shape; raises InputInvalid otherwise."""
    name = _NAMES.get(shape, shape.__name__)
    if len(given) != 1:
        raise InputInvalid(reason=because("signal_values", count=len(given), shape=name))
    try:
        read: T = _reader(shape).validate_python(given[0])  # type: ignore[arg-type]  # classes are hashable
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = pointer_of(first["loc"])
        # The message comes from the library and may change with it, so it is not in the audit chain.
        reason = because("signal_shape", shape=name, pointer=Sealed(place[:_LONGEST_PLACE] or "/"))
        message = f"the signal carries no {name}: {place or '/'}: {first['msg']}"
        raise InputInvalid(message, reason=reason) from None
    return read


def decision_of(signed: SignedDecision, verdict: TokenVerdict) -> Decide:
    """Return the event of a signal with a valid token."""
    assert verdict.person is not None, "the token stands for somebody"  # noqa: S101
    return Decide(
        by=Actor(person=verdict.person, type=verdict.actor_type),
        task_id=signed.task_id,
        decision=signed.decision,
        comment=signed.comment,
        form=signed.form,
        round=verdict.round,
        revision=verdict.revision,
        hand_overs=verdict.hand_overs,
        via="signal",
        stands_in=True,  # the core checks substitutes itself; an assignee needs no directory
    )


@cache
def _reader(shape: type[Any]) -> TypeAdapter[Any]:
    """Return the adapter of a shape, made once: hundreds of signals may arrive together."""
    return TypeAdapter(shape)
