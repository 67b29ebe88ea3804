"""Write recordings: audit entries, projection and notifications in one transaction, keyed by (request, seq).

What of them is new, and which are refused, is in `storage.recording.new_part`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, String, Table, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel, col

from placet.audit.chain import Entry, canonical_json
from placet.definition.assignees import parse_assignee, person_id
from placet.engine.recording import Recording
from placet.engine.state import Notification, Task
from placet.errors import Conflict
from storage.announcements.announce import HELD, announce, request_topic
from storage.database import one_trip
from storage.prepared import Prepared, among, one_of
from storage.queries.requests import list_fields, titles
from storage.recording import metrics, recipients
from storage.recording.new_part import NOTHING, NewPart, Stored, new_part, precedes
from storage.recording.recipients import ASKING
from storage.tables.approvals import (
    ApprovalRequest,
    ApprovalTask,
    AuditEntry,
    AuditSuperseded,
    Outbox,
    Participant,
    TaskCandidate,
)
from storage.tables.columns import Moment
from storage.tables.notifications import NotificationMessage

_HEADS = Prepared(
    lambda dialect: (
        select(
            col(ApprovalRequest.id),
            col(ApprovalRequest.seq),
            col(ApprovalRequest.head),
            col(ApprovalRequest.workflow_task_at),
            col(ApprovalRequest.claim_key),
        )
        .where(among(dialect, col(ApprovalRequest.id), "ids"))
        .order_by(col(ApprovalRequest.id))
        .with_for_update()
    )
)
_SEQ = Prepared(select(col(ApprovalRequest.seq)).where(col(ApprovalRequest.id) == bindparam("request_id")))
_SEQS = Prepared(
    lambda dialect: select(col(ApprovalRequest.id), col(ApprovalRequest.seq)).where(
        among(dialect, col(ApprovalRequest.id), "ids")
    )
)
_CLAIM = Prepared(
    update(ApprovalRequest)
    .where(col(ApprovalRequest.id) == bindparam("request_id"), col(ApprovalRequest.head) == bindparam("of_head"))
    .values(claim_key=bindparam("key", type_=String()))
)
_TASK = Prepared(
    update(ApprovalRequest)
    .where(col(ApprovalRequest.id) == bindparam("request_id"))
    .values(workflow_task_at=bindparam("task_at", type_=Moment()))
)
_STILL_OPEN = exists().where(col(ApprovalTask.id) == col(Outbox.task_id), col(ApprovalTask.status) == "open")
# Notifications that ask people to act on tasks that are no longer open.
_DROP_POINTLESS = Prepared(
    lambda dialect: (
        update(Outbox)
        .where(
            among(dialect, col(Outbox.request_id), "closed"),
            one_of(col(Outbox.status), ("held", "ready")),
            one_of(col(Outbox.event), ASKING),
            col(Outbox.task_id).is_not(None),
            ~_STILL_OPEN,
        )
        .values(status="dropped")
    )
)
_NO_CANDIDATES = Prepared(
    lambda dialect: delete(TaskCandidate).where(among(dialect, col(TaskCandidate.task_id), "tasks"))
)


def write_all(connection: Connection, recordings: Sequence[Recording], now: datetime) -> list[Conflict | None]:
    """Write recordings of different requests; return None for each, or the Conflict of one that was not written."""
    ordered = sorted(recordings, key=lambda r: r.request_id)  # everyone locks in the same order
    stored = _stored(connection, [r.request_id for r in ordered])
    outcomes: dict[str, Conflict | None] = {}
    fresh: list[NewPart] = []
    for recording in ordered:
        outcomes[recording.request_id] = None
        try:
            part = new_part(connection, recording, stored.get(recording.request_id, NOTHING))
        except Conflict as conflict:
            outcomes[recording.request_id] = conflict
        else:
            if part is not None:
                fresh.append(part)
            else:
                _take_over(connection, recording, stored[recording.request_id])
    lost = {p.recording.request_id: _supersede(connection, p, now) for p in fresh if p.contradicted}
    if fresh:
        counted: metrics.Changes = Counter()
        for part in fresh:
            gone = lost.get(part.recording.request_id, ())
            counted.update(metrics.changes(part.recording, part.entries, now, lost=gone))
        personal = recipients.personal_notifications(
            connection, [(part.recording, part.notifications) for part in fresh], now
        )
        named = list_fields.AMOUNT_VARIABLES.of(connection, {part.recording.template_id for part in fresh})
        for part in fresh:
            if any(entry.kind == "decision_undone" for entry in part.entries):
                _ask_again(connection, part.recording)
        with one_trip(connection):
            _insert(connection, fresh, personal, named, now)
            metrics.count(connection, counted)
            announce(connection, _topics(fresh, held=any(personal)))
    return [outcomes[r.request_id] for r in recordings]


def stored_seq(connection: Connection, request_id: str) -> int:
    """Return the seq of a request's last entry that is stored, 0 where there is none."""
    return _SEQ.scalar(connection, request_id=request_id) or 0


