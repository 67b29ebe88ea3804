"""Wait: a pause for some time, until a date or moment, or for something that happens outside."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from placet.almanac import zone_offsets
from placet.conditions import Expression, compile_expression
from placet.errors import ConditionInvalid
from placet.fields import Condition, Hours, Identifier
from placet.nodes.base import BaseNode, CompilerContext, NodeType, Outputs, Written
from placet.points import Pause, Point
from placet.zones import Offsets


class WaitNode(BaseNode):
    """A pause: for `hours` of working time, `until` a date or moment, or for an outside `event`."""

    type: Literal["wait"]
    hours: Hours | None = None
    until: Condition | None = None
    event: Identifier | None = None
    timeout_hours: Hours | None = None
    output: Outputs = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_thing(self) -> WaitNode:
        if sum(v is not None for v in (self.hours, self.until, self.event)) != 1:
            raise ValueError('give exactly one of "hours", "until" and "event"')
        if self.event is None and (self.timeout_hours is not None or self.output):
            raise ValueError('only a wait for an "event" has "timeout_hours" and "output"')
        return self


class WaitType(NodeType[WaitNode]):
    """Waits, and comes to `elapsed`, `event` or `timeout`."""

    kind = "wait"
    has_results = True
    has_conditions = False

    def compile(self, context: CompilerContext, definition: WaitNode, here: str, written: Written) -> Point:
        """Compile until when it waits; the offsets of the time zone are frozen where a date needs them."""
        ways = self.compile_ways(context, written)
        context.require_variables(definition.output, here)
        until: Expression | None = None
        offsets: Offsets = ()
        if definition.until is not None:
            try:
                until = compile_expression(definition.until, context.scope, kinds=("date", "timestamp"))
            except ConditionInvalid as error:
                context.refuse(f"{here}/until", error.message)
            else:
                if until.ast["type"] == "date" and not _zone_refused(context):
                    offsets = zone_offsets(context.settings.timezone, context.start)
        pause = Pause(
            hours=_span(definition.hours),
            until=until,
            offsets=offsets,
            event=definition.event,
            timeout=_span(definition.timeout_hours),
            output=dict(definition.output),
        )
        return Point(id=definition.id, type=self.kind, ways=ways, pause=pause)


def _span(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _zone_refused(context: CompilerContext) -> bool:
    return any(problem.pointer == "/settings/timezone" for problem in context.problems)
