"""The simulated world: everything that gives a simulated request its events, apart from the core.

The results of actions and outside events come from `simulation.world.answers`. A sub-process is simulated as a run of
its own from the time at which it starts. Where a route needs another result of a node, that result is used instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from placet.definition.action_spec import ActionCall
from placet.engine.events import SYSTEM, Actor, ChildEnded, Event, Withdraw
from placet.engine.state import ChildCall, State, Waiting
from placet.plan.plan import Plan
from simulation.run.driver import EventSource, PlannedEvent, Trace, UnknownNextEvent
from simulation.world.answers import NEVER, WITHOUT_TIMEOUT, Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """The simulated run of a request: its trace, and the runs of its sub-processes by request id.

    `assumed_values` are the values that no script, recording or computation gave: node, variable, field of the answer,
    and value. `calls` are the calls that started the sub-processes.
    """

    plan: Plan
    answers: Answers
    trace: Trace
    inner: Mapping[str, SimulatedRun] = field(default_factory=dict)
    assumed_values: tuple[tuple[str, str, str, Any], ...] = ()
    calls: tuple[ChildCall, ...] = ()


# The event that the workflow applies when its parent cancels it.
CANCELLATION = Withdraw(by=Actor(person=SYSTEM, admin=True), how="cancelled", reason="cancelled in the engine")
# Simulates a sub-process from its start; the last argument is when it is cancelled, if it is. Returns None where there
# are too many sub-processes.
RunChild = Callable[[ChildCall, datetime, datetime | None], SimulatedRun | None]


@dataclass(kw_only=True)
class _Child:
    call: ChildCall
    began: datetime
    simulated: SimulatedRun | None
    abandoned: datetime | None = None


@dataclass(kw_only=True)
class World:
    """An event source: people, actions, sub-processes and outside events together. Use a new one for each run.

    `run_child` simulates a sub-process; it is not called where a route or a recording gives the outcome.
    """

    plan: Plan
    people: EventSource
    run_child: RunChild
    answers: Answers
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._actions: dict[tuple[str, int], PlannedEvent | None] = {}
        self._children: dict[str, _Child] = {}
        self._asked: dict[tuple[Any, ...], ActionCall | Waiting] = {}
        self._assumed_values: dict[tuple[str, str, str], Any] = {}

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event; raises UnknownNextEvent where the request waits for people alone and they raise it."""
        earliest = min(self._planned_events(state, now), key=lambda m: m.at, default=None)
        try:
            planned = self.people.next(state, now)
        except UnknownNextEvent:
            if earliest is None:
                raise
            return earliest
        return planned if earliest is None or (planned is not None and planned.at <= earliest.at) else earliest

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        self.done[planned.mark] = 1
        self.people.note_applied(planned)
        asked = self._asked.pop(planned.mark, None)
        if asked is not None and getattr(planned.event, "ok", True):
            for variable, (source, value) in self.answers.assumed_values(asked).items():
                self._assumed_values[asked.node, variable, source] = value

    def simulated(self, trace: Trace) -> SimulatedRun:
        """Return the run of the request that has this trace, with the runs of its sub-processes."""
        if trace.state.status != "pending":
            self._abandon(trace.state, trace.started_at + trace.duration)
        inner: dict[str, SimulatedRun] = {}
        for request_id, child in self._children.items():
            run = child.simulated
            if child.abandoned is not None:
                run = self.run_child(child.call, child.began, child.abandoned)
            if run is not None:
                inner[request_id] = run
        return SimulatedRun(
            plan=self.plan,
            answers=self.answers,
            trace=trace,
            inner=inner,
            assumed_values=tuple((*place, value) for place, value in self._assumed_values.items()),
            calls=tuple(child.call for child in self._children.values()),
        )

    def _planned_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        for call in state.actions:
            if (call.node, call.visit) not in self._actions:
                self._actions[call.node, call.visit] = self._action(call, now)
        # An action continues after its branch has ended: its result is then recorded and ignored.
        yield from (
            planned for planned in self._actions.values() if planned is not None and planned.mark not in self.done
        )
        for child in state.children:
            yield from self._child(child, now)
        self._abandon(state, now)
        for wait in state.waits:
            mark = ("world", wait.node, wait.visit)
            if mark not in self.done and (comes := self.answers.event(wait, state.started_at)) is not None:
                self._asked[mark] = wait
                yield PlannedEvent(at=max(comes[0], now), event=comes[1], mark=mark)

    def _action(self, call: ActionCall, now: datetime) -> PlannedEvent | None:
        answered = self.answers.action(call)
        if answered is None:
            return None
        mark = ("world", call.node, call.visit)
        self._asked[mark] = call
        return PlannedEvent(at=now + answered[0], event=answered[1], mark=mark)

    def _child(self, call: ChildCall, now: datetime) -> Iterator[PlannedEvent]:
        mark = ("world", call.node, call.visit)
        wanted_outcome = self.answers.wanted_result(call.node, call.visit)
        recorded = self.answers.child(call)
        if call.request_id not in self._children:
            runs = wanted_outcome in {None, "approved"} and recorded is None
            simulated = self.run_child(call, now, None) if runs else None
            if runs and simulated is None:
                raise UnknownNextEvent(f"there are too many sub-processes to know the outcome of {call.node}")
            self._children[call.request_id] = _Child(call=call, began=now, simulated=simulated)
        if mark in self.done or wanted_outcome == NEVER:
            return
        child = self._children[call.request_id]
        if recorded is not None:
            yield PlannedEvent(at=max(child.began + recorded[0], now), event=recorded[1], mark=mark)
            return
        needed = {name: value for name, value in self.answers.required_of_child(call).items() if value is not None}
        span, outcome, output = WITHOUT_TIMEOUT, wanted_outcome or "failed", {**call.input, **needed}
        if child.simulated is not None:
            trace = child.simulated.trace
            if trace.stopped == "unknown":
                raise UnknownNextEvent(trace.why or "")
            if trace.state.status == "pending":
                return  # it never ends, so its parent keeps waiting
            outcome = trace.state.outcome or "failed"
            span, output = trace.duration, dict(trace.state.input)
        event: Event = ChildEnded(node=call.node, visit=call.visit, outcome=outcome, output=output)
        yield PlannedEvent(at=max(child.began + span, now), event=event, mark=mark)

    def _abandon(self, state: State, now: datetime) -> None:
        """Note the sub-processes that the request no longer waits for: they are cancelled."""
        waited_for = {call.request_id for call in state.children}
        for request_id, child in self._children.items():
            ended = ("world", child.call.node, child.call.visit) in self.done
            if child.abandoned is None and not ended and request_id not in waited_for:
                child.abandoned = now


@dataclass(kw_only=True)
class PeopleUntilCancelled:
    """An event source: other people until a given time, and then the cancellation of their request."""

    people: EventSource
    at: datetime

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event."""
        planned = self.people.next(state, now)
        if planned is not None and planned.at < self.at:
            return planned
        return PlannedEvent(at=max(self.at, now), event=CANCELLATION, mark=("cancelled",))

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        self.people.note_applied(planned)
