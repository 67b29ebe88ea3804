"""The past: what people did in a real request, read from its timeline, and acted out again in another course.

A tenure is the time in which one person had one task: how long it lasted and what they did in it. In another course the
same person gets the same tenure again when they are asked in the same stage. Nothing is guessed: where somebody was
never asked in a stage, or has the task longer than they ever had it, what they would have done is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from placet.audit.reasons import said
from placet.engine import machine
from placet.engine.events import (
    SYSTEM,
    Actor,
    Claim,
    Comment,
    Decide,
    Delegate,
    Event,
    Extend,
    Reassign,
    Release,
    Resubmit,
    Withdraw,
)
from placet.engine.state import State, Task
from placet.plan.assignees import person_id
from placet.plan.plan import Plan
from simulation.report.comparison import TOLERANCE, ComparedEvent
from simulation.run.driver import NothingKnown
from simulation.scenario.script import Cast, Habits, Line, Move, habitual, speaks_of

DeedKind = Literal["decide", "claim", "release", "delegate", "reassign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing that was done to a task, so long after the tenure began; `by` is set where somebody else did it."""

    after: timedelta
    kind: DeedKind
    decision: Any = None
    comment: str | None = None
    form: dict[str, Any] | None = None
    to: str | None = None
    keep: bool = False
    by: str | None = None
    via: str = "simulation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """The time in which a person had a task of a stage. `ongoing`: they had it when the past ended."""

    stage: str
    person: str
    lasted: timedelta
    deeds: tuple[Deed, ...] = ()
    ongoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One thing that was done to the request as a whole, so long after it began (a resubmission: was returned)."""

    after: timedelta
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What people did in one request."""

    tenures: tuple[Tenure, ...]
    spoken: tuple[Spoken, ...] = ()
    resubmitted: tuple[Spoken, ...] = ()


@dataclass
class _Holding:
    place: int
    stage: str
    since: datetime
    deeds: list[Deed] = field(default_factory=list)


def past_of(entries: Sequence[ComparedEvent], *, until: datetime | None = None) -> Past:
    """Read a request's timeline, oldest entry first; one that still runs is known `until` now."""
    return _Reader(entries, until).read()


