"""Recorded decisions: what people did in a real request, read from its timeline.

An assignment period is the time during which one person had one task: how long it lasted, and what they did with the
task. In a simulation of the request, the same person gets the same period again when they have a task of the same stage
(simulation.world.recorded_people).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from placet.audit.reasons import personal_words
from placet.audit.sealed import erased
from placet.definition.assignees import person_id
from placet.engine.events import (
    SYSTEM,
    Actor,
    AnswerQuestion,
    AskQuestion,
    Attach,
    Comment,
    Event,
    Extend,
    Resubmit,
    Withdraw,
)
from simulation.report.comparison import TimelineEvent

TaskEventKind = Literal["decide", "claim", "release", "delegate", "reassign", "add"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """An event on a task, `after` the start of the period; `by` is set where another person caused it."""

    after: timedelta
    kind: TaskEventKind
    decision: Any = None
    comment: str | None = None
    form: dict[str, Any] | None = None
    to: str | None = None
    keep: bool = False
    by: str | None = None
    via: str = "simulation"
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentPeriod:
    """The time during which a person had a task of a stage. `ongoing`: they still had it when the timeline ended.

    `unassigned`: they acted on a task that was not assigned to them, as a substitute does; it counts from the opening
    of the task.
    """

    stage: str
    person: str
    duration: timedelta
    events: tuple[TaskEvent, ...] = ()
    ongoing: bool = False
    unassigned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """An event on the request as a whole, `after` its start, or after its return.

    The latter are resubmissions, and the files that were attached in a `round` while the request was returned.
    """

    after: timedelta
    event: Event
    round: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecisions:
    """What people did in one request: periods in the order in which they began, request events and resubmissions."""

    periods: tuple[AssignmentPeriod, ...]
    request_events: tuple[RequestEvent, ...] = ()
    resubmissions: tuple[RequestEvent, ...] = ()


@dataclass
class _OpenPeriod:
    position: int
    stage: str
    since: datetime
    events: list[TaskEvent] = field(default_factory=list)
    unassigned: bool = False


def recorded_decisions_of(entries: Sequence[TimelineEvent], *, until: datetime | None = None) -> RecordedDecisions:
    """Read a timeline, oldest entry first; `until` is now for a request that still runs."""
    return _TimelineReader(entries, until).read()


class _TimelineReader:
    def __init__(self, entries: Sequence[TimelineEvent], until: datetime | None) -> None:
        self._entries = _without_undone(entries)
        self._until = until
        self._open_periods: dict[tuple[str, str], _OpenPeriod] = {}  # (task, person)
        self._periods: list[AssignmentPeriod] = []
        self._positions: list[int] = []  # the order in which the periods began
        self._request_events: list[RequestEvent] = []
        self._resubmissions: list[RequestEvent] = []
        self._opened: dict[str, tuple[str, datetime]] = {}
        self._candidates: dict[str, list[str]] = {}

    def read(self) -> RecordedDecisions:
        if not self._entries:
            return RecordedDecisions(periods=())
        start, end = self._entries[0].at, self._until or self._entries[-1].at
        returned, waits = start, False
        for entry in self._entries:
            if entry.kind == "changes_requested":
                returned, waits = entry.at, True
            elif entry.kind == "resubmitted":
                waits = False
            if entry.kind == "attached" and waits and (attached := _request_event(entry)) is not None:
                number = len(self._resubmissions) + 1
                self._request_events.append(RequestEvent(after=entry.at - returned, event=attached, round=number))
            elif (request_event := _request_event(entry)) is not None:
                self._request_events.append(RequestEvent(after=entry.at - start, event=request_event))
            elif entry.task_id is not None:
                self._task(entry, entry.task_id)
            elif entry.kind == "resubmitted":
                after = entry.detail.get("after") or {}
                titled = _changes_title(entry.detail.get("changes"))
                event = Resubmit(
                    by=_actor(entry),
                    input=after.get("input"),
                    title=after.get("title") if titled else None,
                    comment=personal_words(entry.detail),
                )
                self._resubmissions.append(RequestEvent(after=entry.at - returned, event=event))
        for task_id, person in list(self._open_periods):
            self._end(task_id, person, end, ongoing=True)
        # A person may have two tasks of a stage at once, and gets them in the same order again. A period that ended at
        # the moment at which it began is left out.
        in_order = sorted(zip(self._positions, self._periods, strict=True), key=lambda pair: pair[0])
        ordered = [period for _, period in in_order if period.duration or period.events or period.ongoing]
        return RecordedDecisions(
            periods=tuple(ordered), request_events=tuple(self._request_events), resubmissions=tuple(self._resubmissions)
        )

    def _task(self, entry: TimelineEvent, task_id: str) -> None:
        handle = {
            "task_opened": self._task_opened,
            "escalated": self._escalated,
            "reassigned": self._handed_over,
            "delegated": self._handed_over,
            "approver_added": self._added,
            "claimed": self._claimed,
            "released": self._released,
            "decided": self._decided,
            "changes_requested": self._decided,
            "task_closed": self._closed,
            "extended": self._extended,
        }.get(entry.kind)
        if handle is not None:
            handle(entry, task_id)

    def _task_opened(self, entry: TimelineEvent, task_id: str) -> None:
        detail = entry.detail
        self._opened[task_id] = (entry.stage or "", entry.at)
        self._candidates[task_id] = [person_id(c) for c in detail.get("candidates") or ()]
        people = [person_id(detail["assignee"])] if detail.get("assignee") else self._candidates[task_id]
        for person in people:
            self._begin(task_id, person, entry.at)

    def _escalated(self, entry: TimelineEvent, task_id: str) -> None:
        detail = entry.detail
        if detail.get("action") == "reassign":
            self._end_all(task_id, entry.at)
        if detail.get("action") != "notify":
            for person in (detail.get("after") or {}).get("to") or ():
                self._begin(task_id, person_id(person), entry.at)

    def _added(self, entry: TimelineEvent, task_id: str) -> None:
        actor, to = person_id(entry.actor), person_id(entry.detail.get("to") or "")
        holder = next((person for task, person in self._open_periods if task == task_id), actor)
        by = None if (task_id, actor) in self._open_periods else actor
        whose = actor if by is None else holder
        self._record(task_id, whose, entry.at, kind="add", to=to, comment=personal_words(entry.detail), by=by)

    def _claimed(self, entry: TimelineEvent, task_id: str) -> None:
        person = person_id(entry.actor)
        self._record(task_id, person, entry.at, kind="claim", on_behalf_of=_behalf(entry))
        for other in self._candidates.get(task_id, ()):  # a person who was added to the task keeps it
            if other != person and (task_id, other) in self._open_periods:
                self._end(task_id, other, entry.at)

    def _released(self, entry: TimelineEvent, task_id: str) -> None:
        self._record(task_id, person_id(entry.actor), entry.at, kind="release")
        self._end_all(task_id, entry.at)
        for person in self._candidates.get(task_id, ()):
            self._begin(task_id, person, entry.at)

    def _decided(self, entry: TimelineEvent, task_id: str) -> None:
        detail = entry.detail
        if "via" in detail:  # a decision that was carried over was made by nobody
            self._record(
                task_id,
                person_id(entry.actor),
                entry.at,
                kind="decide",
                decision=detail.get("decision"),
                comment=personal_words(detail),
                form=detail.get("form"),
                via=detail["via"],
                on_behalf_of=_behalf(entry),
            )
        self._end_all(task_id, entry.at)

    def _closed(self, entry: TimelineEvent, task_id: str) -> None:
        self._end_all(task_id, entry.at)

    def _extended(self, entry: TimelineEvent, task_id: str) -> None:
        due = datetime.fromisoformat((entry.detail.get("after") or {})["due_at"])
        by = Actor(person=person_id(entry.actor), admin=True)
        event = Extend(by=by, task_id=task_id, due_at=due, reason=personal_words(entry.detail))
        self._request_events.append(RequestEvent(after=entry.at - self._entries[0].at, event=event))

    def _handed_over(self, entry: TimelineEvent, task_id: str) -> None:
        detail, at = entry.detail, entry.at
        after = detail.get("after") or {}
        actor = person_id(entry.actor)
        if detail.get("keep"):
            new = [person_id(p) for p in after.get("delegates") or ()]
            for person in new:
                if (task_id, person) not in self._open_periods:
                    self._record(
                        task_id, actor, at, kind="delegate", to=person, keep=True, comment=personal_words(detail)
                    )
                    self._begin(task_id, person, at)
            return
        to = person_id(after.get("assignee") or "")
        if actor != SYSTEM:
            kind: TaskEventKind = "delegate" if entry.kind == "delegated" else "reassign"
            before = person_id((detail.get("before") or {}).get("assignee") or actor)
            by = actor if actor != before else None
            self._record(task_id, before, at, kind=kind, to=to, comment=personal_words(detail), by=by)
        self._end_all(task_id, at)
        self._begin(task_id, to, at)

    def _begin(self, task_id: str, person: str, at: datetime) -> None:
        stage = self._opened.get(task_id, ("", at))[0]
        self._open_periods[task_id, person] = _OpenPeriod(position=self._next_position(), stage=stage, since=at)

    def _record(self, task_id: str, person: str, at: datetime, **facts: Any) -> None:
        open_period = self._open_periods.get((task_id, person))
        if open_period is None:
            stage, opened = self._opened.get(task_id, ("", self._entries[0].at))
            open_period = self._open_periods[task_id, person] = _OpenPeriod(
                position=self._next_position(), stage=stage, since=opened, unassigned=True
            )
        open_period.events.append(TaskEvent(after=at - open_period.since, **facts))

    def _next_position(self) -> int:
        return len(self._open_periods) + len(self._periods)  # the number of periods that began before

    def _end_all(self, task_id: str, at: datetime) -> None:
        for task, person in list(self._open_periods):
            if task == task_id:
                self._end(task, person, at)

    def _end(self, task_id: str, person: str, at: datetime, *, ongoing: bool = False) -> None:
        open_period = self._open_periods.pop((task_id, person))
        self._positions.append(open_period.position)
        self._periods.append(
            AssignmentPeriod(
                stage=open_period.stage,
                person=person,
                duration=at - open_period.since,
                events=tuple(open_period.events),
                ongoing=ongoing,
                unassigned=open_period.unassigned,
            )
        )


def _without_undone(entries: Sequence[TimelineEvent]) -> list[TimelineEvent]:
    """Leave out decisions that were undone: what counts is what the person decided then, or that they did not."""
    last: dict[str | None, int] = {}
    gone: set[int] = set()
    for place, entry in enumerate(entries):
        if entry.kind in {"decided", "changes_requested"}:
            last[entry.task_id] = place
        elif entry.kind == "decision_undone" and entry.task_id in last:
            gone.add(last[entry.task_id])
    return [entry for place, entry in enumerate(entries) if place not in gone]


def _request_event(entry: TimelineEvent) -> Event | None:
    by = _actor(entry)
    why = personal_words(entry.detail)
    mentions = tuple(person_id(person) for person in entry.detail.get("mentioned") or ())
    if entry.kind == "commented" and why:
        return Comment(by=by, text=why, mentions=mentions)
    if entry.kind == "question_asked" and why:
        return AskQuestion(by=Actor(person=by.person, admin=True), text=why, mentions=mentions)
    if entry.kind == "question_answered" and why:
        return AnswerQuestion(by=by, n=entry.detail["question"], text=why, mentions=mentions)
    if entry.kind == "attached" and entry.detail.get("changes") is not None:  # a request's first files change nothing
        detail = entry.detail
        name, sha256 = detail["name"], detail["sha256"]
        if erased(name) or erased(sha256):
            return None
        return Attach(by=by, name=name, media_type=detail["media_type"], size=detail["size"], sha256=sha256)
    if entry.kind == "withdrawn":
        return Withdraw(by=by, reason=why)
    if entry.kind == "cancelled":
        return Withdraw(by=Actor(person=by.person, admin=True), how="cancelled", reason=why)
    return None


def _behalf(entry: TimelineEvent) -> str | None:
    behalf = entry.detail.get("on_behalf_of")
    return person_id(behalf) if behalf else None


def _actor(entry: TimelineEvent) -> Actor:
    return Actor(person=person_id(entry.actor))


def _changes_title(changes: object) -> bool:
    """Whether a resubmission changed the title, by the changes of its entry (an erased entry has none)."""
    return isinstance(changes, list) and any(change["field"] == "title" for change in changes)
