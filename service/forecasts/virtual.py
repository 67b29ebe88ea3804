"""Virtual time for forecasts: the core goes on from a state, with people who act as drawn, or as the past has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from insight.forecast.futures import Draw, Future
from placet.engine.events import Actor, Resubmit
from placet.engine.state import Decision, State
from placet.plan.calendar import add_hours
from placet.plan.plan import Plan
from simulation.run.driver import HORIZON, PlannedEvent, UnknownNextEvent, resume
from simulation.world.answers import answers_for
from simulation.world.scripted_people import decision_events
from simulation.world.world import SimulatedRun, World

MOST_ENTRIES = 1_000


@dataclass(kw_only=True)
class DrawnPeople:
    """An event source: people who act as one draw says. `closed_at` is when the tasks that were open were no longer."""

    plan: Plan
    draw: Draw
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)
    closed_at: dict[str, datetime] = field(default_factory=dict)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event."""
        self.note(state, now)
        return min(self._planned(state, now), key=lambda one: one.at, default=None)

    def note(self, state: State, now: datetime) -> None:
        """Note which of the tasks that were open are no longer."""
        for task_id in self.draw.waited:
            task = state.task(task_id)
            if task_id not in self.closed_at and (task is None or task.status != "open"):
                decided = task.decided_at if task is not None else None
                self.closed_at[task_id] = decided or now

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied, or refused: it is not planned again."""
        self.done[planned.mark] = 1

    def _planned(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        returned = [run.returned_at for run in state.stages if run.returned_at is not None]
        returned += [state.returned_at] if state.returned_at is not None else []
        if returned:
            mark = ("resubmit", state.round, state.revision)
            if mark not in self.done:
                at = add_hours(self.plan.calendar, min(returned), self.draw.resubmission(state.round))
                yield PlannedEvent(at=max(at, now), event=Resubmit(by=Actor(person=state.requester)), mark=mark)
            return
        for task in state.open_tasks:
            person = next(iter(task.people), None)
            if person is None:
                continue
            at = max(add_hours(self.plan.calendar, task.opened_at, self.draw.wait(task)), now)
            decision = self.draw.decision(task)
            yield from decision_events(self.plan, self.done, task, person=person, decision=decision, at=at)


def run(plan: Plan, state: State, now: datetime, draw: Draw) -> Future:
    """Let a request go on to its end, with people who act as drawn, and systems that answer as simulations assume."""
    people = DrawnPeople(plan=plan, draw=draw)
    world = World(plan=plan, people=people, run_child=_unknown, answers=answers_for(plan))
    trace = resume(plan, state, world, start=now, now=now, horizon=HORIZON, most_entries=MOST_ENTRIES)
    people.note(trace.state, trace.state.ended_at or now)
    ended = trace.state.ended_at if trace.state.status != "pending" else None
    return Future(ended_at=ended, closed_at=people.closed_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How a task was decided in the past."""

    person: str
    decision: Decision
    at: datetime


@dataclass(kw_only=True)
class PastPeople:
    """An event source: people who decide tasks as they did, by the tasks' ids, and leave the others alone."""

    plan: Plan
    decided: Mapping[str, Decided]
    resubmitted: Mapping[int, datetime]
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event."""
        return min(self._planned(state, now), key=lambda one: one.at, default=None)

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied, or refused: it is not planned again."""
        self.done[planned.mark] = 1

    def _planned(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        if state.returned_at is not None or any(one.returned_at is not None for one in state.stages):
            mark = ("resubmit", state.round)
            at = self.resubmitted.get(state.round + 1)
            if at is not None and mark not in self.done:
                yield PlannedEvent(at=max(at, now), event=Resubmit(by=Actor(person=state.requester)), mark=mark)
            return
        for task in state.open_tasks:
            past = self.decided.get(task.id)
            if past is not None:
                yield from decision_events(
                    self.plan, self.done, task, person=past.person, decision=past.decision, at=max(past.at, now)
                )


def _unknown(*_: Any) -> SimulatedRun | None:
    raise UnknownNextEvent("a sub-process")
