"""Stored shadow simulations: which ones run, which process runs each, and which requests each has to process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.queries.simulations.simulations import hidden, seen_by
from storage.tables.approvals import ApprovalRequest
from storage.tables.simulations import WorkflowSimulation

_AT_ONCE = 400  # ids of one query


@of_rows
def standing(session: Session) -> Sequence[WorkflowSimulation]:
    """Return the shadows that run, oldest first."""
    query = (
        select(WorkflowSimulation)
        .where(col(WorkflowSimulation.status) == "running", col(WorkflowSimulation.mode) == "shadow")
        .order_by(col(WorkflowSimulation.created_at))
    )
    return session.scalars(query).all()


def count(connection: Connection) -> int:
    """Count the shadows that run."""
    query = select(func.count()).where(
        col(WorkflowSimulation.status) == "running", col(WorkflowSimulation.mode) == "shadow"
    )
    return connection.execute(query).scalar_one()


def follow(connection: Connection, simulation_id: str, *, by: str, now: datetime, until: datetime) -> bool:
    """Lease a running shadow until a moment, or renew the lease; False where another process has it."""
    holder, held_until = col(WorkflowSimulation.followed_by), col(WorkflowSimulation.followed_until)
    changed = connection.execute(
        update(WorkflowSimulation)
        .where(
            col(WorkflowSimulation.id) == simulation_id,
            col(WorkflowSimulation.status) == "running",
            holder.is_(None) | (holder == by) | (held_until < now),
        )
        .values(followed_by=by, followed_until=until)
    )
    return bool(changed.rowcount)


def leave(connection: Connection, by: str) -> None:
    """Release all shadows of a process."""
    connection.execute(
        update(WorkflowSimulation)
        .where(col(WorkflowSimulation.followed_by) == by)
        .values(followed_by=None, followed_until=None)
    )


def keep(connection: Connection, simulation_id: str, *, by: str, result: dict[str, Any]) -> bool:
    """Store the result so far of a running shadow; False where it has ended or another process has it."""
    changed = connection.execute(
        update(WorkflowSimulation)
        .where(
            col(WorkflowSimulation.id) == simulation_id,
            col(WorkflowSimulation.status) == "running",
            col(WorkflowSimulation.followed_by) == by,
        )
        .values(result=result)
    )
    return bool(changed.rowcount)


@of_rows
def arrived(
    session: Session, template: str, *, viewer: str | None, since: datetime, pending: bool, limit: int
) -> Sequence[ApprovalRequest]:
    """Return the requests of a process that began at a moment or later, `pending` also those that still run.

    Only those that `viewer` may see; None sees all.
    """
    query = (
        select(ApprovalRequest)
        .where(*_which(template, since, pending=pending), *seen_by(viewer))
        .order_by(col(ApprovalRequest.started_at), col(ApprovalRequest.id))
        .limit(limit)
    )
    return session.scalars(query).all()


def left_out(connection: Connection, template: str, *, viewer: str | None, since: datetime) -> int:
    """Count the requests that began at a moment or later, or still run, and that `viewer` may not see."""
    return hidden(connection, *_which(template, since, pending=True), viewer=viewer)


def heads(connection: Connection, ids: Sequence[str], *, viewer: str | None) -> dict[str, str]:
    """Return the head of each request's chain, by id: another one means that something was recorded.

    What `viewer` may not see (None: sees all) is left out.
    """
    found: dict[str, str] = {}
    for first in range(0, len(ids), _AT_ONCE):
        query = select(col(ApprovalRequest.id), col(ApprovalRequest.head)).where(
            col(ApprovalRequest.id).in_(ids[first : first + _AT_ONCE]), *seen_by(viewer)
        )
        found.update({row[0]: row[1] for row in connection.execute(query).all()})
    return found


def _which(template: str, since: datetime, *, pending: bool) -> tuple[ColumnElement[bool], ...]:
    began = col(ApprovalRequest.started_at) >= since
    which = began | (col(ApprovalRequest.status) == "pending") if pending else began
    return col(ApprovalRequest.template) == template, which, col(ApprovalRequest.erased_at).is_(None)
