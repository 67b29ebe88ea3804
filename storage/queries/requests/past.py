"""The past of a process, as forecasts and simulations learn from it: the latest requests of a version, each with its
tasks, and the latest tasks of all versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlmodel import col

from storage.tables.approvals import ApprovalRequest, ApprovalTask

MOST_ENDED = 1_000  # of the requests of a version, the latest to end
MOST_OPEN = 500  # and of those that are open
MOST_DECIDED = 5_000  # decisions of a process, the latest
MOST_WAITING = 1_000  # and open tasks of it
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTaskRow:
    """What is stored of a task."""

    id: str
    stage: str
    round: int
    assignee: str | None
    status: str
    opened_at: datetime
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRequestRow:
    """What is stored of a request, its tasks oldest first; `input` is None where it was erased."""

    id: str
    requester: str
    title: str
    input: Mapping[str, Any] | None
    status: str
    started_at: datetime
    ended_at: datetime | None
    tasks: tuple[PastTaskRow, ...]


def past_of(connection: Connection, template_id: str) -> list[PastRequestRow]:
    """Return the latest requests of a version, those that have ended and those that are open."""
    ended_at, started_at, ident = (
        col(ApprovalRequest.ended_at),
        col(ApprovalRequest.started_at),
        col(ApprovalRequest.id),
    )
    columns = (
        ident,
        col(ApprovalRequest.requester),
        col(ApprovalRequest.title),
        col(ApprovalRequest.input),
        col(ApprovalRequest.status),
        started_at,
        ended_at,
        col(ApprovalRequest.erased_at),
    )
    of_version = select(*columns).where(col(ApprovalRequest.template_id) == template_id)
    ended = of_version.where(ended_at.is_not(None)).order_by(ended_at.desc(), ident.desc()).limit(MOST_ENDED)
    running = of_version.where(ended_at.is_(None)).order_by(ident.desc()).limit(MOST_OPEN)
    rows = [row for query in (ended, running) for row in connection.execute(query).all()]
    tasks = _tasks_of(connection, [row[0] for row in rows])
    return [
        PastRequestRow(
            id=row[0],
            requester=row[1],
            title=row[2],
            input=None if row[7] is not None else row[3],
            status=row[4],
            started_at=row[5],
            ended_at=row[6],
            tasks=tuple(tasks.get(row[0], ())),
        )
        for row in rows
    ]


def tasks_of(connection: Connection, template: str) -> list[PastTaskRow]:
    """Return the latest tasks of a process that were decided, whatever its version, and those that are open."""
    query = (
        select(*(col(getattr(ApprovalTask, name)) for name in PastTaskRow.__slots__))
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
        .where(col(ApprovalRequest.template) == template)
    )
    decided = query.where(col(ApprovalTask.status) == "decided", col(ApprovalTask.decided_at).is_not(None))
    waiting = query.where(col(ApprovalTask.status) == "open", col(ApprovalRequest.status) == "pending")
    chosen = (
        decided.order_by(col(ApprovalTask.decided_at).desc()).limit(MOST_DECIDED),
        waiting.order_by(col(ApprovalTask.opened_at).desc()).limit(MOST_WAITING),
    )
    return [PastTaskRow(**row) for one in chosen for row in connection.execute(one).mappings()]


def waiting_for(connection: Connection, template_id: str, people: Sequence[str]) -> dict[str, int]:
    """Return how many open tasks these people have in a version of a process."""
    assignee = col(ApprovalTask.assignee)
    query = (
        select(assignee, func.count())
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
        .where(
            assignee.in_(people),
            col(ApprovalTask.status) == "open",
            col(ApprovalRequest.template_id) == template_id,
        )
        .group_by(assignee)
    )
    return dict.fromkeys(people, 0) | {str(person): number for person, number in connection.execute(query)}


def _tasks_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[PastTaskRow]]:
    found: dict[str, list[PastTaskRow]] = {}
    for first in range(0, len(ids), _AT_ONCE):
        query = (
            select(
                col(ApprovalTask.request_id),
                col(ApprovalTask.id),
                col(ApprovalTask.stage),
                col(ApprovalTask.round),
                col(ApprovalTask.assignee),
                col(ApprovalTask.status),
                col(ApprovalTask.opened_at),
                col(ApprovalTask.decision),
                col(ApprovalTask.decided_by),
                col(ApprovalTask.decided_at),
            )
            .where(col(ApprovalTask.request_id).in_(ids[first : first + _AT_ONCE]))
            .order_by(col(ApprovalTask.request_id), col(ApprovalTask.position))
        )
        for row in connection.execute(query).all():
            task = PastTaskRow(
                id=row[1],
                stage=row[2],
                round=row[3],
                assignee=row[4],
                status=row[5],
                opened_at=row[6],
                decision=row[7],
                decided_by=row[8],
                decided_at=row[9],
            )
            found.setdefault(row[0], []).append(task)
    return found