def stored_seqs(connection: Connection, requests: Sequence[str]) -> dict[str, int]:
    """Return the seq of the last stored entry of each of these requests."""
    return {row.id: row.seq for row in _SEQS.rows(connection, ids=requests)}


def _topics(fresh: Sequence[NewPart], *, held: bool) -> list[str]:
    """Return what is announced of recordings: that requests have begun, ended, or gone back to their requester."""
    awaited = [request_topic(part.recording.request_id) for part in fresh if _is_awaited(part)]
    return [*awaited, HELD] if held else awaited


def _is_awaited(part: NewPart) -> bool:
    return part.entries[0].seq == 1 or part.recording.status != "pending" or part.recording.returned


def _stored(connection: Connection, ids: list[str]) -> Mapping[str, Stored]:
    return {row[0]: Stored(*row[1:]) for row in _HEADS.rows(connection, ids=ids)}


def _take_over(connection: Connection, recording: Recording, stored: Stored) -> None:
    """Have what an earlier workflow task recorded, and this one has recorded again, count as recorded by this one.

    A claim is then of the call that history gave it to; the same person's other call may have had it in the lost task.
    The entry says who has claimed, and not by which call, so both recordings have the same.
    """
    if precedes(recording.task_began, stored.task_at):
        return
    if recording.claim is not None:
        _CLAIM.run(connection, request_id=recording.request_id, of_head=recording.head, key=recording.claim.key)
    if precedes(stored.task_at, recording.task_began):
        _TASK.run(connection, request_id=recording.request_id, task_at=recording.task_began)


def _supersede(connection: Connection, part: NewPart, now: datetime) -> list[metrics.Lost]:
    """Supersede rows that are not in history: entries, their projection, and notifications that were not sent.

    Return the number, kind and task of each superseded entry.
    """
    request_id, seq = part.recording.request_id, part.entries[0].seq
    rows = {"request_id": request_id, "first": seq}
    entries = _TAKEN_BACK.rows(connection, **rows)
    lost = [{**entry._asdict(), "superseded_at": now} for entry in entries]
    _PUT_SUPERSEDED.run_all(connection, lost)
    _DELETE_ENTRIES.run(connection, **rows)
    _DELETE_UNSENT.run(connection, **rows)
    # A notification that was sent nevertheless keeps its row under another key, to free the key for the true one.
    for sent in _SENT.rows(connection, **rows):
        _RENAME.run(connection, there=sent.key, free=f"{sent.key}#{sent.hash[:12]}")
    _ask_again(connection, part.recording)
    _take_tasks_back(connection, part.recording)
    return [(entry.seq, entry.kind, entry.task_id) for entry in entries]


def _ask_again(connection: Connection, recording: Recording) -> None:
    """Hold again what asks people to act on open tasks, and was dropped as long as their rows said otherwise.

    What is needed is decided anew, once history is known to hold the entry; what people have got stays as it is.
    """
    still_open = [task.id for task in recording.tasks if task.status == "open"]
    rows = _HOLD_AGAIN.rows(connection, request_id=recording.request_id, tasks=still_open)
    if rows:
        _DELETE_NEEDLESS.run(connection, keys=[row.key for row in rows])


def _take_tasks_back(connection: Connection, recording: Recording) -> None:
    """Delete the tasks that the recording writes again, and those that are not in history.

    Tasks that the recording does not contain were closed before, and stay with their participants.
    """
    request_id = recording.request_id
    if recording.opened == len(recording.tasks):
        _DELETE_TASKS.run(connection, request_id=request_id, beyond=0)
        _DELETE_PARTICIPANTS.run(connection, request_id=request_id)
        return
    _DELETE_TASKS.run(connection, request_id=request_id, beyond=recording.opened)
    if recording.tasks:
        places = [{"request_id": request_id, "at": task.number} for task in recording.tasks]
        _DELETE_TASK.run_all(connection, places)


