"""Answers: the simulated results of catalog actions and outside events, and the time each takes.

A pure action is computed as the worker computes it (placet.plan.pure_actions). Nothing else is run: an action succeeds
after the time of its latency class with a sample output that fits its schema; an awaited event occurs after half of the
wait's timeout, or an hour without one. Lines of a script, or the results that a route needs, replace these. Values that
were assumed are reported as warnings (`simulation.world.assumptions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from placet.definition.action_spec import ActionCall
from placet.definition.json_schema.validation import schema_problems, value_problems
from placet.engine.events import SYSTEM, ActionDone, Actor, ChildEnded, Happened
from placet.engine.state import ChildCall, Waiting
from placet.errors import Problem
from placet.expressions.templates import value_from
from placet.nodes.wait import wait_spec_of
from placet.plan import pure_actions
from placet.plan.plan import Plan
from simulation.scenario.fields import with_fields
from simulation.scenario.samples import sample_form
from simulation.scenario.script import ScriptLine

LATENCY = {
    "instant": timedelta(milliseconds=50),
    "fast": timedelta(milliseconds=500),
    "medium": timedelta(seconds=5),
    "slow": timedelta(minutes=1),
    "very_slow": timedelta(minutes=30),
}
WITHOUT_TIMEOUT = timedelta(hours=1)
NEVER = "never"  # the result of a node that does not end while its branch lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The results of one request's actions and waits.

    `wanted` are the results that a route needs, by node and visit; nodes in `blocked` do not end. `required_values` are
    the values that a route needs of variables, used in sample outputs; None where it needs that there is no value.
    """

    plan: Plan
    lines: tuple[ScriptLine, ...] = ()
    wanted: Mapping[str, Sequence[str]]
    blocked: frozenset[str] = frozenset()
    required_values: Mapping[str, Any] = field(default_factory=dict)

    def wanted_result(self, node: str, visit: int) -> str | None:
        """Return the result that a route needs of a node at this visit; None where it needs none."""
        if node in self.blocked:
            return NEVER
        wanted = self.wanted.get(node, ())
        return wanted[visit - 1] if visit <= len(wanted) else None

    def action(self, call: ActionCall) -> tuple[timedelta, ActionDone] | None:
        """Return the time that an action takes and its result; None where it does not end."""
        spec = self.plan.actions[call.action]
        faults = _faults(spec.input_schema, call.input, "/input")
        if faults:  # as the worker does: at once, without retries
            return timedelta(0), _failed(call, _broken("input", faults))
        wanted = self.wanted_result(call.node, call.visit)
        if wanted == NEVER:
            return None
        line = self._answer(call)
        span = LATENCY[spec.latency_class]
        if line is not None and line.after_hours is not None:
            span = timedelta(hours=line.after_hours)
        if line is not None and line.do == "fail":
            return span, _failed(call, line.comment or "it fails in this simulation")
        scripted = line is not None and line.output is not None
        if pure_actions.is_pure(spec) and not scripted:
            return span, self._computed(call)
        if wanted == "failed":
            return span, _failed(call, "it fails in this branch")
        output = self._output(call, line)
        if scripted and (faults := _faults(spec.output_schema, output, "/output")):
            return span, _failed(call, _broken("output", faults))
        return span, ActionDone(node=call.node, visit=call.visit, key=call.key, ok=True, output=output)

    def breaches(self, call: ActionCall) -> tuple[Problem, ...]:
        """List where an action's input breaks its schema, or else where its simulated output does.

        Pointers begin with `/input` or `/output`, and with `/script` where a line of the script gives the output.
        """
        spec = self.plan.actions[call.action]
        faults = _faults(spec.input_schema, call.input, "/input")
        line = self._answer(call)
        fails = line is not None and line.do == "fail"
        scripted = line is not None and line.output is not None
        if not faults and not scripted and not fails and pure_actions.is_pure(spec):
            return pure_actions.computed(spec, call.input)[1]
        if faults or fails or self.wanted_result(call.node, call.visit) in {NEVER, "failed"}:
            return faults
        place = f"/script/{self.lines.index(line)}/output" if line is not None and scripted else "/output"
        return _faults(spec.output_schema, self._output(call, line), place)

    def computes(self, call: ActionCall) -> bool:
        """Whether the output of an action is computed as the worker computes it, and no script line replaces it."""
        return pure_actions.is_pure(self.plan.actions[call.action]) and self._answer(call) is None

    def assumed_values(self, call: ActionCall | Waiting) -> dict[str, tuple[str, Any]]:
        """Return the assumed values of an answer: for each variable that it sets, the field and its value.

        Empty where a script gives the answer, where it is computed, and where it fails.
        """
        asked = self.plan.nodes[call.node].sources
        if isinstance(call, ActionCall):
            line = self._answer(call)
            computed = pure_actions.is_pure(self.plan.actions[call.action])
            given = computed or (line is not None and (line.output is not None or line.do == "fail"))
            answer = {} if given or not asked else self._output(call, line)
        else:
            line = self._event_line(call)
            given = line is not None and line.output is not None
            answer = {} if given else self._completed(asked, {})
        return {} if given else {name: (source, value_from(answer, source)) for name, source in asked.items()}

    def required_of_child(self, call: ChildCall) -> dict[str, Any]:
        """Return the values that a route needs of a sub-process, by its own variables."""
        sources = self.plan.nodes[call.node].sources
        return {source: self.required_values[name] for name, source in sources.items() if name in self.required_values}

    def child(self, call: ChildCall) -> tuple[timedelta, ChildEnded] | None:  # noqa: ARG002 - recorded answers use it
        """Return the time that a sub-process takes and its outcome; None where it is to be simulated."""
        return None

    def event(self, wait: Waiting, started_at: datetime) -> tuple[datetime, Happened] | None:
        """Return when an awaited outside event occurs, and the event; None where it does not occur."""
        if wait.event is None or self.wanted_result(wait.node, wait.visit) in {"timeout", NEVER}:
            return None
        line, wait_spec = self._event_line(wait), wait_spec_of(self.plan.nodes[wait.node])
        at = wait.since + (wait_spec.timeout / 2 if wait_spec.timeout is not None else WITHOUT_TIMEOUT)
        if line is not None and line.do == "wait":
            return None
        if line is not None and line.at_hours is not None:
            at = max(started_at + timedelta(hours=line.at_hours), wait.since)
        elif line is not None and line.after_hours is not None:
            at = wait.since + timedelta(hours=line.after_hours)
        payload = line.output if line is not None and line.output is not None else self._completed(wait_spec.output, {})
        return at, Happened(by=Actor(person=SYSTEM, admin=True), name=wait.event, payload=payload)

    def _answer(self, call: ActionCall) -> ScriptLine | None:
        """Return the script line about an action, if there is one."""
        return self._line({"answer", "fail"}, {call.node, call.action}, call.visit)

    def _event_line(self, wait: Waiting) -> ScriptLine | None:
        """Return the script line about an awaited event, if there is one."""
        return self._line({"happen", "wait"}, {wait.node, wait.event or wait.node}, wait.visit)

    def _computed(self, call: ActionCall) -> ActionDone:
        """Return the result of a pure action, as the worker computes it."""
        output, faults = pure_actions.computed(self.plan.actions[call.action], call.input)
        if faults:
            return _failed(call, _broken("output", faults))
        return ActionDone(node=call.node, visit=call.visit, key=call.key, ok=True, output=output)

    def _output(self, call: ActionCall, line: ScriptLine | None) -> dict[str, Any]:
        """Return the output of an action: that of the script, or else a sample output."""
        if line is not None and line.output is not None:
            return line.output
        schema = self.plan.actions[call.action].output_schema
        sampled = sample_form(schema) if schema else {}
        sources = self.plan.nodes[call.node].sources
        return self._completed(sources, sampled if isinstance(sampled, dict) else {}, schema)

    def _line(self, kinds: set[str], names: set[str], visit: int) -> ScriptLine | None:
        return next((n for n in self.lines if n.do in kinds and n.on in names and visit <= n.at_most), None)

    def _completed(
        self, asked: Mapping[str, str], sampled: Mapping[str, Any], schema: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Give each field that the process reads a value that its variable and the schema of the answer accept."""
        return with_fields(schema, sampled, asked, self.plan.variables, self.required_values)


def answers_for(
    plan: Plan,
    lines: Sequence[ScriptLine] = (),
    results: Sequence[tuple[str, str]] = (),
    blocked: frozenset[str] = frozenset(),
    required_values: Mapping[str, Any] | None = None,
) -> Answers:
    """Return the answers for a plan; `results` are the needed (node, result) pairs, in the order of their visits."""
    wanted: dict[str, list[str]] = {}
    for node, result in results:
        wanted.setdefault(node, []).append(result)
    return Answers(plan=plan, lines=tuple(lines), wanted=wanted, blocked=blocked, required_values=required_values or {})


def _faults(schema: dict[str, Any], value: Any, pointer: str) -> tuple[Problem, ...]:
    return schema_problems(schema, pointer) or value_problems(schema, value, pointer)


def _broken(what: str, faults: tuple[Problem, ...]) -> str:
    """Return the worker's message about a broken schema."""
    return f"The action's {what} breaks its {what}_schema: {faults[0].pointer}: {faults[0].message}"


def _failed(call: ActionCall, why: str) -> ActionDone:
    return ActionDone(node=call.node, visit=call.visit, key=call.key, ok=False, error=why)
