"""The driver: the core in virtual time. It jumps from one moment at which something happens to the next.

It is to the core what `workflows.approval` is on the engine: it gives the time, answers the core's questions about the
directory, and carries nothing out. What falls due comes before what people do at the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from placet.audit.chain import Entry
from placet.definition.assignees import person_id
from placet.directory import Directory, needed
from placet.engine import machine
from placet.engine.events import Delegate, DirectoryRead, Event, Opening, Reassign
from placet.engine.state import Notification, State, Transition
from placet.errors import PlacetError
from placet.plan.plan import Plan

HORIZON = timedelta(days=366)
MOST_ENTRIES = 20_000
# Tasks that are gone through, in all steps together: each step takes longer the more tasks there have been, so that a
# stage that is come to again and again would take minutes long before it takes too many entries.
MOST_WORK = 1_000_000
# What is simulated is made up, or stays with whoever may read it: the same entries each time are worth more.
_SECRET = "simulation"  # noqa: S105 - none


class ReadDirectory(Protocol):
    """What the directory answers for people of a request, by id, and for its input."""

    def __call__(self, asked: tuple[str, ...], given: Mapping[str, object], /) -> Directory: ...


class UnknownNextEvent(Exception):
    """What happens next cannot be told: `why` says of whom."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """One thing that somebody will do: when, and the event."""

    at: datetime
    event: Event
    mark: tuple[Any, ...] = ()  # by what the cast knows that it has been done


class EventSource(Protocol):
    """Whoever acts in a simulation: `simulation.scenario.script.Cast`, or a past request's people."""

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return what happens next, not before `now`; None where nobody does anything more.

        Raises NothingKnown where that cannot be told, which stops the run.
        """

    def note_applied(self, planned: PlannedEvent) -> None:
        """Take note that this move was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedEvent:
    """A move as it was made: how long after the start, and why it was refused, if it was.

    `task_after` is the time since the task that it is about was opened, `seq` how many entries there were before it.
    """

    after: timedelta
    event: Event
    refused: str | None = None
    task_after: timedelta | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How a simulated request went: its entries, whom it would have told, what people did, and where it stands.

    `stopped` says why it did not come to its end: `horizon` (too long), `entries` (too much), `waiting` (for ever), or
    `unknown`, and then `why`.
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
        """How long it took, or has taken so far."""
        end = self.state.ended_at or (self.entries[-1].at if self.entries else self.started_at)
        return end - self.started_at

    def seq_at(self, span: timedelta) -> int:
        """Return how many entries there are once that much time has passed."""
        return sum(entry.at - self.started_at <= span for entry in self.entries)


def directory_reader(plan: Plan, people: Directory) -> ReadDirectory:
    """Return what the directory answers for a request: the part of `people` that it can reach, and nobody else."""
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
            found[key] = needed(
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
) -> Trace:
    """Run one request from its opening to its end; `opening.directory_at` is the moment at which it starts.

    `read` answers what the directory holds now (by default what the opening carries).
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
) -> Trace:
    """Run on from a state: from its beginning where `begin` is given, else from where a request stands at `now`."""
    runner = _RequestRunner(plan, state, now, read_directory)
    applied_events: list[AppliedEvent] = []
    stopped: str | None = None
    why: str | None = None
    work = 0
    if begin is not None:
        runner.begin(begin)
    while runner.state.status == "pending":
        work += len(runner.state.tasks)
        if len(runner.entries) >= most_entries or work > MOST_WORK:
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
            stopped = "horizon"
            break
        runner.now = moment
        if planned is None:
            runner.due()
            continue
        opened, seq = task_opened(runner.state, planned.event), runner.state.seq
        applied_events.append(
            AppliedEvent(
                after=moment - start,
                event=planned.event,
                refused=runner.apply(planned.event),
                task_after=moment - opened if opened is not None else None,
                seq=seq,
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
    """Where one request lies while it is driven: its state, the time, and what has been recorded."""

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

    def apply(self, event: Event) -> str | None:
        """Apply an event; returns why it was refused, if it was."""
        try:
            # As on the engine: whoever is to get a task may be a stranger to the request so far.
            if isinstance(event, Reassign | Delegate) and person_id(event.to) not in self.state.directory.people:
                self._read_directory(person_id(event.to))
            self._take(lambda state: machine.apply(self.plan, state, event, self.now))
        except PlacetError as error:
            return error.message
        return None

    def _take(self, work: Callable[[State], Transition]) -> None:
        step = work(self.state)
        while step.needs_directory:
            self._read_directory(given=step.given)
            step = work(self.state)
        self._keep(step)

    def _read_directory(self, *also: str, given: dict[str, Any] | None = None) -> None:
        """Read it and keep what was read, also where the event is then refused, as on the engine."""
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
    """Return when the task that an event is about was opened, if it is about one."""
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
        secret=_SECRET,
        titled=True,
    )
