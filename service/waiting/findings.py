"""Findings: why a request is stuck or slow, and what to do about it.

A finding is a code with parameters; `service.waiting.words` has the words of the API, and `web.waiting` those of pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from placet.definition.action_spec import ActionCall
from placet.engine.state import State
from placet.engine.timers import next_due
from service.engine.client import RunningCall
from service.waiting.situation import Situation
from storage.queries.requests.requests import TaskRow
from storage.tables.notifications import NotificationMessage

Level = Literal["stuck", "note"]
"""`stuck`: nothing goes on until somebody does what the finding says. `note`: it may go on by itself."""

# What is due is carried out within a second or two; later than this, its timer is lost or nobody works.
OVERDUE = timedelta(minutes=1)
# An action that no worker has taken for so long is taken by none.
UNTAKEN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason why nothing goes on, or may not; `people` are those whom it is about.

    `error` is what went wrong elsewhere, for the process owner, auditors and admins.
    """

    code: str
    level: Level
    stage: str | None = None
    node: str | None = None
    task_id: str | None = None
    people: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def findings_of(situation: Situation) -> list[Finding]:
    """List the findings of a request's situation, those that stop it first."""
    found = [*_engine(situation), *_returned(situation), *_questions(situation)]
    if not _is_returned(situation):
        for task in situation.open_tasks:
            found += _task(situation, task)
        if situation.state is not None:
            found += _running(situation, situation.state)
        found += _undo(situation)
    return sorted(found, key=lambda one: one.level != "stuck")


def _is_returned(situation: Situation) -> bool:
    state = situation.state
    return situation.stored.request.returned or (state is not None and state.returned_at is not None)


def _engine(situation: Situation) -> Iterator[Finding]:
    if situation.silence is not None:
        yield Finding(code=situation.silence, level="note" if situation.silence == "no_answer" else "stuck")
    if situation.state is not None and situation.plan is not None:
        due = next_due(situation.plan, situation.state)
        if due is not None and due < situation.now - OVERDUE:
            yield Finding(code="timer_overdue", level="stuck", parameters={"at": due})


def _returned(situation: Situation) -> Iterator[Finding]:
    if _is_returned(situation):
        request = situation.stored.request
        yield Finding(code="returned", level="note", stage=request.stage, people=(request.requester,))


def _questions(situation: Situation) -> Iterator[Finding]:
    if situation.stored.request.open_questions:
        request = situation.stored.request
        yield Finding(
            code="question_open",
            level="note",
            people=(request.requester,),
            parameters={"count": request.open_questions},
        )


def _undo(situation: Situation) -> Iterator[Finding]:
    for task in situation.stored.tasks:
        if task.undo_until is not None:
            who = (task.decided_by,) if task.decided_by is not None else ()
            yield _about(task, "decision_held", people=who, at=task.undo_until)


def _task(situation: Situation, task: TaskRow) -> Iterator[Finding]:
    if task.assignee is None and (task.queue is not None or task.candidates):
        if not task.candidates:
            yield _about(task, "queue_empty", "stuck", queue=task.queue)
        else:
            yield _about(
                task,
                "queue_unclaimed",
                people=tuple(task.candidates),
                since=task.opened_at,
                count=len(task.candidates),
                queue=task.queue,
            )
    elif task.assignee is None:
        yield _about(task, "nobody_eligible", "stuck")
    else:
        yield from _assigned(situation, task, task.assignee)
    if task.assignee is None or not _waits_in_vain(situation, task.assignee):
        yield from _late(situation, task)
    yield from _untold(situation, task)


def _assigned(situation: Situation, task: TaskRow, person: str) -> Iterator[Finding]:
    if task.assigned_via == "owner":
        yield _about(task, "with_owner", people=(person,))
    found = situation.directory.get(person)
    others = [one for one in task.delegates if not _waits_in_vain(situation, one)]
    level: Level = "note" if others else "stuck"
    if found is None:
        yield _about(task, "assignee_left", level, people=(person,))
    elif _waits_in_vain(situation, person):
        absence = situation.directory.absence(person, situation.now)
        until = absence.until if absence is not None else None
        yield _about(task, "away_without_substitute", level, people=(person,), until=until)


