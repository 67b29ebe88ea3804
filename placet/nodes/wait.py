"""Wait: a pause for some time, until a date or moment, or for something that happens outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import Field, model_validator

from placet.almanac import zone_offsets
from placet.conditions import Expression, compile_expression, evaluate
from placet.errors import ConditionInvalid, EvaluationFailed
from placet.facts import values_at
from placet.fields import Condition, Hours, Identifier
from placet.nodes.base import (
    Answer,
    BaseNode,
    CameTo,
    CompilerContext,
    Entered,
    Fails,
    Move,
    NodeType,
    Outputs,
    Value,
    Written,
)
from placet.plan import Plan
from placet.pointer import pointer_to
from placet.points import Pause, Point
from placet.reasons import because
from placet.run import Run
from placet.sealed import Sealed
from placet.state import Waiting
from placet.zones import Offsets, midnight


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
    plain = frozenset({"elapsed", "event"})
    faults = frozenset({"elapsed", "event"})

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

    def visits(self, run: Run, point: Point) -> int:
        """Count the times that it waited."""
        return run.state.visits.get(point.id, 0)

    def enter(self, run: Run, point: Point) -> Entered:
        """Begin to wait, unless the moment has passed."""
        pause = wait_spec_of(point)
        try:
            until = _until(run, pause, run.now)
        except EvaluationFailed as error:
            return Fails(because("wait_failed", node=point.id, cause=error.reason))
        if pause.event is None and until is not None and until <= run.now:
            run.record("waited", node=point.id, until=until, why=because("moment_passed"), result="elapsed")
            return CameTo("elapsed")
        visit = run.visit(point.id)
        run.waits[point.id] = Waiting(point=point.id, visit=visit, since=run.now, until=until, event=pause.event)
        run.record("waiting", node=point.id, until=until, event=pause.event)
        return None

    def settle(self, run: Run, point: Point, answer: Answer) -> Entered:
        """End the wait with its result: `elapsed`, `event` or `timeout`."""
        if not isinstance(answer, str):
            self.unexpected(point, answer)
        wait = run.waits.pop(point.id)
        due = wait.until if answer != "event" else None
        run.record("waited", node=point.id, due=due, event=wait.event, result=answer)
        return CameTo(answer)

    def migrate(self, run: Run, point: Point, move: Move) -> None:
        """Wait for the same event there, or for some time."""
        after, event = move.plan.points.get(point.id), run.waits[point.id].event
        why = None
        if after is None or after.type != point.type:
            why = f"node {point.id!r} is gone there, and the request waits at it"
        elif wait_spec_of(after).event != event:
            why = f"node {point.id!r} waits for {wait_spec_of(after).event or 'a time'} there, not {event or 'a time'}"
        if why is not None:
            move.refuse(pointer_to("/nodes", point.id), why)

    def follow(self, run: Run, before: Point, old: Plan) -> None:
        """Wait by the rule as it is now: counted from when it began, where the rule is another."""
        wait = run.waits[before.id]
        was, now = wait_spec_of(before), wait_spec_of(run.point(before.id))
        rules = [(p.hours, p.until, p.timeout) for p in (was, now)]
        if rules[0] != rules[1] or old.calendar != run.calendar:
            run.waits[before.id] = replace(wait, until=_until(run, now, wait.since))

    def sets(self, point: Point) -> frozenset[str]:
        """Set what it takes from its event."""
        return frozenset(wait_spec_of(point).output)

    def foresee(self, point: Point, value: Value) -> list[str]:
        """Lead everywhere, once its moment can be computed."""
        until = wait_spec_of(point).until
        if until is not None:
            value(until)
        return [way.target for way in point.ways]


def wait_spec_of(point: Point) -> Pause:
    """Return what a wait node waits for."""
    assert point.pause is not None, f"{point.id} is a wait"  # noqa: S101
    return point.pause


def _until(run: Run, pause: Pause, since: datetime) -> datetime | None:
    """Return until when a wait that began `since` lasts; raises EvaluationFailed where it cannot be computed."""
    if pause.hours is not None:
        return run.after(since, pause.hours)
    if pause.until is None:
        return run.after(since, pause.timeout) if pause.timeout is not None else None
    value = evaluate(pause.until, values_at(run, since), run.allowance)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        try:
            return midnight(value, pause.offsets)
        except OverflowError:
            raise EvaluationFailed(because("no_day", value=Sealed(str(value)))) from None
    raise EvaluationFailed(because("no_moment"))


def _span(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _zone_refused(context: CompilerContext) -> bool:
    return any(problem.pointer == "/settings/timezone" for problem in context.problems)
