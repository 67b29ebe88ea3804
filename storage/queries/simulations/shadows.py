"""Stored shadow simulations: which ones run, which process runs each, and which requests each has to process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from storage.queries.simulations.simulations import hidden, seen_by
from storage.tables.approvals import ApprovalRequest
from storage.tables.simulations import WorkflowSimulation

_AT_ONCE = 400  # ids of one query


async def standing(session: AsyncSession) -> Sequence[WorkflowSimulation]:
    """Return the shadows that run, oldest first."""
    query = (
        select(WorkflowSimulation)
        .where(col(WorkflowSimulation.status) == "running", col(WorkflowSimulation.mode) == "shadow")
        .order_by(col(WorkflowSimulation.created_at))
    )
    return (await session.scalars(query)).all()


async def count(session: AsyncSession) -> int:
    """Count the shadows that run."""
    query = select(func.count()).where(
        col(WorkflowSimulation.status) == "running", col(WorkflowSimulation.mode) == "shadow"
    )
    return (await session.execute(query)).scalar_one()


async def follow(session: AsyncSession, simulation_id: str, *, by: str, now: datetime, until: datetime) -> bool:
    """Lease a running shadow until a moment, or renew the lease; False where another process has it."""
    holder, held_until = col(WorkflowSimulation.followed_by), col(WorkflowSimulation.followed_until)
    changed = await session.execute(
        update(WorkflowSimulation)
        .where(
            col(WorkflowSimulation.id) == simulation_id,
            col(WorkflowSimulation.status) == "running",
            holder.is_(None) | (holder == by) | (held_until < now),
        )
        .values(followed_by=by, followed_until=until)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]  # a result of UPDATE has it


async def leave(session: AsyncSession, by: str) -> None:
    """Release all shadows of a process."""
    await session.execute(
        update(WorkflowSimulation)
        .where(col(WorkflowSimulation.followed_by) == by)
        .values(followed_by=None, followed_until=None)
    )


async def keep(session: AsyncSession, simulation_id: str, *, by: str, result: dict[str, Any]) -> bool:
    """Store the result so far of a running shadow; False where it has ended or another process has it."""
    changed = await session.execute(
        update(WorkflowSimulation)
        .where(
            col(WorkflowSimulation.id) == simulation_id,
            col(WorkflowSimulation.status) == "running",
            col(WorkflowSimulation.followed_by) == by,
        )
        .values(result=result)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]  # a result of UPDATE has it


async def arrived(
    session: AsyncSession, template: str, *, viewer: str | None, since: datetime, pending: bool, limit: int
) -> Sequence[ApprovalRequest]:
    """Return the requests of a process that began at a moment or later, `pending` also those that still run.

    `viewer` sees those that are theirs to see; None sees all.
    """
    query = (
        select(ApprovalRequest)
        .where(*_which(template, since, pending=pending), *seen_by(viewer))
        .order_by(col(ApprovalRequest.started_at), col(ApprovalRequest.id))
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def left_out(session: AsyncSession, template: str, *, viewer: str | None, since: datetime) -> int:
    """Count the requests that began at a moment or later, or still run, and are not theirs to see."""
    return await hidden(session, *_which(template, since, pending=True), viewer=viewer)


async def heads(session: AsyncSession, ids: Sequence[str], *, viewer: str | None) -> dict[str, str]:
    """Return the head of each request's chain, by id: another one means that something was recorded.

    What `viewer` may not see (None: sees all) is left out.
    """
    found: dict[str, str] = {}
    for first in range(0, len(ids), _AT_ONCE):
        query = select(col(ApprovalRequest.id), col(ApprovalRequest.head)).where(
            col(ApprovalRequest.id).in_(ids[first : first + _AT_ONCE]), *seen_by(viewer)
        )
        found.update({row[0]: row[1] for row in (await session.execute(query)).all()})
    return found


async def rows(session: AsyncSession, ids: Sequence[str]) -> list[ApprovalRequest]:
    """Return these requests."""
    found: list[ApprovalRequest] = []
    for first in range(0, len(ids), _AT_ONCE):
        query = select(ApprovalRequest).where(col(ApprovalRequest.id).in_(ids[first : first + _AT_ONCE]))
        found += (await session.scalars(query)).all()
    return found


def _which(template: str, since: datetime, *, pending: bool) -> tuple[ColumnElement[bool], ...]:
    began = col(ApprovalRequest.started_at) >= since
    which = began | (col(ApprovalRequest.status) == "pending") if pending else began
    return col(ApprovalRequest.template) == template, which, col(ApprovalRequest.erased_at).is_(None)
