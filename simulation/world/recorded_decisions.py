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
from placet.definition.assignees import person_id
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
from placet.plan.plan import Plan
from simulation.report.comparison import TOLERANCE, TimelineEvent
from simulation.run.driver import UnknownNextEvent
from simulation.scenario.script import (
    ApproverModel,
    PlannedEvent,
    ScriptedPeople,
    ScriptLine,
    concerns,
    decision_events,
)

TaskEventKind = Literal["decide", "claim", "release", "delegate", "reassign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One thing that was done to a task, so long after the tenure began; `by` is set where somebody else did it."""

    after: timedelta
    kind: TaskEventKind
    decision: Any = None
    comment: str | None = None
    form: dict[str, Any] | None = None
    to: str | None = None
    keep: bool = False
    by: str | None = None
    via: str = "simulation"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentPeriod:
    """The time in which a person had a task of a stage. `ongoing`: they had it when the past ended."""

    stage: str
    person: str
    duration: timedelta
    events: tuple[TaskEvent, ...] = ()
    ongoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """One thing that was done to the request as a whole, so long after it began (a resubmission: was returned)."""

    after: timedelta
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecisions:
    """What people did in one request."""

    periods: tuple[AssignmentPeriod, ...]
    request_events: tuple[RequestEvent, ...] = ()
    resubmissions: tuple[RequestEvent, ...] = ()


@dataclass
class _OpenPeriod:
    position: int
    stage: str
    since: datetime
    events: list[TaskEvent] = field(default_factory=list)


def recorded_decisions_of(entries: Sequence[TimelineEvent], *, until: datetime | None = None) -> RecordedDecisions:
    """Read a request's timeline, oldest entry first; one that still runs is known `until` now."""
    return _TimelineReader(entries, until).read()


class _TimelineReader:
    def __init__(self, entries: Sequence[TimelineEvent], until: datetime | None) -> None:
        self._entries = entries
        self._until = until
        self._open_periods: dict[tuple[str, str], _OpenPeriod] = {}  # (task, person)
        self._periods: list[AssignmentPeriod] = []
        self._positions: list[int] = []  # of each tenure among all, by when they began
        self._request_events: list[RequestEvent] = []
        self._resubmissions: list[RequestEvent] = []
        self._opened: dict[str, tuple[str, datetime]] = {}
        self._candidates: dict[str, list[str]] = {}

    def read(self) -> RecordedDecisions:
        if not self._entries:
            return RecordedDecisions(periods=())
        start, end = self._entries[0].at, self._until or self._entries[-1].at
        returned = start
        for entry in self._entries:
            if entry.kind == "changes_requested":
                returned = entry.at
            if entry.task_id is not None:
                self._task(entry, entry.task_id)
            elif entry.kind == "resubmitted":
                after = entry.detail.get("after") or {}
                titled = _changes_title(entry.detail.get("changes"))
                event = Resubmit(
                    by=_actor(entry),
                    input=after.get("input"),
                    title=after.get("title") if titled else None,
                    comment=said(entry.detail),
                )
                self._resubmissions.append(RequestEvent(after=entry.at - returned, event=event))
            elif (request_events := _request_events(entry)) is not None:
                self._request_events.append(RequestEvent(after=entry.at - start, event=request_events))
        for task_id, person in list(self._open_periods):
            self._end(task_id, person, end, ongoing=True)
        # Somebody may have two tasks of a stage at once; in another course they get them in the same order. What went
        # on to somebody else at the very moment at which it came is nobody's in another course either.
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

    def _claimed(self, entry: TimelineEvent, task_id: str) -> None:
        person = person_id(entry.actor)
        self._record(task_id, person, entry.at, kind="claim")
        for other in self._candidates.get(task_id, ()):  # whoever was added to them keeps the task
            if other != person and (task_id, other) in self._open_periods:
                self._end(task_id, other, entry.at)

    def _released(self, entry: TimelineEvent, task_id: str) -> None:
        self._record(task_id, person_id(entry.actor), entry.at, kind="release")
        self._end_all(task_id, entry.at)
        for person in self._candidates.get(task_id, ()):
            self._begin(task_id, person, entry.at)

    def _decided(self, entry: TimelineEvent, task_id: str) -> None:
        detail = entry.detail
        if "via" in detail:  # one that was carried over nobody did
            self._record(
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

    def _closed(self, entry: TimelineEvent, task_id: str) -> None:
        self._end_all(task_id, entry.at)

    def _extended(self, entry: TimelineEvent, task_id: str) -> None:
        due = datetime.fromisoformat((entry.detail.get("after") or {})["due_at"])
        by = Actor(person=person_id(entry.actor), admin=True)
        event = Extend(by=by, task_id=task_id, due_at=due, reason=said(entry.detail))
        self._request_events.append(RequestEvent(after=entry.at - self._entries[0].at, event=event))

    def _handed_over(self, entry: TimelineEvent, task_id: str) -> None:
        detail, at = entry.detail, entry.at
        after = detail.get("after") or {}
        actor = person_id(entry.actor)
        if detail.get("keep"):
            new = [person_id(p) for p in after.get("delegates") or ()]
            for person in new:
                if (task_id, person) not in self._open_periods:
                    self._record(task_id, actor, at, kind="delegate", to=person, keep=True, comment=said(detail))
                    self._begin(task_id, person, at)
            return
        to = person_id(after.get("assignee") or "")
        if actor != SYSTEM:
            kind: TaskEventKind = "delegate" if entry.kind == "delegated" else "reassign"
            before = person_id((detail.get("before") or {}).get("assignee") or actor)
            by = actor if actor != before else None
            self._record(task_id, before, at, kind=kind, to=to, comment=said(detail), by=by)
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
                position=self._next_position(), stage=stage, since=opened
            )
        open_period.events.append(TaskEvent(after=at - open_period.since, **facts))

    def _next_position(self) -> int:
        return len(self._open_periods) + len(self._periods)  # how many began before

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
            )
        )