def _insert(
    connection: Connection,
    fresh: list[NewPart],
    personal: list[list[Notification]],
    named: Mapping[str, str | None],
    now: datetime,
) -> None:
    entries = [_entry(part.recording.request_id, entry, now) for part in fresh for entry in part.entries]
    _PUT_ENTRY.run_all(connection, entries)
    rows = [_request(part.recording, named) for part in fresh]
    _PUT_REQUEST.run_all(connection, rows)
    if retitled := [row for part, row in zip(fresh, rows, strict=True) if part.may_change_the_title]:
        titles.put(connection, retitled)
    tasks = [_task(part.recording, task, named) for part in fresh for task in part.tasks]
    if tasks:
        _PUT_TASK.run_all(connection, tasks)
        people = [
            {"request_id": part.recording.request_id, "person": person}
            for part in fresh
            for person in sorted(_participants(part.tasks) | _principal(part.recording))
        ]
        if people:
            _PUT_PARTICIPANT.run_all(connection, people)
        if known := [task.id for part in fresh if not part.begins for task in part.tasks]:
            _NO_CANDIDATES.run(connection, tasks=known)
        if candidates := [row for part in fresh for row in _candidates(part.tasks)]:
            _PUT_CANDIDATE.run_all(connection, candidates)
    if notifications := [row for part, its in zip(fresh, personal, strict=True) for row in _notifications(part, its)]:
        _PUT_NOTIFICATION.run_all(connection, notifications)
    closed = [part.recording.request_id for part in fresh if any(task.status != "open" for task in part.tasks)]
    if closed:
        _DROP_POINTLESS.run(connection, closed=closed)


def _columns(model: type[SQLModel]) -> Any:
    table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    return table.columns


def _put(model: type[SQLModel], *, replace: bool = False, ignore: bool = False) -> Prepared:
    """Prepare inserting rows; where the key is there, they `replace` the stored one, or are left out (`ignore`)."""

    def inserting(dialect: str) -> Executable:
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = make(model)
        if ignore:
            return statement.on_conflict_do_nothing()
        if replace:
            fields = {c.name: statement.excluded[c.name] for c in _columns(model) if c.name != "id"}
            return statement.on_conflict_do_update(index_elements=["id"], set_=fields)
        return statement

    return Prepared(inserting)


_OF_ENTRIES = (col(AuditEntry.request_id) == bindparam("request_id"), col(AuditEntry.seq) >= bindparam("first"))
_OF_NOTIFICATIONS = (col(Outbox.request_id) == bindparam("request_id"), col(Outbox.seq) >= bindparam("first"))
_KEPT = ("request_id", "seq", "at", "kind", "actor", "stage", "task_id", "detail", "salts", "hash")
_TAKEN_BACK = Prepared(select(*(_columns(AuditEntry)[name] for name in _KEPT)).where(*_OF_ENTRIES))
_PUT_SUPERSEDED = Prepared(insert(AuditSuperseded))
_DELETE_ENTRIES = Prepared(delete(AuditEntry).where(*_OF_ENTRIES))
_UNSENT = one_of(col(Outbox.status), ("held", "ready", "dropped"))
_DELETE_UNSENT = Prepared(delete(Outbox).where(*_OF_NOTIFICATIONS, _UNSENT))
_SENT = Prepared(select(col(Outbox.key), col(Outbox.hash)).where(*_OF_NOTIFICATIONS))
_RENAME = Prepared(
    update(Outbox).where(col(Outbox.key) == bindparam("there")).values(key=bindparam("free", type_=String()))
)
_HOLD_AGAIN = Prepared(
    lambda dialect: (
        update(Outbox)
        .where(
            col(Outbox.request_id) == bindparam("request_id"),
            among(dialect, col(Outbox.task_id), "tasks"),
            one_of(col(Outbox.event), (*ASKING, "sla_breached")),  # of a breach, those who decided are not told
            col(Outbox.status) == "dropped",
        )
        .values(status="held", next_attempt_at=col(Outbox.created_at))  # it may have been planned before
        .returning(col(Outbox.key))
    )
)
_DELETE_NEEDLESS = Prepared(
    lambda dialect: delete(NotificationMessage).where(
        among(dialect, col(NotificationMessage.key), "keys"), col(NotificationMessage.status) == "dropped"
    )
)
_TASKS = col(ApprovalTask.request_id) == bindparam("request_id")
_DELETE_TASKS = Prepared(delete(ApprovalTask).where(_TASKS, col(ApprovalTask.position) > bindparam("beyond")))
_DELETE_TASK = Prepared(delete(ApprovalTask).where(_TASKS, col(ApprovalTask.position) == bindparam("at")))
_DELETE_PARTICIPANTS = Prepared(delete(Participant).where(col(Participant.request_id) == bindparam("request_id")))
_PUT_ENTRY, _PUT_NOTIFICATION, _PUT_CANDIDATE = _put(AuditEntry), _put(Outbox), _put(TaskCandidate)
_PUT_REQUEST, _PUT_TASK = _put(ApprovalRequest, replace=True), _put(ApprovalTask, replace=True)
_PUT_PARTICIPANT = _put(Participant, ignore=True)