class _Reader:
    def __init__(self, entries: Sequence[ComparedEvent], until: datetime | None) -> None:
        self._entries = entries
        self._until = until
        self._held: dict[tuple[str, str], _Holding] = {}  # (task, person)
        self._tenures: list[Tenure] = []
        self._places: list[int] = []  # of each tenure among all, by when they began
        self._spoken: list[Spoken] = []
        self._resubmitted: list[Spoken] = []
        self._opened: dict[str, tuple[str, datetime]] = {}
        self._candidates: dict[str, list[str]] = {}

    def read(self) -> Past:
        if not self._entries:
            return Past(tenures=())
        start, end = self._entries[0].at, self._until or self._entries[-1].at
        returned = start
        for entry in self._entries:
            if entry.kind == "changes_requested":
                returned = entry.at
            if entry.task_id is not None:
                self._task(entry, entry.task_id)
            elif entry.kind == "resubmitted":
                after = entry.detail.get("after") or {}
                titled = _titled(entry.detail.get("changes"))
                event = Resubmit(
                    by=_actor(entry),
                    input=after.get("input"),
                    title=after.get("title") if titled else None,
                    comment=said(entry.detail),
                )
                self._resubmitted.append(Spoken(after=entry.at - returned, event=event))
            elif (spoken := _spoken(entry)) is not None:
                self._spoken.append(Spoken(after=entry.at - start, event=spoken))
        for task_id, person in list(self._held):
            self._end(task_id, person, end, ongoing=True)
        # Somebody may have two tasks of a stage at once; in another course they get them in the same order. What went
        # on to somebody else at the very moment at which it came is nobody's in another course either.
        placed = sorted(zip(self._places, self._tenures, strict=True), key=lambda pair: pair[0])
        ordered = [tenure for _, tenure in placed if tenure.lasted or tenure.deeds or tenure.ongoing]
        return Past(tenures=tuple(ordered), spoken=tuple(self._spoken), resubmitted=tuple(self._resubmitted))

    def _task(self, entry: ComparedEvent, task_id: str) -> None:
        handle = {
            "task_opened": self._task_opened,
            "escalated": self._escalated,
            "reassigned": self._handed_over,
            "delegated": self._handed_over,
            "claimed": self._claimed,
            "released": self._released,
            "decided": self._decided,
            "changes_requested": self._decided,
            "task_closed": self._closed,
            "extended": self._extended,
        }.get(entry.kind)
        if handle is not None:
            handle(entry, task_id)

    def _task_opened(self, entry: ComparedEvent, task_id: str) -> None:
        detail = entry.detail
        self._opened[task_id] = (entry.stage or "", entry.at)
        self._candidates[task_id] = [person_id(c) for c in detail.get("candidates") or ()]
        people = [person_id(detail["assignee"])] if detail.get("assignee") else self._candidates[task_id]
        for person in people:
            self._begin(task_id, person, entry.at)

    def _escalated(self, entry: ComparedEvent, task_id: str) -> None:
        detail = entry.detail
        if detail.get("action") == "reassign":
            self._end_all(task_id, entry.at)
        if detail.get("action") != "notify":
            for person in (detail.get("after") or {}).get("to") or ():
                self._begin(task_id, person_id(person), entry.at)

    def _claimed(self, entry: ComparedEvent, task_id: str) -> None:
        person = person_id(entry.actor)
        self._deed(task_id, person, entry.at, kind="claim")
        for other in self._candidates.get(task_id, ()):  # whoever was added to them keeps the task
            if other != person and (task_id, other) in self._held:
                self._end(task_id, other, entry.at)

    def _released(self, entry: ComparedEvent, task_id: str) -> None:
        self._deed(task_id, person_id(entry.actor), entry.at, kind="release")
        self._end_all(task_id, entry.at)
        for person in self._candidates.get(task_id, ()):
            self._begin(task_id, person, entry.at)

    def _decided(self, entry: ComparedEvent, task_id: str) -> None:
        detail = entry.detail
        if "via" in detail:  # one that was carried over nobody did
            self._deed(
                task_id,
                person_id(entry.actor),
                entry.at,
                kind="decide",
                decision=detail.get("decision"),
                comment=said(detail),
                form=detail.get("form"),
                via=detail["via"],
            )
        self._end_all(task_id, entry.at)

    def _closed(self, entry: ComparedEvent, task_id: str) -> None:
        self._end_all(task_id, entry.at)

    def _extended(self, entry: ComparedEvent, task_id: str) -> None:
        due = datetime.fromisoformat((entry.detail.get("after") or {})["due_at"])
        by = Actor(person=person_id(entry.actor), admin=True)
        event = Extend(by=by, task_id=task_id, due_at=due, reason=said(entry.detail))
        self._spoken.append(Spoken(after=entry.at - self._entries[0].at, event=event))

    def _handed_over(self, entry: ComparedEvent, task_id: str) -> None:
        detail, at = entry.detail, entry.at
        after = detail.get("after") or {}
        actor = person_id(entry.actor)
        if detail.get("keep"):
            new = [person_id(p) for p in after.get("delegates") or ()]
            for person in new:
                if (task_id, person) not in self._held:
                    self._deed(task_id, actor, at, kind="delegate", to=person, keep=True, comment=said(detail))
                    self._begin(task_id, person, at)
            return
        to = person_id(after.get("assignee") or "")
        if actor != SYSTEM:
            kind: DeedKind = "delegate" if entry.kind == "delegated" else "reassign"
            before = person_id((detail.get("before") or {}).get("assignee") or actor)
            by = actor if actor != before else None
            self._deed(task_id, before, at, kind=kind, to=to, comment=said(detail), by=by)
        self._end_all(task_id, at)
        self._begin(task_id, to, at)

    def _begin(self, task_id: str, person: str, at: datetime) -> None:
        stage = self._opened.get(task_id, ("", at))[0]
        self._held[task_id, person] = _Holding(place=self._place(), stage=stage, since=at)

    def _deed(self, task_id: str, person: str, at: datetime, **facts: Any) -> None:
        holding = self._held.get((task_id, person))
        if holding is None:
            stage, opened = self._opened.get(task_id, ("", self._entries[0].at))
            holding = self._held[task_id, person] = _Holding(place=self._place(), stage=stage, since=opened)
        holding.deeds.append(Deed(after=at - holding.since, **facts))

    def _place(self) -> int:
        return len(self._held) + len(self._tenures)  # how many began before

    def _end_all(self, task_id: str, at: datetime) -> None:
        for task, person in list(self._held):
            if task == task_id:
                self._end(task, person, at)

    def _end(self, task_id: str, person: str, at: datetime, *, ongoing: bool = False) -> None:
        holding = self._held.pop((task_id, person))
        self._places.append(holding.place)
        self._tenures.append(
            Tenure(
                stage=holding.stage,
                person=person,
                lasted=at - holding.since,
                deeds=tuple(holding.deeds),
                ongoing=ongoing,
            )
        )


