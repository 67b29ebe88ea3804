"""Answers: what comes back, in a simulation, from catalog actions and from outside, and after which time.

Nothing is run. An action succeeds after the time of its latency class, with an output made up from its declared schema;
an event that is waited for comes after half of the wait's timeout, or an hour. A script's lines say otherwise, and so
does a route that wants something else of a node. Both drivers ask here, so that both get the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from placet.actions import ActionCall
from placet.events import SYSTEM, ActionDone, Actor, ChildEnded, Happened
from placet.plan import Plan
from placet.schemas import schema_problems, value_problems
from placet.solver.samples import sample
from placet.state import ChildCall, Waiting
from simulation.samples import sample_form
from simulation.script import Line

LATENCY = {
    "instant": timedelta(milliseconds=50),
    "fast": timedelta(milliseconds=500),
    "medium": timedelta(seconds=5),
    "slow": timedelta(minutes=1),
    "very_slow": timedelta(minutes=30),
}
WITHOUT_TIMEOUT = timedelta(hours=1)
NEVER = "never"  # what a node comes to that is held up for as long as its branch lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What answers one request's actions and waits.

    `wanted` are what nodes are to come to, visit by visit; those in `held` come to nothing.
    """

    plan: Plan
    lines: tuple[Line, ...] = ()
    wanted: Mapping[str, Sequence[str]]
    held: frozenset[str] = frozenset()

    def want(self, point: str, visit: int) -> str | None:
        """Return what a node is to come to at this visit, where that is said."""
        if point in self.held:
            return NEVER
        wanted = self.wanted.get(point, ())
        return wanted[visit - 1] if visit <= len(wanted) else None

    def action(self, call: ActionCall) -> tuple[timedelta, ActionDone] | None:
        """Return what an action comes to, and after which time; None where it does not end."""
        point = self.plan.points[call.point]
        spec = self.plan.actions[call.action]
        faults = schema_problems(spec.input_schema, "/input") or value_problems(spec.input_schema, call.input, "/input")
        if faults:  # as the worker refuses it: at once, and for good
            why = f"The action's input breaks its input_schema: {faults[0].pointer}: {faults[0].message}"
            return timedelta(0), _failed(call, why)
        wanted = self.want(call.point, call.visit)
        if wanted == NEVER:
            return None
        line = self._line({"answer", "fail"}, {call.point, call.action}, call.visit)
        span = LATENCY[spec.latency_class]
        if line is not None and line.after_hours is not None:
            span = timedelta(hours=line.after_hours)
        if line is not None and line.do == "fail":
            return span, _failed(call, line.comment or "it fails in this simulation")
        if wanted == "failed":
            return span, _failed(call, "it fails in this branch")
        if line is not None and line.output is not None:
            output = line.output
        else:
            made = sample_form(spec.output_schema) if spec.output_schema else {}
            asked = point.errand.output if point.errand is not None else {}
            output = self._completed(asked, made if isinstance(made, dict) else {})
        return span, ActionDone(point=call.point, visit=call.visit, key=call.key, ok=True, output=output)

    def child(self, call: ChildCall) -> tuple[timedelta, ChildEnded] | None:  # noqa: ARG002 - others know
        """Return what a sub-process comes to, and after which time; None where it takes its own course."""
        return None

    def event(self, wait: Waiting, started_at: datetime) -> tuple[datetime, Happened] | None:
        """Return what happens outside for a request that waits for it, and when; None where nothing does."""
        pause = self.plan.points[wait.point].pause
        if wait.event is None or pause is None or self.want(wait.point, wait.visit) in {"timeout", NEVER}:
            return None
        line = self._line({"happen", "wait"}, {wait.point, wait.event}, wait.visit)
        at = wait.since + (pause.timeout / 2 if pause.timeout is not None else WITHOUT_TIMEOUT)
        if line is not None and line.do == "wait":
            return None
        if line is not None and line.at_hours is not None:
            at = max(started_at + timedelta(hours=line.at_hours), wait.since)
        elif line is not None and line.after_hours is not None:
            at = wait.since + timedelta(hours=line.after_hours)
        payload = line.output if line is not None and line.output is not None else self._completed(pause.output, {})
        return at, Happened(by=Actor(person=SYSTEM, admin=True), name=wait.event, payload=payload)

    def warnings(self) -> list[str]:
        """Say which made-up outputs break the schema that their action declares: only a script can give a right one."""
        told = []
        for name, spec in sorted(self.plan.actions.items()):
            made = sample_form(spec.output_schema) if spec.output_schema else {}
            problems = value_problems(spec.output_schema, made, "/output")
            if problems and not any(line.do == "answer" and line.on == name for line in self.lines):
                told.append(
                    f"the output made up for action {name} breaks its output_schema: "
                    f'{problems[0].pointer}: {problems[0].message}; give one in a line of the script, "do": "answer"'
                )
        return told

    def _line(self, kinds: set[str], names: set[str], visit: int) -> Line | None:
        return next((n for n in self.lines if n.do in kinds and n.on in names and visit <= n.at_most), None)

    def _completed(self, asked: Mapping[str, str], made: dict[str, Any]) -> dict[str, Any]:
        """Put a value that its variable takes at every place that the process reads and the made-up output lacks."""
        shapes = {variable.name: variable for variable in self.plan.variables}
        output = dict(made)
        for name, source in asked.items():
            parts = source[1:].split("/") if source.startswith("/") else [source]
            place = output
            for part in parts[:-1]:
                inner = place.get(part)
                place[part] = place = dict(inner) if isinstance(inner, dict) else {}
            place.setdefault(parts[-1], sample(shapes[name]))
        return output


def answers(
    plan: Plan,
    lines: Sequence[Line] = (),
    results: Sequence[tuple[str, str]] = (),
    held: frozenset[str] = frozenset(),
) -> Answers:
    """Return the answers for a plan; `results` are (node, what it is to come to), in the order of their visits."""
    wanted: dict[str, list[str]] = {}
    for point, result in results:
        wanted.setdefault(point, []).append(result)
    return Answers(plan=plan, lines=tuple(lines), wanted=wanted, held=held)


def _failed(call: ActionCall, why: str) -> ActionDone:
    return ActionDone(point=call.point, visit=call.visit, key=call.key, ok=False, error=why)