def _request(recording: Recording, amount_of: Mapping[str, str | None]) -> dict[str, Any]:
    action, claim = recording.action, recording.claim
    return {
        "id": recording.request_id,
        "template_id": recording.template_id,
        "template": recording.template,
        "version": recording.version,
        "title": recording.title,
        "input": recording.input,
        "requester": recording.requester,
        "owner": person_id(str(parse_assignee(recording.owner))) if recording.owner else None,
        "status": recording.status,
        "outcome": recording.outcome,
        "stage": recording.stage,
        "round": recording.round,
        "returned": recording.returned,
        "revision": recording.revision,
        "content_digest": recording.content_digest or None,
        "seq": recording.seq,
        "head": recording.head,
        "started_at": recording.started_at,
        "ended_at": recording.ended_at,
        "questions": [question.stored for question in recording.questions] or None,
        "open_questions": recording.open_questions,
        "amount": _amount(recording, amount_of),
        "started_by": recording.started_by,
        "action": action.document if action is not None else None,
        "action_digest": action.digest if action is not None else None,
        "claim_status": claim.status if claim is not None else None,
        "claimed_by": claim.by if claim is not None else None,
        "claimed_at": claim.at if claim is not None else None,
        "claim_key": claim.key if claim is not None else None,
        "workflow_task_at": recording.task_began,
    }


def _amount(recording: Recording, amount_of: Mapping[str, str | None]) -> float | None:
    return list_fields.amount(recording.input, amount_of.get(recording.template_id))


def _task(recording: Recording, task: Task, amount_of: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "id": task.id,
        "request_id": recording.request_id,
        "position": task.number,
        "stage": task.stage,
        "round": task.round,
        "assignee": task.assignee,
        "candidates": list(task.candidates),
        "delegates": list(task.delegates),
        "hand_overs": task.hand_overs,
        "assigned_via": task.via,
        "status": task.status,
        "opened_at": task.opened_at,
        "due_at": task.due_at,
        "sla_state": task.sla_state,
        "escalation_level": task.level,
        "decision": task.decision,
        "decided_by": task.decided_by,
        "decided_at": task.decided_at,
        "comment": task.comment,
        "form": task.form,
        "queue": task.queue,
        "on_behalf_of": task.on_behalf_of,
        "undo_until": task.undo_until,
        "signature": task.signature.stored if task.signature is not None else None,
        "revision": task.revision,
        "content_digest": task.content_digest or None,
        "amount": _amount(recording, amount_of),
    }


def _candidates(tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
    """Yield the candidates of tasks: delegates and claimants. Members of queues are looked up when a list is read."""
    for task in tasks:
        claims = task.candidates if task.assignee is None and task.queue is None else ()
        for person in sorted({*task.delegates, *claims}):
            yield {"person": person, "task_id": task.id}


def _participants(tasks: Iterable[Task]) -> set[str]:
    people: set[str] = set()
    for task in tasks:
        people.update(task.held_by, task.delegates, (task.assignee,) if task.assignee else ())
        if task.queue is None:
            people.update(task.candidates)
    return people


def _principal(recording: Recording) -> set[str]:
    """Return whom the agent acts for that asked: they see what it asks."""
    return {recording.principal} if recording.principal is not None else set()


def _entry(request_id: str, entry: Entry, now: datetime) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind,
        "actor": entry.actor,
        "stage": entry.stage,
        "task_id": entry.task_id,
        "detail": canonical_json(entry.detail).decode(),
        "salts": canonical_json(entry.salts).decode() if entry.salts else None,
        "hash": entry.hash,
        "recorded_at": now,
    }


def _notifications(part: NewPart, notifications: Iterable[Notification]) -> Iterable[dict[str, Any]]:
    # By the engine's clock: by that of a worker which is ahead, it would wait until the others' are there, too.
    told_of = {entry.seq: entry for entry in part.entries}
    for notification in notifications:
        entry = told_of[notification.seq]
        yield {
            "key": notification.key,
            "request_id": part.recording.request_id,
            "seq": notification.seq,
            "hash": entry.hash,
            "event": notification.event,
            "person": notification.to,
            "task_id": notification.task_id,
            "detail": notification.detail,
            "status": "held",
            "created_at": entry.at,
            "next_attempt_at": entry.at,
            "attempts": 0,
        }