@dataclass(kw_only=True)
class RecordedPeople:
    """The people of a past request in another course. Use one for each run.

    A stage that `lines` speak of is acted by the script instead. `beyond` are the habits of those of whom nothing is
    known; without them the run stops there, as unknown.
    """

    plan: Plan
    recorded_decisions: RecordedDecisions
    lines: Sequence[ScriptLine] = ()
    fallback: ApproverModel | None = None
    assumed: set[tuple[str, str]] = field(default_factory=set)  # (stage, person) for whom habits stood in

    def __post_init__(self) -> None:
        self._remaining: dict[tuple[str, str], list[AssignmentPeriod]] = {}
        for period in reversed(self.recorded_decisions.periods):
            self._remaining.setdefault((period.stage, period.person), []).append(period)
        self._periods: dict[tuple[str, str, tuple[int, int]], tuple[datetime, AssignmentPeriod | None]] = {}
        self._done: dict[tuple[Any, ...], int] = {}
        self._queue_returns: dict[str, tuple[bool, int]] = {}  # by task: whether it was claimed, how often it went back
        silent = ApproverModel(decision=None)
        self._scripted = ScriptedPeople(plan=self.plan, lines=self.lines, approver_model=silent)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return what happens next; raises NothingKnown."""
        for task in state.tasks:
            if task.candidates:
                claimed, back = self._queue_returns.get(task.id, (False, 0))
                self._queue_returns[task.id] = (task.assignee is not None, back + (claimed and task.assignee is None))
        planned_events = list(self._planned_events(state, now))
        if self.lines and (scripted := self._scripted.next(state, now)) is not None:
            planned_events.append(scripted)
        best = min(planned_events, key=lambda m: m.at, default=None)
        if best is None:
            return self._fallback_event(state, now)
        if isinstance(best.event, Withdraw) and (unknown := self._unknown_before(state, best.at, now)) is not None:
            if self.fallback is None:
                raise UnknownNextEvent(unknown)
            return min((best, *self._fallback_events(state, now)), key=lambda m: m.at)
        return best

    def note_applied(self, planned: PlannedEvent) -> None:
        """Take note that a move was made."""
        self._done[planned.mark] = 1
        self._scripted.note_applied(planned)

    def _planned_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        returned = min((s.returned_at for s in state.stages if s.returned_at is not None), default=None)
        if returned is not None:
            index = state.round - 1
            if index < len(self.recorded_decisions.resubmissions):
                request_events = self.recorded_decisions.resubmissions[index]
                mark = ("resubmit", index)
                if mark not in self._done:
                    yield PlannedEvent(
                        at=max(returned + request_events.after, now), event=request_events.event, mark=mark
                    )
        for index, request_events in enumerate(self.recorded_decisions.request_events):
            if ("spoken", index) not in self._done:
                at = max(state.started_at + request_events.after, now)
                yield PlannedEvent(at=at, event=_for_this_request(request_events.event, state), mark=("spoken", index))
        if returned is not None:
            return
        for task in state.tasks:
            if task.status != "open" or any(concerns(line, task) for line in self.lines):
                continue
            for person in task.people:
                since, period = self._period(task, person, now)
                if period is not None:
                    yield from self._period_events(task, person, since, period, now)

    def _period(self, task: Task, person: str, now: datetime) -> tuple[datetime, AssignmentPeriod | None]:
        key = (task.id, person, self._assignment_number(task, person))
        if key not in self._periods:
            remaining = self._remaining.get((task.stage, person))
            self._periods[key] = (now, remaining.pop() if remaining else None)
        return self._periods[key]

    def _assignment_number(self, task: Task, person: str) -> tuple[int, int]:
        """Tell apart the times at which somebody is given a task: how often it went back to a queue, how often to them.

        An escalation may bring it back to them; a claim goes on with the time that began in the queue.
        """
        claimed = task.via == "claim" and task.assignee == person
        count = task.held_by.count(person) - claimed
        if task.candidates and (task.assignee is None or task.via == "claim"):
            return self._queue_returns[task.id][1], count
        return -1, max(1, count)

    def _period_events(
        self, task: Task, person: str, since: datetime, period: AssignmentPeriod, now: datetime
    ) -> Iterator[PlannedEvent]:
        for index, recorded in enumerate(period.events):
            mark = ("deed", task.id, person, self._assignment_number(task, person), index)
            if mark in self._done:
                continue
            event = _event_for(task, person, recorded)
            if event is not None:
                yield PlannedEvent(at=max(since + recorded.after, now), event=event, mark=mark)
            return  # one after the other

    def _fallback_event(self, state: State, now: datetime) -> PlannedEvent | None:
        """Let time pass as long as everybody's silence is known; then habits stand in, or nothing is known."""
        waiting = [
            (self._known_until(task, person, now), task, person)
            for task in state.tasks
            if task.status == "open" and not any(concerns(line, task) for line in self.lines)
            for person in task.people
        ]
        if not waiting:
            if any(s.returned_at is not None for s in state.stages):
                if self.fallback is None:
                    raise UnknownNextEvent("the requester was never asked to change the request")
                by = Actor(person=state.requester)
                mark = ("resubmit", state.round)
                return None if mark in self._done else PlannedEvent(at=now, event=Resubmit(by=by), mark=mark)
            return None
        known_until, task, person = min(waiting, key=lambda w: w[0])
        due = machine.next_due(self.plan, state)
        if due is not None and due <= known_until:
            return None
        if self.fallback is None:
            raise UnknownNextEvent(f"what {person} does in {task.stage} is not known")
        return min(self._fallback_events(state, now), key=lambda m: m.at, default=None)

    def _unknown_before(self, state: State, moment: datetime, now: datetime) -> str | None:
        """Say of whom nobody knows what they would have done by then: a stage may have ended the request before.

        A stage of which somebody is known to be silent until then waits for them.
        """
        for run in state.stages:
            if run.returned_at is not None:
                continue
            known_until_by_person = [
                (self._known_until(task, person, now), person)
                for task in state.tasks_of(run)
                if task.node == run.node and task.status == "open"
                if not any(concerns(line, task) for line in self.lines)
                for person in task.people
            ]
            if known_until_by_person and max(known_until_by_person)[0] + TOLERANCE < moment:
                stage = self.plan.nodes[run.node].stage
                name = stage.name if stage is not None else run.node
                return f"what {max(known_until_by_person)[1]} does in {name} is not known"
        return None

    def _known_until(self, task: Task, person: str, now: datetime) -> datetime:
        since, period = self._period(task, person, now)
        return since if period is None else since + period.duration

    def _fallback_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        approver_model = self.fallback
        if approver_model is None or approver_model.decision is None:
            return
        for task in state.tasks:
            stage = self.plan.nodes[task.node].asked
            person = next(iter(task.people), None)
            if task.status == "open" and stage is not None and person is not None:
                self.assumed.add((task.stage, person))
                # What is not known begins where the known silence ends, and takes what a decision takes from there.
                span = approver_model.decision_time(self.plan, stage, task) - task.opened_at
                at = max(self._known_until(task, person, now) + span, now)
                yield from decision_events(
                    self._done, self.plan.nodes[task.node], task, person=person, decision=approver_model.decision, at=at
                )