def _waits_in_vain(situation: Situation, person: str) -> bool:
    """Say whether a person is away, or gone, and nobody stands in for them."""
    directory, now = situation.directory, situation.now
    if directory.get(person) is None:
        return True
    return directory.absence(person, now) is not None and not directory.substitutes_of(person, now)


def _late(situation: Situation, task: TaskRow) -> Iterator[Finding]:
    state = situation.state
    live = state.task(task.id) if state is not None else None
    if live is not None and live.escalation_ended:
        yield _about(task, "escalation_ended", people=_people(task), at=task.due_at)
    elif task.sla_state == "breached":
        yield _about(task, "late", people=_people(task), at=live.breached_at if live is not None else task.due_at)


def _untold(situation: Situation, task: TaskRow) -> Iterator[Finding]:
    """Find whom no message about the task has reached: all that were tried have failed, or are tried again."""
    by_person: dict[str, list[NotificationMessage]] = {}
    for message in situation.messages:
        if message.person in _people(task) and message.status in {"sent", "failed", "pending"}:
            by_person.setdefault(message.person or "", []).append(message)
    for person, messages in by_person.items():
        recent = [one for one in messages if one.created_at >= task.opened_at]
        failed = [one for one in recent if one.status == "failed" or (one.attempts and one.last_error)]
        if failed and not any(one.status == "sent" for one in recent):
            last = failed[-1]
            again = last.next_attempt_at if last.status == "pending" else None
            yield Finding(
                code="message_retried" if again is not None else "message_undelivered",
                level="note",
                stage=task.stage,
                task_id=task.id,
                people=(person,),
                parameters={"channel": last.channel, "attempts": last.attempts, "next_at": again},
                error=last.last_error,
            )


def _running(situation: Situation, state: State) -> Iterator[Finding]:
    calls: list[ActionCall | None] = [*state.strays, *state.actions]
    if len(calls) != len(situation.calls):  # one has just ended, so which is which cannot be told
        calls = [None] * len(situation.calls)
    for call, running in zip(calls, situation.calls, strict=True):
        yield from _action(situation, call, running)
    for wait in state.waits:
        if wait.event is not None:
            yield Finding(
                code="event_awaited",
                level="note" if wait.until is not None else "stuck",
                node=wait.node,
                parameters={"event": wait.event, "since": wait.since, "until": wait.until},
            )
    for child in state.children:
        yield Finding(
            code="subprocess_waits",
            level="note",
            node=child.node,
            parameters={"request_id": child.request_id, "title": child.title},
        )


def _action(situation: Situation, call: ActionCall | None, running: RunningCall) -> Iterator[Finding]:
    name, node = (call.action, call.node) if call is not None else (None, None)
    if not running.taken and running.since < situation.now - UNTAKEN:
        yield Finding(
            code="action_untaken", level="stuck", node=node, parameters={"action": name, "since": running.since}
        )
    elif running.last_error is not None:
        yield Finding(
            code="action_retried",
            level="note",
            node=node,
            parameters={"action": name, "failures": running.attempt - 1, "next_at": running.next_at},
            error=running.last_error,
        )


def _people(task: TaskRow) -> tuple[str, ...]:
    return ((task.assignee,) if task.assignee is not None else tuple(task.candidates)) + tuple(task.delegates)


def _about(
    task: TaskRow,
    code: str,
    level: Level = "note",
    *,
    people: tuple[str, ...] = (),
    **parameters: datetime | int | str | None,
) -> Finding:
    return Finding(
        code=code,
        level=level,
        stage=task.stage,
        task_id=task.id,
        people=people,
        parameters={name: value for name, value in parameters.items() if value is not None},
    )
