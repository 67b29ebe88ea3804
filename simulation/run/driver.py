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
from placet.directory import Directory, needed
from placet.engine import machine
from placet.engine.events import Delegate, DirectoryRead, Event, Opening, Reassign
from placet.engine.state import Notice, State, Transition
from placet.errors import PlacetError
from placet.plan.assignees import person_id
from placet.plan.plan import Plan
from simulation.scenario.script import Move

HORIZON = timedelta(days=366)
MOST_ENTRIES = 20_000
# Tasks that are gone through, in all steps together: each step takes longer the more tasks there have been, so that a
# stage that is come to again and again would take minutes long before it takes too many entries.
MOST_WORK = 1_000_000
# What is simulated is made up, or stays with whoever may read it: the same entries each time are worth more.
_SECRET = "simulation"  # noqa: S105 - none


class Read(Protocol):
    """What the directory answers for people of a request, by id, and for its input."""

    def __call__(self, asked: tuple[str, ...], given: Mapping[str, object], /) -> Directory: ...


class NothingKnown(Exception):
    """What happens next cannot be told: `why` says of whom."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Players(Protocol):
    """Whoever acts in a simulation: `simulation.scenario.script.Cast`, or a past request's people."""

    def next(self, state: State, now: datetime) -> Move | None:
        """Return what happens next, not before `now`; None where nobody does anything more.

        Raises NothingKnown where that cannot be told, which stops the run.
        """

    def acted(self, move: Move) -> None:
        """Take note that this move was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """A move as it was made: how long after the start, and why it was refused, if it was.

    `task_after` is the time since the task that it is about was opened, `seq` how many entries there were before it.
    """

    after: timedelta
    event: Event
    refused: str | None = None
    task_after: timedelta | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a simulated request went: its entries, whom it would have told, what people did, and where it stands.

    `stopped` says why it did not come to its end: `horizon` (too long), `entries` (too much), `waiting` (for ever), or
    `unknown`, and then `why`.
    """

    started_at: datetime
    state: State
    entries: tuple[Entry, ...]
    notices: tuple[Notice, ...]
    acts: tuple[Acted, ...]
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


def reader(plan: Plan, people: Directory) -> Read:
    """Return what the directory answers for a request: the part of `people` that it can reach, and nobody else."""
    names = plan.names
    holding: dict[tuple[str, str], list[str]] = {
        (who.kind, who.name): people.holders(who.name) if who.kind == "role" else people.members(who.name)
        for who in (name.root for name in names)
        if who.kind in {"role", "group"}
    }
    inputs = [name.root.name for name in names if name.root.given]
    found: dict[tuple[object, ...], Directory] = {}

    def read(asked: tuple[str, ...], given: Mapping[str, object]) -> Directory:
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

    return read


def drive(
    plan: Plan,
    opening: Opening,
    players: Players,
    *,
    read: Read | None = None,
    horizon: timedelta = HORIZON,
    most_entries: int = MOST_ENTRIES,
) -> Course:
    """Run one request from its opening to its end; `opening.directory_at` is the moment at which it starts.

    `read` answers what the directory holds now (by default what the opening carries).
    """
    start = opening.directory_at
    state = machine.opening_state(plan, opening, start)
    return resume(
        plan,
        state,
        players,
        start=start,
        now=start,
        begin=opening,
        read=read,
        horizon=horizon,
        most_entries=most_entries,
    )


def resume(
    plan: Plan,
    state: State,
    players: Players,
    *,
    start: datetime,
    now: datetime,
    begin: Opening | None = None,
    read: Read | None = None,
    horizon: timedelta = HORIZON,
    most_entries: int = MOST_ENTRIES,
) -> Course:
    """Run on from a state: from its beginning where `begin` is given, else from where a request stands at `now`."""
    desk = _Desk(plan, state, now, read)
    acts: list[Acted] = []
    stopped: str | None = None
    why: str | None = None
    work = 0
    if begin is not None:
        desk.begin(begin)
    while desk.state.status == "pending":
        work += len(desk.state.tasks)
        if len(desk.entries) >= most_entries or work > MOST_WORK:
            stopped = "entries"
            break
        armed = machine.next_due(plan, desk.state)
        try:
            move = players.next(desk.state, desk.now)
        except NothingKnown as end:
            stopped, why = "unknown", end.why
            break
        if armed is not None and (move is None or armed <= move.at):
            move, moment = None, max(armed, desk.now)
        elif move is not None:
            moment = move.at
        else:
            stopped = "waiting"
            break
        if moment - start > horizon:
            stopped = "horizon"
            break
        desk.now = moment
        if move is None:
            desk.due()
            continue
        opened, seq = task_opened(desk.state, move.event), desk.state.seq
        acts.append(
            Acted(
                after=moment - start,
                event=move.event,
                refused=desk.apply(move.event),
                task_after=moment - opened if opened is not None else None,
                seq=seq,
            )
        )
        players.acted(move)
    return Course(
        started_at=start,
        state=desk.state,
        entries=tuple(desk.entries),
        notices=tuple(desk.notices),
        acts=tuple(acts),
        stopped=stopped,
        why=why,
    )


class _Desk:
    """Where one request lies while it is driven: its state, the time, and what has been recorded."""

    def __init__(self, plan: Plan, state: State, now: datetime, read: Read | None) -> None:
        self.plan = plan
        self.state = state
        self.now = now
        self.entries: list[Entry] = []
        self.notices: list[Notice] = []
        self._read = read

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
        found = self._read((*state.people, *also), given) if self._read is not None else state.directory
        read = DirectoryRead(directory=found, at=self.now, given=given)
        self._keep(machine.apply(self.plan, state, read, self.now))

    def _keep(self, step: Transition) -> None:
        self.state = step.state
        self.entries += step.entries
        self.notices += step.notices


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
    read: Read | None = None,
    parent: str | None = None,
) -> Opening:
    """Return the opening of a simulated request, with the part of the directory that it can reach."""
    look = read or reader(plan, people)
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
