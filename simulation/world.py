"""The world in a simulation: what answers in place of catalog actions, sub-processes and outside events.

Nothing is run. An action succeeds after the time of its latency class, with an output made up from its declared schema;
a sub-process takes the course that it takes by itself; an event that is waited for comes after half of the wait's
timeout, or an hour. Where a route wants something else of a node, that is what it comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from placet.actions import ActionCall
from placet.events import SYSTEM, ActionDone, Actor, ChildEnded, Event, Happened
from placet.plan import Plan
from placet.solver.samples import sample
from placet.state import ChildCall, State
from simulation.driver import Course, NothingKnown, Players
from simulation.samples import sample_form
from simulation.script import Move

LATENCY = {
    "instant": timedelta(milliseconds=50),
    "fast": timedelta(milliseconds=500),
    "medium": timedelta(seconds=5),
    "slow": timedelta(minutes=1),
    "very_slow": timedelta(minutes=30),
}
WITHOUT_TIMEOUT = timedelta(hours=1)

RunChild = Callable[[ChildCall], Course | None]


@dataclass(kw_only=True)
class World:
    """The people of a simulation, and everything else that answers a request. Use one for each run.

    `results` are what nodes are to come to, visit by visit; `run_child` drives a sub-process.
    """

    plan: Plan
    people: Players
    run_child: RunChild
    results: Sequence[tuple[str, str]] = ()
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._since: dict[tuple[str, int], datetime] = {}
        self._wanted: dict[str, list[str]] = {}
        for point, result in self.results:
            self._wanted.setdefault(point, []).append(result)

    def next(self, state: State, now: datetime) -> Move | None:
        """Return what happens next; raises NothingKnown where only people are waited for, and they raise it."""
        best = min(self._moves(state, now), key=lambda m: m.at, default=None)
        try:
            move = self.people.next(state, now)
        except NothingKnown:
            if best is None:
                raise
            return best
        return move if best is None or (move is not None and move.at <= best.at) else best

    def acted(self, move: Move) -> None:
        """Take note that a move was made."""
        self.done[move.mark] = 1
        self.people.acted(move)

    def _moves(self, state: State, now: datetime) -> Iterator[Move]:
        for call in state.actions:
            spec = self.plan.actions.get(call.action)
            span = LATENCY[spec.latency_class if spec is not None else "fast"]
            yield from self._move(call.point, call.visit, now, span, self._action_done(call))
        for child in state.children:
            yield from self._child(child, now)
        for wait in state.waits:
            pause = self.plan.points[wait.point].pause
            if wait.event is None or pause is None or self._want(wait.point, wait.visit) == "timeout":
                continue
            span = pause.timeout / 2 if pause.timeout is not None else WITHOUT_TIMEOUT
            payload = self._output(pause.output, {})
            happened = Happened(by=Actor(person=SYSTEM, admin=True), name=wait.event, payload=payload)
            yield from self._move(wait.point, wait.visit, now, span, happened)

    def _move(self, point: str, visit: int, now: datetime, span: timedelta, event: Event) -> Iterator[Move]:
        mark = ("world", point, visit)
        if mark not in self.done:
            yield Move(at=max(self._since.setdefault((point, visit), now) + span, now), event=event, mark=mark)

    def _action_done(self, call: ActionCall) -> ActionDone:
        point = self.plan.points[call.point]
        spec = self.plan.actions.get(call.action)
        if self._want(call.point, call.visit) == "failed":
            return ActionDone(
                point=call.point, visit=call.visit, key=call.key, ok=False, error="it fails in this branch"
            )
        made = sample_form(spec.output_schema) if spec is not None and spec.output_schema else {}
        output = self._output(point.errand.output if point.errand else {}, made if isinstance(made, dict) else {})
        return ActionDone(point=call.point, visit=call.visit, key=call.key, ok=True, output=output)

    def _child(self, call: ChildCall, now: datetime) -> Iterator[Move]:
        if ("world", call.point, call.visit) in self.done:
            return
        wanted = self._want(call.point, call.visit)
        course = self.run_child(call) if wanted in {None, "approved"} else None
        outcome = wanted or "failed"
        span, output = WITHOUT_TIMEOUT, call.input
        if course is not None and course.state.status != "pending":
            outcome = course.state.outcome or course.state.status
            span, output = course.duration, course.state.input
        event = ChildEnded(point=call.point, visit=call.visit, outcome=outcome, output=dict(output))
        yield from self._move(call.point, call.visit, now, span, event)

    def _want(self, point: str, visit: int) -> str | None:
        wanted = self._wanted.get(point, [])
        return wanted[visit - 1] if visit <= len(wanted) else None

    def _output(self, wanted: Mapping[str, str], made: dict[str, Any]) -> dict[str, Any]:
        """Put a value that its variable takes at every place that the process reads and the made-up output lacks."""
        shapes = {variable.name: variable for variable in self.plan.variables}
        output = dict(made)
        for name, source in wanted.items():
            parts = source[1:].split("/") if source.startswith("/") else [source]
            place = output
            for part in parts[:-1]:
                inner = place.get(part)
                place[part] = place = dict(inner) if isinstance(inner, dict) else {}
            place.setdefault(parts[-1], sample(shapes[name]))
        return output
