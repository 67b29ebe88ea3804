"""A run: the mutable working copy of the state in which one event is processed, between two immutable states."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from placet.audit.chain import Entry, exact, link, moment
from placet.audit.reasons import Reason, because, words
from placet.audit.sealed import Sealed, salt_of
from placet.definition.action_spec import ActionCall
from placet.definition.formats import Rules
from placet.directory import Directory
from placet.engine.content import changes_as_json
from placet.engine.events import SYSTEM, Actor
from placet.engine.state import (
    UNDECIDED,
    ActionClaim,
    CallResult,
    ChildCall,
    JoinProgress,
    Notification,
    StageRun,
    State,
    Status,
    Task,
    Transition,
    Vote,
    Waiting,
    counts,
    signed,
    vote_of,
)
from placet.expressions import Allowance
from placet.frozen import evolve
from placet.json_pointer import pointer_to
from placet.plan.calendar import Calendar, add_hours, subtract_hours, working_seconds
from placet.plan.graph import Node, Stage
from placet.plan.plan import Plan

# The outcome with which the action of a request may be claimed.
APPROVED = "approved"
# How old the directory may be when people are looked up: only what was read for this very event counts.
FRESH = timedelta(seconds=1)
# Who is notified where no particular person can help: everybody with the access `admin`. It is not a person's id.
ADMINS = "access:admin"
# Events whose answers are kept, so that a repeated event is answered again and not applied again.
MOST_ANSWERS = 1000
# Closed tasks that a state keeps although nothing needs them; the store has the others.
MOST_TASKS = 400
MOST_VOTES = 2000  # the newest votes of tasks that are no longer kept
# Results of actions and sub-processes that are kept, the newest ones.
MOST_RESULTS = 1000
# What is evaluated by one event may take so much together, more than an input is taken for (`placet.engine.input`):
# a workflow that computes for two seconds is taken for one that hangs.
MOST_WORK = 2_000_000


class DirectoryNeeded(Exception):
    """People have to be looked up, and the directory at hand is too old."""


class Run:
    """Process one event. Nothing is visible outside until `step()` is called, so a refusal leaves no trace."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan = plan
        self.decided: Task | None = None  # by whoever decides in this event
        self.lost: Reason | None = None  # why a stage is rejected in this event, where that is by abstentions
        self.moved_to: str | None = None  # the template whose plan this is, where the request has moved to it
        self.acting: Actor | None = None  # who sent the event, if anybody did
        self.now = now
        self._before = state
        self.state = state  # as it was before this event, with what was `set` since; tasks and stages are below
        self.opened = state.opened
        self.votes: list[Vote] = list(state.votes)
        self.tasks: dict[str, Task] = {t.id: t for t in self._kept(state)}
        self.stages: dict[str, StageRun] = {s.node: s for s in state.stages}
        self.waits: dict[str, Waiting] = {w.node: w for w in state.waits}
        self.actions: dict[str, ActionCall] = {a.node: a for a in state.actions}
        self.children: dict[str, ChildCall] = {c.node: c for c in state.children}
        self.joins: dict[str, JoinProgress] = {j.node: j for j in state.joins}
        self.results: list[CallResult] = list(state.results)
        self.strays: list[ActionCall] = list(state.strays)
        self.abandoned: list[ChildCall] = []
        self.seq = state.seq
        self.head = state.head
        self.entries: list[Entry] = []
        self.allowance = Allowance(MOST_WORK)
        self.notifications: dict[str, Notification] = {}  # by key, so that nobody is notified of the same thing twice

    @property
    def rules(self) -> Rules:
        """Return the rules that the request began under."""
        return self.state.follows

    @property
    def directory(self) -> Directory:
        """Return the people of this request, as of now; raises DirectoryNeeded where they were read at another time."""
        if abs(self.now - self.state.directory_at) > FRESH:
            raise DirectoryNeeded
        known = self.state.directory_given
        if known is not None and self.plan.asked(known) != self.plan.asked(self.state.input):
            raise DirectoryNeeded
        return self.state.directory

    def need_directory_of_now(self) -> None:
        """Raise DirectoryNeeded unless the people were read for this very event."""
        if self.now != self.state.directory_at:
            raise DirectoryNeeded

    @property
    def calendar(self) -> Calendar:
        """Return the calendar by which every deadline of this request is counted."""
        return self.plan.calendar

    @property
    def returned(self) -> bool:
        """Say whether the request is with its requester for changes; nobody else is asked for anything meanwhile."""
        if self.state.returned_at is not None:
            return True
        return bool(self.stages) and all(s.returned_at is not None for s in self.stages.values())

    @property
    def changes(self) -> list[dict[str, Any]] | None:
        """Return what the last revision changed, for people who are asked again; None for the first revision."""
        return changes_as_json(self.state.revised[-1].changes) if self.state.revised else None

    def set(self, **changes: Any) -> None:
        """Change fields of the state itself (not tasks or stages)."""
        self.state = evolve(self.state, **changes)

    def node(self, name: str) -> Node:
        """Return a node of the plan."""
        return self.plan.nodes[name]

    def stage_of(self, task: Task) -> Stage:
        """Return the declared stage that a task belongs to."""
        return self.stage_at(task.node)

    def stage_at(self, node: str) -> Stage:
        """Return the declared stage of a node that asks people."""
        stage = self.plan.nodes[node].asked
        assert stage is not None, f"{node} holds tasks and so asks people"  # noqa: S101
        return stage

    def tasks_of(self, run: StageRun) -> list[Task]:
        """List the tasks of a stage that is going on, in the order of its seats, without those of earlier visits."""
        return [t for t in self.tasks.values() if t.node == run.node and t.number > run.first]

    def open_tasks(self) -> list[Task]:
        """List the tasks that wait for somebody."""
        return [t for t in self.tasks.values() if t.status == "open"]

    def unsettled_tasks(self) -> list[Task]:
        """List the tasks that wait for somebody, or may do so again: those whose decision does not stand yet."""
        return [t for t in self.tasks.values() if t.unsettled]

    def has_had(self, task_id: str) -> bool:
        """Say whether there ever was such a task, also where it is no longer kept."""
        request_id, _, number = task_id.rpartition(".")
        return (
            request_id == self.state.request_id and number == str(_whole(number)) and 0 < _whole(number) <= self.opened
        )

    def change(self, task: Task, **changes: Any) -> Task:
        """Replace a task by one with these fields changed, and count where it changes hands."""
        changed = evolve(task, **changes)
        if changed.assignee != task.assignee:
            changed = evolve(changed, hand_overs=task.hand_overs + 1)
        self.tasks[task.id] = changed
        return changed

    def record(
        self, kind: str, *, actor: str = SYSTEM, task: Task | None = None, stage: str | None = None, **detail: Any
    ) -> Entry:
        """Append an entry to the audit chain. None is left out of the detail, and moments are written as RFC 3339.

        Why something happened is a Reason, or a person's own words, which are Sealed like all content.
        """
        self.seq += 1
        if self.acting is not None and actor == self.acting.name and self.acting.type != "person":
            detail["actor_type"] = self.acting.type
            if self.acting.principal is not None:
                detail["principal"] = f"user:{self.acting.principal}"
        secret = self.state.secret
        places: list[str] | None = [] if secret else None
        plain = _plain_detail(detail, places)
        entry = link(
            self.head,
            seq=self.seq,
            at=self.now,
            kind=kind,
            actor=actor,
            stage=task.stage if task else stage,
            task_id=task.id if task else None,
            detail=plain,
            salts={place: salt_of(secret, self.seq, place) for place in places} if places else None,
        )
        self.head = entry.hash
        self.entries.append(entry)
        return entry

    def notify(self, event: str, *people: str | None, task: Task | None = None, **detail: Any) -> None:
        """Notify these people, each once, of the entry that was recorded last."""
        plain = _plain_detail(detail, None)
        task_id = task.id if task else None
        for person in people:
            if person:
                key = f"{self.state.request_id}:{self.seq}:{event}:{person}"
                notification = Notification(
                    key=key, event=event, to=person, seq=self.seq, task_id=task_id, detail=plain
                )
                self.notifications.setdefault(key, notification)

    def after(self, start: datetime, span: timedelta) -> datetime:
        """Return the moment when that much working time has passed since `start`."""
        return add_hours(self.calendar, start, span.total_seconds())

    def before(self, end: datetime, span: timedelta) -> datetime:
        """Return the moment from which that much working time is left until `end`."""
        return subtract_hours(self.calendar, end, span.total_seconds())

    def working(self, start: datetime, end: datetime) -> timedelta:
        """Return the working time between two moments."""
        return timedelta(seconds=working_seconds(self.calendar, start, end))

    def close(self, task: Task, *, why: Reason, result: str) -> None:
        """Close a task that its stage no longer needs, and notify its people.

        A decision on it that does not stand yet counts for nothing.
        """
        self.change(task, status="superseded", result=result, **(UNDECIDED if task.provisional else {}))
        self.record("task_closed", task=task, why=why, before=task.status, after="superseded")
        self.notify("superseded", *task.people, task.decided_by, task=task)

    def keep_result(self, made: Callable[[], CallResult]) -> None:
        """Keep the result of an action or a sub-process for when the process goes again from its first node.

        `made` is called only where the result is kept, because the whole input is hashed for it.
        """
        if self.plan.on_change == "restart" or self.state.action is not None:
            self.results.append(made())
            del self.results[:-MOST_RESULTS]

    def visit(self, node: str) -> int:
        """Count a visit of a node, and return the number of visits so far."""
        count = self.state.visits.get(node, 0) + 1
        self.set(visits=self.state.visits | {node: count})
        return count

    def end_part(self, within: Callable[[Node], bool], why: Reason) -> None:
        """End everything that goes on in a part of the process."""
        for name in [name for name in self.stages if within(self.node(name))]:
            for task in self.tasks_of(self.stages[name]):
                if task.unsettled:
                    self.close(task, why=why, result="ended")
            self._end(self.stages, name, why)
        self.abandoned += [call for name, call in self.children.items() if within(self.node(name))]
        for places in (self.waits, self.actions, self.children):
            for name in [name for name in places if within(self.node(name))]:
                self._end(places, name, why)
        for name in [name for name in self.joins if within(self.node(name))]:
            del self.joins[name]

    def _kept(self, state: State) -> tuple[Task, ...]:
        """Return the tasks that the state keeps: of a request with very many, those that something still needs.

        They were closed before this event, so the store has them as they are.
        """
        if len(state.tasks) <= MOST_TASKS:
            return state.tasks
        firsts = {stage.node: stage.first for stage in state.stages}
        kept: list[Task] = []
        votes = {(vote.person, vote.node): vote for vote in state.votes if vote.revision >= state.material}
        for task in state.tasks:
            if task.unsettled or task.number > firsts.get(task.node, task.number):
                kept.append(task)
            elif (vote := vote_of(task)) is not None:
                votes[vote.person, vote.node] = vote
        self.votes = [vote for vote in votes.values() if vote.revision >= state.material][-MOST_VOTES:]
        return tuple(kept)

    def _end(self, places: dict[str, Any], name: str, why: Reason) -> None:
        del places[name]
        self.record("branch_ended", node=name, why=why)

    def finish(self, status: Status, outcome: str | None, *, kind: str, actor: str = SYSTEM, **detail: Any) -> None:
        """End the request: close its tasks, record the end, and notify the requester and everybody who still had a
        task.
        """
        holders: list[str] = []
        why = because("request_ended", result=outcome or status)
        for task in self.unsettled_tasks():
            self.change(task, status="cancelled", **(UNDECIDED if task.provisional else {}))
            holders += (*task.people, *((task.decided_by,) if task.decided_by else ()))
            self.record("task_closed", task=task, why=why, before=task.status, after="cancelled")
        self.stages.clear()
        self.end_part(lambda _: True, why)
        self.set(status=status, outcome=outcome, ended_at=self.now)
        if status == "completed" and outcome == APPROVED and self.state.action is not None:
            self.set(claim=ActionClaim())
        self.record(kind, actor=actor, outcome=outcome, **detail)
        self.notify(kind, self.state.requester, *holders, task=None, outcome=outcome, **self._settled_by())

    def _settled_by(self) -> dict[str, Any]:
        """Return who settled the request, and the reason they gave, for its notifications."""
        last = self.decided
        decider: dict[str, Any] = {"by": None, "text": None}
        if last is not None and last.decision is not None and counts(last.decision) != "nobody":
            decider = {"by": f"user:{last.decided_by}", "text": last.comment, **signed(last)}
        return decider if self.lost is None else {**decider, "why": self.lost}

    def step(self, key: str | None = None) -> Transition:
        """Return the transition: the new state, with the event's key among those answered, and the effects."""
        answered = self.state.answered
        if key is not None:
            answered = dict(islice(answered.items(), max(0, len(answered) + 1 - MOST_ANSWERS), None)) | {key: self.seq}
        state = evolve(
            self.state,
            answered=answered,
            tasks=tuple(self.tasks.values()),
            opened=self.opened,
            votes=tuple(self.votes),
            stages=tuple(self.stages.values()),
            waits=tuple(self.waits.values()),
            actions=tuple(self.actions.values()),
            children=tuple(self.children.values()),
            joins=tuple(self.joins.values()),
            results=tuple(self.results),
            strays=tuple(self.strays),
            seq=self.seq,
            head=self.head,
        )
        before = self._before
        return Transition(
            state=state,
            plan=self.plan if self.moved_to is not None else None,
            template_id=self.moved_to,
            entries=tuple(self.entries),
            notifications=tuple(self.notifications.values()),
            # What began and ended within this one event never runs.
            actions=tuple(a for a in state.actions if a not in before.actions and a not in before.strays),
            children=tuple(c for c in state.children if c not in before.children),
            ended_children=tuple(c.request_id for c in self.abandoned if c in before.children),
        )


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _plain_detail(detail: dict[str, Any], sealed: list[str] | None) -> dict[str, Any]:
    """Return the detail as JSON, and note the places of sealed values; without a list, words and values stay in the
    open.
    """
    return {k: v if type(v) is str else _plain(v, f"/{k}", sealed) for k, v in detail.items() if v is not None}


def _plain(value: Any, place: str, sealed: list[str] | None) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Sealed):
        if sealed is not None:
            sealed.append(place)
        return _plain(value.value, place, None)
    if isinstance(value, Reason):
        if sealed is None:
            return words(value)
        parameters = {k: _plain(v, f"{place}/{k}", sealed) for k, v in value.parameters.items()}
        return {"code": value.code, **parameters}
    if isinstance(value, int):
        return exact(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, dict):
        return {str(k): _plain(v, pointer_to(place, k), sealed) for k, v in value.items()}
    return [_plain(v, f"{place}/{n}", sealed) for n, v in enumerate(value)]