@dataclass(kw_only=True)
class Again:
    """The people of a past request in another course. Use one for each run.

    A stage that `lines` speak of is acted by the script instead. `beyond` are the habits of those of whom nothing is
    known; without them the run stops there, as unknown.
    """

    plan: Plan
    past: Past
    lines: Sequence[Line] = ()
    beyond: Habits | None = None
    assumed: set[tuple[str, str]] = field(default_factory=set)  # (stage, person) for whom habits stood in

    def __post_init__(self) -> None:
        self._left: dict[tuple[str, str], list[Tenure]] = {}
        for tenure in reversed(self.past.tenures):
            self._left.setdefault((tenure.stage, tenure.person), []).append(tenure)
        self._tenures: dict[tuple[str, str, tuple[int, int]], tuple[datetime, Tenure | None]] = {}
        self._done: dict[tuple[Any, ...], int] = {}
        self._queued: dict[str, tuple[bool, int]] = {}  # by task: whether it was claimed, how often it went back
        silent = Habits(decision=None)
        self._cast = Cast(plan=self.plan, lines=self.lines, habits=silent)

    def next(self, state: State, now: datetime) -> Move | None:
        """Return what happens next; raises NothingKnown."""
        for task in state.tasks:
            if task.candidates:
                claimed, back = self._queued.get(task.id, (False, 0))
                self._queued[task.id] = (task.assignee is not None, back + (claimed and task.assignee is None))
        moves = list(self._moves(state, now))
        if self.lines and (scripted := self._cast.next(state, now)) is not None:
            moves.append(scripted)
        best = min(moves, key=lambda m: m.at, default=None)
        if best is None:
            return self._beyond(state, now)
        if isinstance(best.event, Withdraw) and (unknown := self._unknown_before(state, best.at, now)) is not None:
            if self.beyond is None:
                raise NothingKnown(unknown)
            return min((best, *self._habits(state, now)), key=lambda m: m.at)
        return best

    def acted(self, move: Move) -> None:
        """Take note that a move was made."""
        self._done[move.mark] = 1
        self._cast.acted(move)

    def _moves(self, state: State, now: datetime) -> Iterator[Move]:
        returned = min((s.returned_at for s in state.stages if s.returned_at is not None), default=None)
        if returned is not None:
            index = state.round - 1
            if index < len(self.past.resubmitted):
                spoken = self.past.resubmitted[index]
                mark = ("resubmit", index)
                if mark not in self._done:
                    yield Move(at=max(returned + spoken.after, now), event=spoken.event, mark=mark)
        for index, spoken in enumerate(self.past.spoken):
            if ("spoken", index) not in self._done:
                at = max(state.started_at + spoken.after, now)
                yield Move(at=at, event=_again(spoken.event, state), mark=("spoken", index))
        if returned is not None:
            return
        for task in state.tasks:
            if task.status != "open" or any(speaks_of(line, task) for line in self.lines):
                continue
            for person in task.people:
                since, tenure = self._tenure(task, person, now)
                if tenure is not None:
                    yield from self._deeds(task, person, since, tenure, now)

    def _tenure(self, task: Task, person: str, now: datetime) -> tuple[datetime, Tenure | None]:
        key = (task.id, person, self._times(task, person))
        if key not in self._tenures:
            left = self._left.get((task.stage, person))
            self._tenures[key] = (now, left.pop() if left else None)
        return self._tenures[key]

    def _times(self, task: Task, person: str) -> tuple[int, int]:
        """Tell apart the times at which somebody is given a task: how often it went back to a queue, how often to them.

        An escalation may bring it back to them; a claim goes on with the time that began in the queue.
        """
        claimed = task.via == "claim" and task.assignee == person
        count = task.held_by.count(person) - claimed
        if task.candidates and (task.assignee is None or task.via == "claim"):
            return self._queued[task.id][1], count
        return -1, max(1, count)

    def _deeds(self, task: Task, person: str, since: datetime, tenure: Tenure, now: datetime) -> Iterator[Move]:
        for index, deed in enumerate(tenure.deeds):
            mark = ("deed", task.id, person, self._times(task, person), index)
            if mark in self._done:
                continue
            event = _deed_event(task, person, deed)
            if event is not None:
                yield Move(at=max(since + deed.after, now), event=event, mark=mark)
            return  # one after the other

    def _beyond(self, state: State, now: datetime) -> Move | None:
        """Let time pass as long as everybody's silence is known; then habits stand in, or nothing is known."""
        waiting = [
            (self._edge(task, person, now), task, person)
            for task in state.tasks
            if task.status == "open" and not any(speaks_of(line, task) for line in self.lines)
            for person in task.people
        ]
        if not waiting:
            if any(s.returned_at is not None for s in state.stages):
                if self.beyond is None:
                    raise NothingKnown("the requester was never asked to change the request")
                by = Actor(person=state.requester)
                mark = ("resubmit", state.round)
                return None if mark in self._done else Move(at=now, event=Resubmit(by=by), mark=mark)
            return None
        edge, task, person = min(waiting, key=lambda w: w[0])
        due = machine.next_due(self.plan, state)
        if due is not None and due <= edge:
            return None
        if self.beyond is None:
            raise NothingKnown(f"what {person} does in {task.stage} is not known")
        return min(self._habits(state, now), key=lambda m: m.at, default=None)

    def _unknown_before(self, state: State, moment: datetime, now: datetime) -> str | None:
        """Say of whom nobody knows what they would have done by then: a stage may have ended the request before.

        A stage of which somebody is known to be silent until then waits for them.
        """
        for run in state.stages:
            if run.returned_at is not None:
                continue
            edges = [
                (self._edge(task, person, now), person)
                for task in state.tasks_of(run)
                if task.node == run.node and task.status == "open"
                if not any(speaks_of(line, task) for line in self.lines)
                for person in task.people
            ]
            if edges and max(edges)[0] + TOLERANCE < moment:
                stage = self.plan.nodes[run.node].stage
                return f"what {max(edges)[1]} does in {stage.name if stage is not None else run.node} is not known"
        return None

    def _edge(self, task: Task, person: str, now: datetime) -> datetime:
        since, tenure = self._tenure(task, person, now)
        return since if tenure is None else since + tenure.lasted

    def _habits(self, state: State, now: datetime) -> Iterator[Move]:
        habits = self.beyond
        if habits is None or habits.decision is None:
            return
        for task in state.tasks:
            stage = self.plan.nodes[task.node].asked
            person = next(iter(task.people), None)
            if task.status == "open" and stage is not None and person is not None:
                self.assumed.add((task.stage, person))
                # What is not known begins where the known silence ends, and takes what a decision takes from there.
                span = habits.moment(self.plan, stage, task) - task.opened_at
                at = max(self._edge(task, person, now) + span, now)
                yield from habitual(
                    self._done, self.plan.nodes[task.node], task, person=person, decision=habits.decision, at=at
                )


