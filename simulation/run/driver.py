"""The driver: runs the core in virtual time, from one time at which something happens to the next.

It does for the core what `workflows.approval` does on the engine: it provides the time, answers the core's questions
about the directory, and carries nothing out. What falls due comes before the events of people at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from placet.audit.chain import Entry
from placet.definition.assignees import person_id
from placet.directory import Directory, people_reached
from placet.engine import machine
from placet.engine.bound_action import BoundAction
from placet.engine.events import DirectoryRead, Event, NamesPerson, Opening
from placet.engine.state import Notification, State, Transition
from placet.errors import PlacetError, codes_of
from placet.plan.plan import Plan

HORIZON = timedelta(days=366)
MOST_ENTRIES = 20_000
# Tasks that are visited, in all steps together: each step takes longer the more tasks there are, so that a stage that
# is entered again and again would take minutes long before it has too many entries.
MOST_VISITED_TASKS = 1_000_000
# A fixed secret gives the same entries each time; simulated content needs no protection by it.
_SECRET = "simulation"  # noqa: S105 - none


class ReadDirectory(Protocol):
    """The function that reads the directory for the people of a request, by id, and for its input."""

    def __call__(self, asked: tuple[str, ...], given: Mapping[str, object], /) -> Directory: ...


class UnknownNextEvent(Exception):
    """The next event of a simulation is unknown; `why` says which one."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """An event that will be applied at a time."""

    at: datetime
    event: Event
    mark: tuple[Any, ...] = ()  # by which its event source knows that it was applied


class EventSource(Protocol):
    """The source of the events of a simulated request: scripted people, recorded people, or a whole simulated world."""

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event, not before `now`; None where there are no more events.

        Raises UnknownNextEvent where the next event is not known, which stops the run.
        """

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedEvent:
    """An event that was applied `after` the start, and why the core refused it, if it did.

    `codes` are those of the refusal, its own first (placet.errors.codes_of); `task_after` is the time since its task
    was opened; `seq` is the number of entries before it; `mark` is that of the planned event.
    """

    after: timedelta
    event: Event
    refused: str | None = None
    codes: tuple[str, ...] = ()
    task_after: timedelta | None = None
    seq: int = 0
    mark: tuple[Any, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The trace of a simulated request: its entries, notifications, applied events, and last state.

    `stopped` says why it did not reach its end: `horizon` (too much time), `entries` (too many), `waiting` (for ever),
    or `unknown`, with `why`.
    """

    started_at: datetime
    state: State
    entries: tuple[Entry, ...]
    notifications: tuple[Notification, ...]
    applied_events: tuple[AppliedEvent, ...]
    stopped: str | None = None
    why: str | None = None

    @property
    def duration(self) -> timedelta:
        """The duration of the request, until its last entry where it has not ended."""
        end = self.state.ended_at or (self.entries[-1].at if self.entries else self.started_at)
        return end - self.started_at

    def seq_at(self, span: timedelta) -> int:
        """Return the number of entries up to this time after the start."""
        return sum(entry.at - self.started_at <= span for entry in self.entries)


def directory_reader(plan: Plan, people: Directory) -> ReadDirectory:
    """Return the function that reads the directory for a request: the part of `people` that it can reach."""
    names = plan.names
    holding: dict[tuple[str, str], list[str]] = {
        (who.kind, who.name): people.holders(who.name) if who.kind == "role" else people.members(who.name)
        for who in (name.root for name in names)
        if who.kind in {"role", "group"}
    }
    inputs = [name.root.name for name in names if name.root.given]
    found: dict[tuple[object, ...], Directory] = {}

    def read_directory(asked: tuple[str, ...], given: Mapping[str, object]) -> Directory:
        key = (asked, *(str(given.get(name)) for name in inputs))
        if key not in found:
            found[key] = people_reached(
                names,
                find=people.people.get,
                holders=lambda role: [people.people[i] for i in holding.get(("role", role), [])],
                members=lambda group: [people.people[i] for i in holding.get(("group", group), [])],
                also=asked,
                given=given,
            )
        return found[key]

    return read_directory


def drive(
    plan: Plan,
    opening: Opening,
    event_source: EventSource,
    *,
    read_directory: ReadDirectory | None = None,
    horizon: timedelta = HORIZON,
    most_entries: int = MOST_ENTRIES,
    until_claimed: bool = False,
) -> Trace:
    """Run one request from its opening to its end; `opening.directory_at` is the time at which it starts.

    `read_directory` reads the directory (by default, the one that the opening carries). With `until_claimed` the run
    goes on after an approval until its action is claimed, or can no longer be.
    """
    start = opening.directory_at
    state = machine.opening_state(plan, opening, start)
    return resume(
        plan,
        state,
        event_source,
        start=start,
        now=start,
        begin=opening,
        read_directory=read_directory,
        horizon=horizon,
        most_entries=most_entries,
        until_claimed=until_claimed,
    )


def resume(
    plan: Plan,
    state: State,
    event_source: EventSource,
    *,
    start: datetime,
    now: datetime,
    begin: Opening | None = None,
    read_directory: ReadDirectory | None = None,
    horizon: timedelta = HORIZON,
    most_entries: int = MOST_ENTRIES,
    until_claimed: bool = False,
) -> Trace:
    """Continue a request from a state at `now`; `begin` is its opening where it has not begun."""
    runner = _RequestRunner(plan, state, now, read_directory)
    applied_events: list[AppliedEvent] = []
    stopped: str | None = None
    why: str | None = None
    visited_tasks = 0
    if begin is not None:
        runner.begin(begin)
    while runner.state.status == "pending" or (until_claimed and runner.state.claimable):
        visited_tasks += len(runner.state.tasks)
        if len(runner.entries) >= most_entries or visited_tasks > MOST_VISITED_TASKS:
            stopped = "entries"
            break
        due = machine.next_due(plan, runner.state)
        try:
            planned = event_source.next(runner.state, runner.now)
        except UnknownNextEvent as end:
            stopped, why = "unknown", end.why
            break
        if due is not None and (planned is None or due <= planned.at):
            planned, moment = None, max(due, runner.now)
        elif planned is not None:
            moment = planned.at
        else:
            stopped = "waiting"
            break
        if moment - start > horizon:
            stopped = "horizon" if runner.state.status == "pending" else None
            break
        runner.now = moment
        if planned is None:
            runner.due()
            continue
        opened, seq = task_opened(runner.state, planned.event), runner.state.seq
        refusal = runner.apply(planned.event)
        applied_events.append(
            AppliedEvent(
                after=moment - start,
                event=planned.event,
                refused=refusal.message if refusal is not None else None,
                codes=codes_of(refusal) if refusal is not None else (),
                task_after=moment - opened if opened is not None else None,
                seq=seq,
                mark=planned.mark,
            )
        )
        event_source.note_applied(planned)
    return Trace(
        started_at=start,
        state=runner.state,
        entries=tuple(runner.entries),
        notifications=tuple(runner.notifications),
        applied_events=tuple(applied_events),
        stopped=stopped,
        why=why,
    )


class _RequestRunner:
    """One request while it is simulated: its state, the time, and what has been recorded."""

    def __init__(self, plan: Plan, state: State, now: datetime, read_directory: ReadDirectory | None) -> None:
        self.plan = plan
        self.state = state
        self.now = now
        self.entries: list[Entry] = []
        self.notifications: list[Notification] = []
        self._read_directory_function = read_directory

    def begin(self, opening: Opening) -> None:
        self._take(lambda state: machine.begin(self.plan, opening, state, self.now))

    def due(self) -> None:
        self._take(lambda state: machine.due(self.plan, state, self.now))

    def apply(self, event: Event) -> PlacetError | None:
        """Apply an event; returns why the core refused it, or None."""
        try:
            # As on the engine: the new assignee may be a person whom the request has not read yet.
            if isinstance(event, NamesPerson) and person_id(event.to) not in self.state.directory.people:
                self._read_directory(person_id(event.to))
            self._take(lambda state: machine.apply(self.plan, state, event, self.now))
        except PlacetError as error:
            return error
        return None

    def _take(self, visited_tasks: Callable[[State], Transition]) -> None:
        step = visited_tasks(self.state)
        while step.needs_directory:
            self._read_directory(given=step.given)
            step = visited_tasks(self.state)
        self._keep(step)

    def _read_directory(self, *also: str, given: dict[str, Any] | None = None) -> None:
        """Read the directory and record the result, also where the event is then refused, as on the engine."""
        state = self.state
        given = state.input if given is None else given
        found = (
            self._read_directory_function((*state.people, *also), given)
            if self._read_directory_function is not None
            else state.directory
        )
        read_directory = DirectoryRead(directory=found, at=self.now, given=given)
        self._keep(machine.apply(self.plan, state, read_directory, self.now))

    def _keep(self, step: Transition) -> None:
        self.state = step.state
        self.entries += step.entries
        self.notifications += step.notifications


def task_opened(state: State, event: Event) -> datetime | None:
    """Return when the task of an event was opened; None for an event without a task."""
    task_id: str | None = getattr(event, "task_id", None)
    task = state.task(task_id) if task_id is not None else None
    return task.opened_at if task is not None else None


def opening_for(
    plan: Plan,
    people: Directory,
    *,
    requester: str,
    given: Mapping[str, object],
    start: datetime,
    request_id: str,
    title: str = "Simulation",
    read_directory: ReadDirectory | None = None,
    parent: str | None = None,
    action: BoundAction | None = None,
) -> Opening:
    """Return the opening of a simulated request, with the part of the directory that it can reach."""
    look = read_directory or directory_reader(plan, people)
    return Opening(
        request_id=request_id,
        requester=requester,
        title=title,
        input=dict(given),
        directory=look((requester,), given),
        directory_at=start,
        parent=parent,
        action=action,
        secret=_SECRET,
        titled=True,
    )