def _event_for(task: Task, person: str, recorded: TaskEvent) -> Event | None:
    by = Actor(person=person)
    queued = task.assignee is None and person in task.candidates
    if recorded.kind == "claim" or (recorded.kind == "decide" and queued):
        return Claim(by=by, task_id=task.id)
    if recorded.kind == "decide":
        return Decide(
            by=by,
            task_id=task.id,
            decision=recorded.decision,
            comment=recorded.comment,
            form=recorded.form,
            via=recorded.via,
        )
    if recorded.kind == "release":
        return Release(by=by, task_id=task.id)
    if recorded.kind == "delegate":
        return Delegate(by=by, task_id=task.id, to=recorded.to or "", keep=recorded.keep, reason=recorded.comment)
    actor = Actor(person=recorded.by, admin=True) if recorded.by else by
    return Reassign(by=actor, task_id=task.id, to=recorded.to or "", reason=recorded.comment)


def _request_events(entry: TimelineEvent) -> Event | None:
    by = _actor(entry)
    why = said(entry.detail)
    if entry.kind == "commented" and why:
        return Comment(by=by, text=why)
    if entry.kind == "withdrawn":
        return Withdraw(by=by, reason=why)
    if entry.kind == "cancelled":
        return Withdraw(by=Actor(person=by.person, admin=True), how="cancelled", reason=why)
    return None


def _for_this_request(event: Event, state: State) -> Event:
    """Return the event as it is for this course's request."""
    if isinstance(event, Extend) and event.task_id is not None:
        return replace(event, task_id=f"{state.request_id}.{event.task_id.rpartition('.')[2]}")
    return event


def _actor(entry: TimelineEvent) -> Actor:
    return Actor(person=person_id(entry.actor))


def _changes_title(changes: object) -> bool:
    """Whether the requester gave another title, by what an entry says was changed (an erased one says nothing)."""
    return isinstance(changes, list) and any(change["field"] == "title" for change in changes)
