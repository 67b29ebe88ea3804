"""Requests and their tasks as `record` projected them, their timeline, and who may see them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from placet.errors import NotFound
from storage import cursor as cursors
from storage.tables import ApprovalRequest, ApprovalTask, AuditEntry, Delivery, Participant


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A request and all of its tasks, oldest first."""

    request: ApprovalRequest
    tasks: tuple[ApprovalTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One line of a timeline; deliveries count their own `seq`, for their chain is another."""

    seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    hash: str


async def get(session: AsyncSession, request_id: str, *, viewer: str | None = None) -> Stored:
    """Return a request with its tasks; raises NotFound, also where `viewer` (None: sees all) may not see it."""
    query = select(ApprovalRequest).where(col(ApprovalRequest.id) == request_id)
    if viewer is not None:
        query = query.where(_visible(viewer))
    request = (await session.scalars(query)).one_or_none()
    if request is None:
        raise NotFound(f"There is no request {request_id!r}, or it is not yours to see")
    return Stored(request=request, tasks=(await _tasks(session, [request_id])).get(request_id, ()))


async def page(
    session: AsyncSession,
    *,
    limit: int,
    cursor: str | None = None,
    viewer: str | None = None,
    status: str | None = None,
    template: str | None = None,
    requester: str | None = None,
) -> cursors.Page[Stored]:
    """List requests with their tasks, newest first, `limit` at a time; `viewer` None sees all."""
    query = select(ApprovalRequest)
    if cursor is not None:
        at, last = cursors.read_moment(cursor)
        started, ident = col(ApprovalRequest.started_at), col(ApprovalRequest.id)
        query = query.where((started < at) | ((started == at) & (ident < last)))
    if viewer is not None:
        query = query.where(_visible(viewer))
    for column, value in (
        (ApprovalRequest.status, status),
        (ApprovalRequest.template, template),
        (ApprovalRequest.requester, requester),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    query = query.order_by(col(ApprovalRequest.started_at).desc(), col(ApprovalRequest.id).desc()).limit(limit + 1)
    found = (await session.scalars(query)).all()
    tasks = await _tasks(session, [request.id for request in found[:limit]])
    rows = [Stored(request=request, tasks=tasks.get(request.id, ())) for request in found]
    return cursors.page(rows, limit, lambda row: (row.request.started_at, row.request.id))


async def task(session: AsyncSession, task_id: str, *, viewer: str | None = None) -> ApprovalTask:
    """Return one task; raises NotFound, also where `viewer` (None: sees all) may not see its request."""
    query = select(ApprovalTask).where(col(ApprovalTask.id) == task_id)
    if viewer is not None:
        query = query.join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
        query = query.where(_visible(viewer))
    found = (await session.scalars(query)).one_or_none()
    if found is None:
        raise NotFound(f"There is no task {task_id!r}, or it is not yours to see")
    return found


async def task_page(
    session: AsyncSession,
    *,
    limit: int,
    cursor: str | None = None,
    viewer: str | None = None,
    assignee: str | None = None,
    waits_for: str | None = None,
    status: str | None = None,
    sla_state: str | None = None,
    request_id: str | None = None,
) -> cursors.Page[ApprovalTask]:
    """List tasks, newest first, `limit` at a time; `viewer` None sees all.

    `assignee` is whoever has the task now; `waits_for` is anyone who may decide or claim it (their delegate, the
    people of its queue).
    """
    query = select(ApprovalTask)
    if cursor is not None:
        at, last = cursors.read_moment(cursor)
        opened, ident = col(ApprovalTask.opened_at), col(ApprovalTask.id)
        query = query.where((opened < at) | ((opened == at) & (ident < last)))
    if viewer is not None:
        query = query.join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
        query = query.where(_visible(viewer))
    if waits_for is not None:
        query = query.where(_waits_for(waits_for))
    for column, value in (
        (ApprovalTask.assignee, assignee),
        (ApprovalTask.status, status),
        (ApprovalTask.sla_state, sla_state),
        (ApprovalTask.request_id, request_id),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    query = query.order_by(col(ApprovalTask.opened_at).desc(), col(ApprovalTask.id).desc()).limit(limit + 1)
    return cursors.page((await session.scalars(query)).all(), limit, lambda row: (row.opened_at, row.id))


async def timeline(session: AsyncSession, request_id: str) -> list[Happened]:
    """Return all that happened to a request: its audit chain, with the deliveries merged in by time."""
    entries = await session.scalars(
        select(AuditEntry).where(col(AuditEntry.request_id) == request_id).order_by(col(AuditEntry.seq))
    )
    deliveries = await session.scalars(
        select(Delivery).where(col(Delivery.request_id) == request_id).order_by(col(Delivery.seq))
    )
    merged = [_happened(row, row.actor) for row in entries] + [_happened(row, "system") for row in deliveries]
    # The sort is stable: each chain keeps its order, and at the same moment entries come before deliveries.
    return sorted(merged, key=lambda row: row.at)


def _happened(row: AuditEntry | Delivery, actor: str) -> Happened:
    try:
        detail = json.loads(row.detail)
    except ValueError:  # edited by hand; `verify` says so, and the rest can still be read
        detail = {"unreadable": row.detail}
    return Happened(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        actor=actor,
        stage=row.stage,
        task_id=row.task_id,
        detail=detail if isinstance(detail, dict) else {"unreadable": row.detail},
        hash=row.hash,
    )


async def _tasks(session: AsyncSession, request_ids: list[str]) -> dict[str, tuple[ApprovalTask, ...]]:
    query = (
        select(ApprovalTask)
        .where(col(ApprovalTask.request_id).in_(request_ids))
        .order_by(col(ApprovalTask.request_id), col(ApprovalTask.position))
    )
    found: dict[str, tuple[ApprovalTask, ...]] = {}
    for one in await session.scalars(query):
        found[one.request_id] = (*found.get(one.request_id, ()), one)
    return found


def _visible(viewer: str) -> ColumnElement[bool]:
    """Build the rule of who sees a request: requester, owner, and everyone who has or had a task in it."""
    takes_part = exists().where(
        col(Participant.request_id) == col(ApprovalRequest.id), col(Participant.person) == viewer
    )
    return or_(col(ApprovalRequest.requester) == viewer, col(ApprovalRequest.owner) == viewer, takes_part)


def _waits_for(person: str) -> ColumnElement[bool]:
    requests = select(col(Participant.request_id)).where(col(Participant.person) == person)
    quoted = json.dumps(person)  # the lists are JSON text
    listed = or_(
        cast(col(ApprovalTask.delegates), String).contains(quoted, autoescape=True),
        col(ApprovalTask.assignee).is_(None)
        & cast(col(ApprovalTask.candidates), String).contains(quoted, autoescape=True),
    )
    return or_(col(ApprovalTask.assignee) == person, col(ApprovalTask.request_id).in_(requests) & listed)
