"""Wait: for some time, until a date or moment, or for an outside event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import Field, model_validator

from placet.audit.reasons import because
from placet.audit.sealed import Sealed
from placet.definition.fields import Condition, Hours, Identifier
from placet.engine.evaluation_context import values_at
from placet.engine.run import Run
from placet.engine.state import Waiting
from placet.errors import ConditionInvalid, EvaluationFailed
from placet.expressions import Expression, compile_expression, evaluate
from placet.expressions.moments import Offsets, midnight
from placet.json_pointer import pointer_to
from placet.nodes.base import (
    Answer,
    BaseNode,
    CompilerContext,
    Entered,
    MigrationContext,
    NodeResult,
    NodeType,
    Outputs,
    RequestFails,
    StageTime,
    Value,
    Written,
)
from placet.nodes.facts import FactsContext, Named, NodeFacts
from placet.plan.calendar_compiler import zone_offsets
from placet.plan.graph import Node, WaitSpec
from placet.plan.plan import Plan
from placet.sentences import sentence


class WaitNode(BaseNode):
    """A wait: for `hours` of working time, `until` a date or moment, or for an outside `event`."""

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
    """Waits, with the result `elapsed`, `event` or `timeout`."""

    kind = "wait"
    has_results = True
    has_conditions = False
    pauses = True
    waits_outside = True
    plain = frozenset({"elapsed", "event"})
    faults = frozenset({"elapsed", "event"})
    in_vain = frozenset({"timeout"})

    def compile(self, context: CompilerContext, definition: WaitNode, here: str, written: Written) -> Node:
        """Compile until when it waits; the offsets of the time zone are frozen where a date needs them."""
        edges = self.compile_edges(context, written)
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
        wait_spec = WaitSpec(
            hours=_span(definition.hours),
            until=until,
            offsets=offsets,
            event=definition.event,
            timeout=_span(definition.timeout_hours),
            output=dict(definition.output),
        )
        return Node(id=definition.id, type=self.kind, edges=edges, wait_spec=wait_spec)

    def facts(self, definition: WaitNode, context: FactsContext) -> NodeFacts:
        """Tell what it can come to, and the moment that it computes."""
        results: tuple[str, ...] = ("elapsed",)
        if definition.event is not None:
            results = ("event",) if definition.timeout_hours is None else ("event", "timeout")
        until = definition.until
        return NodeFacts(
            results=results,
            sets=frozenset(definition.output),
            computes=tuple(context.computed(f"{context.pointer}/until", until)) if until is not None else (),
        )

    def named(self, definition: WaitNode) -> Named | None:
        """Have nothing run."""
        return None

    def output(self, definition: WaitNode) -> Mapping[str, str]:
        """Take from its event."""
        return definition.output

    def step_name(self, definition: WaitNode) -> str | None:
        """Ask nobody."""
        return None

    def results(self, node: Node) -> tuple[str, ...]:
        """Come to its time or its event, and to whatever edges name."""
        return self.followed(node, "elapsed" if wait_spec_of(node).event is None else "event")

    def longest(self, node: Node, stage_time: StageTime) -> timedelta | None:
        """Take its hours, or those until its timeout; how far away a date is cannot be known."""
        return wait_spec_of(node).hours or wait_spec_of(node).timeout

    def visits(self, run: Run, node: Node) -> int:
        """Count the times that it waited."""
        return run.state.visits.get(node.id, 0)

    def enter(self, run: Run, node: Node) -> Entered:
        """Begin to wait, unless the moment has passed."""
        wait_spec = wait_spec_of(node)
        try:
            until = _until(run, wait_spec, run.now)
        except EvaluationFailed as error:
            return RequestFails(because("wait_failed", node=node.id, cause=error.reason))
        if wait_spec.event is None and until is not None and until <= run.now:
            run.record("waited", node=node.id, until=until, why=because("moment_passed"), result="elapsed")
            return NodeResult("elapsed")
        visit = run.visit(node.id)
        run.waits[node.id] = Waiting(node=node.id, visit=visit, since=run.now, until=until, event=wait_spec.event)
        run.record("waiting", node=node.id, until=until, event=wait_spec.event)
        return None

    def settle(self, run: Run, node: Node, answer: Answer) -> Entered:
        """End the wait with its result: `elapsed`, `event` or `timeout`."""
        if not isinstance(answer, str):
            self.unexpected(node, answer)
        wait = run.waits.pop(node.id)
        due = wait.until if answer != "event" else None
        run.record("waited", node=node.id, due=due, event=wait.event, result=answer)
        return NodeResult(answer)

    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """Wait for the same event there, or for some time."""
        after, event = move.plan.nodes.get(node.id), run.waits[node.id].event
        why = None
        if after is None or after.type != node.type:
            why = sentence(
                "node {node_id!r} does not exist in that version, and the request waits at it", node_id=node.id
            )
        elif wait_spec_of(after).event != event:
            other = wait_spec_of(after).event or sentence("a time")
            why = sentence(
                "node {node_id!r} waits for {other} in that version, not for {event}",
                node_id=node.id,
                other=other,
                event=event or sentence("a time"),
            )
        if why is not None:
            move.refuse(pointer_to("/nodes", node.id), why)

    def follow(self, run: Run, before: Node, old: Plan) -> None:
        """Apply the current rule; where it differs, time is counted from when the wait began."""
        wait = run.waits[before.id]
        was, now = wait_spec_of(before), wait_spec_of(run.node(before.id))
        rules = [(p.hours, p.until, p.timeout) for p in (was, now)]
        if rules[0] != rules[1] or old.calendar != run.calendar:
            run.waits[before.id] = replace(wait, until=_until(run, now, wait.since))

    def sets(self, node: Node) -> frozenset[str]:
        """Set what it takes from its event."""
        return frozenset(wait_spec_of(node).output)

    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """Lead everywhere, once its moment can be computed."""
        until = wait_spec_of(node).until
        if until is not None:
            value(until)
        return [edge.target for edge in node.edges]


def wait_spec_of(node: Node) -> WaitSpec:
    """Return what a wait node waits for."""
    assert node.wait_spec is not None, f"{node.id} is a wait"  # noqa: S101
    return node.wait_spec


def _until(run: Run, wait_spec: WaitSpec, since: datetime) -> datetime | None:
    """Return until when a wait that began `since` lasts; raises EvaluationFailed where it cannot be computed."""
    if wait_spec.hours is not None:
        return run.after(since, wait_spec.hours)
    if wait_spec.until is None:
        return run.after(since, wait_spec.timeout) if wait_spec.timeout is not None else None
    value = evaluate(wait_spec.until, values_at(run, since), run.allowance)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        try:
            return midnight(value, wait_spec.offsets)
        except OverflowError:
            raise EvaluationFailed(because("no_day", value=Sealed(str(value)))) from None
    raise EvaluationFailed(because("no_moment"))


def _span(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _zone_refused(context: CompilerContext) -> bool:
    return any(problem.pointer == "/settings/timezone" for problem in context.problems)
