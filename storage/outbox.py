"""The outbox: what people are still to be told, and the chain of what was delivered to them.

A notice is `held` until history is known to hold the entry that it is about: `confirm` makes it `ready`. `take` leases
what is due to one dispatcher; it ends as `sent`, `failed` (given up) or `dropped` (pointless by now).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, bindparam, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from placet.audit import canonical_json, genesis, link
from storage.record import ASKING
from storage.tables import ApprovalTask, AuditEntry, Delivery, Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """History holds the request's audit chain up to this entry: its seq and its hash."""

    request_id: str
    seq: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One notice to send now; `attempt` counts from 1."""

    key: str
    request_id: str
    event: str
    person: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    created_at: datetime
    attempt: int


async def confirm(session: AsyncSession, confirmation: Confirmation) -> None:
    """Release the notices about entries that history holds; what is stored otherwise stays held."""
    await session.run_sync(lambda sync: confirm_all(sync.connection(), [confirmation]))


def confirm_all(
    connection: Connection, confirmations: Sequence[Confirmation], _now: datetime | None = None
) -> list[None]:
    """Release the notices of many requests; made for storage.group, whose answers are all None here."""
    values = [{"of_request": c.request_id, "up_to": c.seq, "head": c.head} for c in confirmations]
    connection.execute(_CONFIRM, values)
    return [None] * len(confirmations)


async def held(session: AsyncSession, *, before: datetime, limit: int) -> list[str]:
    """List requests with notices that were written before a moment and are still held: whom to ask history about."""
    query = (
        select(col(Outbox.request_id))
        .where(col(Outbox.status) == "held", col(Outbox.created_at) < before)
        .group_by(col(Outbox.request_id))
        .order_by(func.min(col(Outbox.created_at)))
        .limit(limit)
    )
    return list(await session.scalars(query))


async def take(session: AsyncSession, *, now: datetime, lease: timedelta, limit: int) -> list[Due]:
    """Lease up to `limit` notices that are due; no other dispatcher gets them before the lease is over.

    What asks somebody to act on a task that is settled, or that they no longer have, is dropped instead.
    """
    query = (
        select(Outbox)
        .where(col(Outbox.status) == "ready", col(Outbox.next_attempt_at) <= now)
        .order_by(col(Outbox.next_attempt_at), col(Outbox.request_id), col(Outbox.seq))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    ids = {row.task_id for row in rows if row.task_id is not None}
    tasks = {t.id: t for t in await session.scalars(select(ApprovalTask).where(col(ApprovalTask.id).in_(ids)))}
    due: list[Due] = []
    for row in rows:
        task = tasks.get(row.task_id or "")
        if task is not None and _pointless(row, task):
            row.status = "dropped"
            continue
        row.attempts += 1
        row.next_attempt_at = now + lease
        due.append(
            Due(
                key=row.key,
                request_id=row.request_id,
                event=row.event,
                person=row.person,
                stage=task.stage if task else None,
                task_id=row.task_id,
                detail=row.detail,
                created_at=row.created_at,
                attempt=row.attempts,
            )
        )
    await session.flush()
    return due


async def next_due(session: AsyncSession) -> datetime | None:
    """Return when the next notice is due, or None where none is ready."""
    query = select(func.min(col(Outbox.next_attempt_at))).where(col(Outbox.status) == "ready")
    return (await session.scalars(query)).one()


async def sent(session: AsyncSession, due: Due, *, detail: dict[str, Any], now: datetime) -> None:
    """Note that a notice has left, by whichever channel `detail` says; it counts even where the lease was over."""
    await session.execute(_ready(due, leased=False).values(status="sent"))
    await _deliver(session, due, kind="notified", detail=detail, now=now)


async def postpone(session: AsyncSession, due: Due, *, until: datetime, detail: dict[str, Any], now: datetime) -> None:
    """Note that an attempt failed, and try again at `until`."""
    await session.execute(_ready(due, leased=True).values(next_attempt_at=until))
    await _deliver(session, due, kind="notification_failed", detail=detail, now=now)


async def fail(session: AsyncSession, due: Due, *, detail: dict[str, Any], now: datetime) -> None:
    """Note that the last attempt failed; nothing more is tried."""
    await session.execute(_ready(due, leased=True).values(status="failed"))
    await _deliver(session, due, kind="notification_failed", detail=detail, now=now)


async def drop(session: AsyncSession, due: Due) -> None:
    """Give a notice up without a trace in the timeline: there is nobody to tell, or they do not want to know."""
    await session.execute(_ready(due, leased=True).values(status="dropped"))


def delivery_genesis(request_id: str) -> str:
    """Return the hash that the first delivery of a request follows."""
    return genesis(f"{request_id}:delivery")


def _confirming() -> Update:
    up_to_here = exists().where(
        col(AuditEntry.request_id) == bindparam("of_request"),
        col(AuditEntry.seq) == bindparam("up_to"),
        col(AuditEntry.hash) == bindparam("head"),
    )
    own_entry: ColumnElement[bool] = exists().where(
        col(AuditEntry.request_id) == col(Outbox.request_id),
        col(AuditEntry.seq) == col(Outbox.seq),
        col(AuditEntry.hash) == col(Outbox.hash),
    )
    return (
        update(Outbox)
        .where(
            col(Outbox.request_id) == bindparam("of_request"),
            col(Outbox.seq) <= bindparam("up_to"),
            col(Outbox.status) == "held",
            up_to_here,
            own_entry,
        )
        .values(status="ready")
    )


_CONFIRM = _confirming()


def _pointless(row: Outbox, task: ApprovalTask) -> bool:
    if row.event == "sla_breached":  # also goes to the requester and the owner, who want to know in any case
        return row.person == task.decided_by
    if row.event not in ASKING:
        return False
    has_it = {task.assignee, *task.delegates} if task.assignee else {*task.candidates, *task.delegates}
    return task.status != "open" or row.person not in has_it


def _ready(due: Due, *, leased: bool) -> Update:
    rows = update(Outbox).where(col(Outbox.key) == due.key, col(Outbox.status) == "ready")
    return rows.where(col(Outbox.attempts) == due.attempt) if leased else rows


async def _deliver(session: AsyncSession, due: Due, *, kind: str, detail: dict[str, Any], now: datetime) -> None:
    """Append to the request's chain of deliveries."""
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer at any time
        await session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:chain, 0))"), {"chain": f"{due.request_id}:delivery"}
        )
    query = select(col(Delivery.seq), col(Delivery.hash)).where(col(Delivery.request_id) == due.request_id)
    last = (await session.execute(query.order_by(col(Delivery.seq).desc()).limit(1))).one_or_none()
    entry = link(
        last.hash if last else delivery_genesis(due.request_id),
        seq=last.seq + 1 if last else 1,
        at=now,
        kind=kind,
        actor="system",
        stage=due.stage,
        task_id=due.task_id,
        detail={"event": due.event, "to": f"user:{due.person}", "attempt": due.attempt, **detail},
    )
    await session.execute(
        insert(Delivery),
        {
            "request_id": due.request_id,
            "seq": entry.seq,
            "at": entry.at,
            "kind": entry.kind,
            "outbox_key": due.key,
            "stage": entry.stage,
            "task_id": entry.task_id,
            "detail": canonical_json(entry.detail).decode(),
            "hash": entry.hash,
        },
    )
