"""Updates: the handler and the validator of each event that the API gives to a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from temporalio import workflow

from placet.engine.events import Event
from placet.engine.state import State, Transition
from placet.plan.plan import Plan
from workflows.interface import Answer

if TYPE_CHECKING:
    from temporalio.workflow import UpdateMethodMultiParam

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a validator found out by applying an event, so that its handler need not; in a replay no validator runs."""

    plan: Plan
    state: State
    event: Event
    now: datetime
    step: Transition

    def holds(self, plan: Plan, state: State, event: Event, now: datetime) -> bool:
        """Tell whether the core would come to the same transition: it is pure, so it depends on nothing else."""
        return self.plan is plan and self.state is state and self.now == now and self.event == event


class TakesEvents(Protocol):
    """A workflow that applies events in their turn."""

    def refuse(self, event: Event) -> None:
        """Raise the failure of an event that may not be applied now."""

    async def answered(self, event: Event) -> Answer:
        """Apply an event, record what it changed, and return how far the record goes."""


def update(event: type[E], name: str, what: str) -> UpdateMethodMultiParam[[TakesEvents, E], Answer]:
    """Return the update `name`, which takes one event of this type; `what` it does is its description.

    The validator refuses an event that may not be applied before it enters history.
    """

    async def handle(self: TakesEvents, event: E) -> Answer:
        return await self.answered(event)

    def validate(self: TakesEvents, event: E) -> None:
        self.refuse(event)

    # The SDK reads from the annotations what an argument is converted to, and takes an annotated `self` for one.
    handle.__annotations__ = {"event": event, "return": Answer}
    validate.__annotations__ = {"event": event, "return": None}
    handle.__name__, handle.__doc__ = name, what
    method = workflow.update(name=name, description=what)(handle)
    method.validator(validate)
    return method  # type: ignore[return-value]  # the SDK types the answer as the coroutine of it