def _deed_event(task: Task, person: str, deed: Deed) -> Event | None:
    by = Actor(person=person)
    queued = task.assignee is None and person in task.candidates
    if deed.kind == "claim" or (deed.kind == "decide" and queued):
        return Claim(by=by, task_id=task.id)
    if deed.kind == "decide":
        return Decide(
            by=by,
            task_id=task.id,
            decision=deed.decision,
            comment=deed.comment,
            form=deed.form,
            via=deed.via,
        )
    if deed.kind == "release":
        return Release(by=by, task_id=task.id)
    if deed.kind == "delegate":
        return Delegate(by=by, task_id=task.id, to=deed.to or "", keep=deed.keep, reason=deed.comment)
    actor = Actor(person=deed.by, admin=True) if deed.by else by
    return Reassign(by=actor, task_id=task.id, to=deed.to or "", reason=deed.comment)


def _spoken(entry: ComparedEvent) -> Event | None:
    by = _actor(entry)
    why = said(entry.detail)
    if entry.kind == "commented" and why:
        return Comment(by=by, text=why)
    if entry.kind == "withdrawn":
        return Withdraw(by=by, reason=why)
    if entry.kind == "cancelled":
        return Withdraw(by=Actor(person=by.person, admin=True), how="cancelled", reason=why)
    return None


def _again(event: Event, state: State) -> Event:
    """Return the event as it is for this course's request."""
    if isinstance(event, Extend) and event.task_id is not None:
        return replace(event, task_id=f"{state.request_id}.{event.task_id.rpartition('.')[2]}")
    return event


def _actor(entry: ComparedEvent) -> Actor:
    return Actor(person=person_id(entry.actor))


def _titled(changes: object) -> bool:
    """Whether the requester gave another title, by what an entry says was changed (an erased one says nothing)."""
    return isinstance(changes, list) and any(change["field"] == "title" for change in changes)
