"""Requests as whole rows and as ids, for what looks at many of them: migrations, shadows and verifications."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry

_AT_ONCE = 400  # ids of one query


def titles(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """Return the titles of these requests by their ids; those that do not exist are left out."""
    query = select(col(ApprovalRequest.id), col(ApprovalRequest.title)).where(col(ApprovalRequest.id).in_(sorted(ids)))
    return {row.id: row.title for row in connection.execute(query)}


@of_rows
def rows(session: Session, ids: Sequence[str]) -> list[ApprovalRequest]:
    """Return these requests, in any order; those that do not exist are left out."""
    found: list[ApprovalRequest] = []
    for first in range(0, len(ids), _AT_ONCE):
        query = select(ApprovalRequest).where(col(ApprovalRequest.id).in_(ids[first : first + _AT_ONCE]))
        found += session.scalars(query).all()
    return found


def running_under_others(
    connection: Connection, template: str, version: str, *, from_version: str | None, limit: int
) -> tuple[list[str], int]:
    """Return the ids of requests that run under other versions than this, oldest first, and how many are left out.

    `from_version` means only those that run under that one.
    """
    query = select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.template) == template,
        col(ApprovalRequest.status) == "pending",
        col(ApprovalRequest.version) != version,
    )
    if from_version is not None:
        query = query.where(col(ApprovalRequest.version) == from_version)
    total = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    oldest = query.order_by(col(ApprovalRequest.started_at), col(ApprovalRequest.id)).limit(limit)
    ids = list(connection.scalars(oldest))
    return ids, total - len(ids)


def open_stages(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the stages in which tasks of these requests are open, by request: one for each task."""
    waiting = select(col(ApprovalTask.request_id), col(ApprovalTask.stage)).where(
        col(ApprovalTask.request_id).in_(ids), col(ApprovalTask.status) == "open"
    )
    stages: dict[str, list[str]] = {}
    for request_id, stage in connection.execute(waiting):
        stages.setdefault(request_id, []).append(stage)
    return stages


def all_ids(connection: Connection) -> set[str]:
    """Return the ids of all requests; also of those whose own row is gone and whose audit entries are not."""
    return {
        *connection.scalars(select(col(ApprovalRequest.id))),
        *connection.scalars(select(col(AuditEntry.request_id)).distinct()),
    }
