"""Read the past of a process from storage as a history: page by page through the index, so that memory is bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select
from sqlmodel import col

from insight.mining.history import Case, History, Task
from placet.audit.sealed import erased
from storage.database import Database
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, StoredPerson

MOST_DECISIONS: Final = 1_000_000
"""Tasks that one history holds; older ones are left out."""
_AT_ONCE = 500  # requests that one transaction reads


class Place(NamedTuple):
    """Where a page ended: what the requests are ordered by, the newest first."""

    started_at: datetime
    request_id: str


async def read_history(
    database: Database, template: str, *, since: datetime, now: datetime, most: int = MOST_DECISIONS
) -> History:
    """Return the requests of a process that were started since then, with their tasks; the newest, up to `most` tasks.

    Of a request whose content was erased nothing is read but who decided what, and when.
    """
    history = History()
    machines = await database.read(_machines)
    after: Place | None = None
    while len(history.tasks) < most:
        after = await database.read(_add_page, history, template, since=since, now=now, after=after, machines=machines)
        if after is None:
            break
    return history


def _machines(connection: Connection) -> dict[str, str]:
    """Return the actor type of everyone who is no person."""
    query = select(col(StoredPerson.id), col(StoredPerson.actor_type)).where(col(StoredPerson.actor_type) != "person")
    return {row[0]: row[1] for row in connection.execute(query)}


def _add_page(
    connection: Connection,
    history: History,
    template: str,
    *,
    since: datetime,
    now: datetime,
    after: Place | None,
    machines: Mapping[str, str],
) -> Place | None:
    """Add the next requests to a history, and return where they end; None where there are no more."""
    started, ident = col(ApprovalRequest.started_at), col(ApprovalRequest.id)
    query: Any = select(
        ident.label("id"),
        col(ApprovalRequest.version),
        started.label("started_at"),
        col(ApprovalRequest.ended_at),
        col(ApprovalRequest.outcome),
        col(ApprovalRequest.amount),
        col(ApprovalRequest.input).label("given"),
        col(ApprovalRequest.revision),
        col(ApprovalRequest.erased_at),
    ).where(started >= since, col(ApprovalRequest.template) == template)
    if after is not None:
        # The first condition is one that an index can begin at; the second alone would have it read from the newest on.
        query = query.where(started <= after.started_at, (started < after.started_at) | (ident < after.request_id))
    rows = connection.execute(query.order_by(started.desc(), ident.desc()).limit(_AT_ONCE)).all()
    revised = _revised(connection, [row.id for row in rows if row.revision > 1 and row.erased_at is None])
    for row in rows:
        given = {} if row.erased_at is not None else revised.opening.get(row.id, row.given)
        history.add_case(
            Case(
                request_id=row.id,
                template=template,
                version=row.version,
                started_at=row.started_at,
                ended_at=row.ended_at,
                outcome=row.outcome,
                amount=None if row.erased_at is not None else row.amount,
                values=given,
            )
        )
    ends = {row.id: row.ended_at or now for row in rows}
    for task in _tasks(connection, list(ends)):
        history.add_task(_task_of(task, ends[task.request_id], revised.changes.get(task.request_id, ()), machines))
    return Place(rows[-1].started_at, rows[-1].id) if len(rows) == _AT_ONCE else None


def _tasks(connection: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    query: Any = (
        select(
            col(ApprovalTask.request_id),
            col(ApprovalTask.stage),
            col(ApprovalTask.round),
            col(ApprovalTask.assignee),
            col(ApprovalTask.decided_by),
            col(ApprovalTask.assigned_via),
            col(ApprovalTask.opened_at),
            col(ApprovalTask.decided_at),
            col(ApprovalTask.due_at),
            col(ApprovalTask.decision),
            col(ApprovalTask.escalation_level),
        )
        .where(col(ApprovalTask.request_id).in_(ids))
        .order_by(col(ApprovalTask.request_id), col(ApprovalTask.position))
    )
    tasks: Sequence[Row[Any]] = connection.execute(query).all()
    return tasks


def _task_of(
    row: Row[Any],
    end: datetime,
    changes: Sequence[tuple[datetime, tuple[str, ...]]],
    machines: Mapping[str, str],
) -> Task:
    kind = ""
    if row.decided_by is not None:
        kind = machines.get(row.decided_by, "person")
    elif row.decision is not None:
        kind = "service"  # the process itself, when nobody had decided in time
    changed: tuple[str, ...] = ()
    if row.decision == "request_changes" and row.decided_at is not None:
        changed = next((fields for at, fields in changes if at >= row.decided_at), ())
    until = row.decided_at or end
    return Task(
        request_id=row.request_id,
        stage=row.stage,
        round=row.round,
        assignee=row.decided_by or row.assignee,
        assigned_via=row.assigned_via,
        actor_type=kind,
        opened_at=row.opened_at,
        decided_at=row.decided_at,
        due_at=row.due_at,
        decision=row.decision,
        waited_seconds=max(0.0, (until - row.opened_at).total_seconds()),
        escalations=row.escalation_level,
        changed_fields=changed,
    )


class _Revised(NamedTuple):
    """Of requests that were changed: the values that they began with, and which fields were changed when."""

    opening: dict[str, Mapping[str, Any]]
    changes: dict[str, list[tuple[datetime, tuple[str, ...]]]]


def _revised(connection: Connection, ids: Sequence[str]) -> _Revised:
    found = _Revised(opening={}, changes={})
    if not ids:
        return found
    query = (
        select(col(AuditEntry.request_id), col(AuditEntry.kind), col(AuditEntry.at), col(AuditEntry.detail))
        .where(col(AuditEntry.request_id).in_(ids), col(AuditEntry.kind).in_(("started", "resubmitted")))
        .order_by(col(AuditEntry.request_id), col(AuditEntry.seq))
    )
    for request_id, kind, at, text in connection.execute(query):
        detail = json.loads(text)
        if kind == "started":
            given = detail.get("input")
            found.opening[request_id] = given if isinstance(given, dict) and not erased(given) else {}
        else:
            changes = detail.get("changes")
            fields = tuple(one["field"] for one in changes) if isinstance(changes, list) else ()
            found.changes.setdefault(request_id, []).append((at, fields))
    return found
