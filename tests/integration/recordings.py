"""Recordings as the workflow makes them, told in a line or two, with a true audit chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session
from temporalio import activity

from activities.audit import Recorder
from activities.workflow_tasks import WorkflowTask
from placet.audit.chain import Entry, genesis, link
from placet.engine.recording import Recording
from placet.engine.state import Notification, Task
from storage.database import Database
from storage.recording import record

NOW = datetime(2025, 3, 3, 9, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened to one request so far; each verb returns the story one event later."""

    request_id: str
    at: datetime = NOW
    seq: int = 0
    head: str = ""
    first: int = 1  # the first entry of the last event
    tasks: tuple[Task, ...] = ()
    entries: tuple[Entry, ...] = ()
    notifications: tuple[Notification, ...] = ()
    outcome: str | None = None

    def open(self, *people: str, requester: str = "rita") -> Story:
        """Begin, with one open task for each of these people."""
        begun = replace(self, head=genesis(self.request_id))
        begun = begun._add("started", actor=f"user:{requester}", requester=f"user:{requester}", title="Grüße 😀")
        for person in people:
            begun = begun.ask(person)
        return replace(begun, first=1)

    def ask(self, person: str) -> Story:
        """Open a task."""
        number = len(self.tasks) + 1
        task = Task(
            id=f"{self.request_id}.{number}",
            node="p",
            stage="Manager Approval",
            round=1,
            seat=number,
            weight=1,
            assignee=person,
            via="user:" + person,
            opened_at=self.at,
            due_at=self.at + timedelta(hours=24),
            held_by=(person,),
            revision=1,
            content_digest="",
        )
        story = replace(self, tasks=(*self.tasks, task), first=self.seq + 1)
        return story._add("task_opened", task=task, assignee=f"user:{person}")._tell("task_opened", person, task)

    def remind(self, number: int = 1) -> Story:
        """Remind the person of a task."""
        task = self.tasks[number - 1]
        return self._later()._add("reminded", task=task)._tell("reminded", task.assignee or "", task)

    def breach(self, number: int = 1) -> Story:
        """Let a task's deadline pass, and tell the requester."""
        task = self.tasks[number - 1]
        return self._later()._add("sla_breached", task=task)._tell("sla_breached", "rita", task)

    def comment(self, text: str, by: str = "rita") -> Story:
        """Say something."""
        return self._later()._add("commented", actor=f"user:{by}", text=text)._tell("commented", "bob", None)

    def decide(self, number: int = 1, decision: Any = "approve", *, end: bool = True) -> Story:
        """Decide a task, and with `end` the request with it."""
        later = self._later()
        task = replace(
            self.tasks[number - 1],
            status="decided",
            decision=decision,
            decided_by=self.tasks[number - 1].assignee,
            decided_at=later.at,
        )
        tasks = (*self.tasks[: number - 1], task, *self.tasks[number:])
        story = replace(later, tasks=tasks)._add(
            "decided", actor=f"user:{task.assignee}", task=task, decision=decision, after=decision
        )
        if not end:
            return story
        outcome = "approved" if decision == "approve" else "rejected"
        story = replace(story, outcome=outcome)._add("completed", outcome=outcome)
        return story._tell("completed", "rita", None)

    def moved(self, span: timedelta) -> Story:
        """Let time pass."""
        return replace(self, at=self.at + span)

    def recording(self, **changes: Any) -> Recording:
        """Return what the last event left behind."""
        tasks: tuple[Task, ...] = changes.pop("tasks", self.tasks)
        made = Recording(
            request_id=self.request_id,
            template_id="tpl",
            template="Expense approval",
            version="1.0.0",
            owner="user:olivia",
            title="Grüße 😀",
            requester="rita",
            input={"amount": "12.50", "note": "Grüße"},
            status="completed" if self.outcome else "pending",
            outcome=self.outcome,
            stage=None if self.outcome else "Manager Approval",
            round=1,
            returned=False,
            started_at=NOW,
            ended_at=self.at if self.outcome else None,
            seq=self.seq,
            head=self.head,
            tasks=tasks,
            entries=self.entries[self.first - 1 :],
            notifications=tuple(n for n in self.notifications if n.seq >= self.first),
            sealed=True,
            revision=1,
            content_digest="",
            opened=len(tasks),
            changed=tuple(task.id for task in tasks),
        )
        return replace(made, **changes)

    def _later(self) -> Story:
        return replace(self.moved(timedelta(minutes=1)), first=self.seq + 1)

    def _add(self, kind: str, *, actor: str = "system", task: Task | None = None, **detail: Any) -> Story:
        entry = link(
            self.head,
            seq=self.seq + 1,
            at=self.at,
            kind=kind,
            actor=actor,
            stage=task.stage if task else None,
            task_id=task.id if task else None,
            detail=detail,
        )
        return replace(self, seq=entry.seq, head=entry.hash, entries=(*self.entries, entry))

    def _tell(self, event: str, person: str, task: Task | None) -> Story:
        key = f"{self.request_id}:{self.seq}:{event}:{person}"
        told = Notification(key=key, event=event, to=person, seq=self.seq, task_id=task.id if task else None)
        return replace(self, notifications=(*self.notifications, told))


def write(session: Session, recording: Recording, now: datetime) -> None:
    """Write one recording within a transaction of the test's; raises what the workflow would be told."""
    outcome = record.write_all(session.connection(), [recording], now)[0]
    if outcome is not None:
        raise outcome


HELD = WorkflowTask(length=3, began=NOW, suggests_new_run=False)


def recorder_of(database: Database) -> Recorder:
    """Return a recorder whose worker has the workflow task of every request, for use without an engine."""
    return Recorder(database, lambda: HELD)


class RefusingRecorder:
    """Records, but for so many `times` in which it raises an error; `given` is whatever it was given."""

    def __init__(self, inner: Recorder, error: Exception) -> None:
        self.times: float = 0
        self.given: list[Recording] = []
        self._inner = inner
        self._error = error

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> bool:
        """Refuse, or record."""
        self.given.append(recording)
        if self.times > 0:
            self.times -= 1
            raise self._error
        return await self._inner.record(recording)
