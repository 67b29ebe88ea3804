"""The queue of messages: planned from the outbox, leased by a dispatcher, and finished with a delivery entry."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, case, delete, exists, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from placet.audit.chain import canonical_json, link
from placet.errors import NotFound
from storage.recording import metrics
from storage.recording.outbox import delivery_genesis
from storage.tables.approvals import AuditEntry, Delivery, Outbox
from storage.tables.notifications import NotificationMessage

# A planned notification is planned again after this time, in case its messages were lost.
PLAN_AGAIN_AFTER = timedelta(days=14)
_SEALED = ("why", "template_problem")  # of a delivery's detail

_MESSAGE: Table = NotificationMessage.__table__  # type: ignore[attr-defined]  # SQLModel adds it with table=True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRoute:
    """One channel of a notification, and the earliest time to send it."""

    channel: str
    not_before: datetime
    digest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of one attempt: `sent`, `failed` permanently, `dropped`, or `pending` again at `again_at`."""

    key: str
    channel: str
    request_id: str
    hash: str  # of the entry that the message was about
    lease: str
    status: str
    again_at: datetime | None = None
    error: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)  # of the delivery entry
    entry: bool = True  # whether sent and failed get an entry among the request's deliveries
    untried: bool = False  # the message was leased only, and does not count as an attempt
    in_doubt: bool = False  # it may have been sent nevertheless


async def plannable(session: AsyncSession, now: datetime, *, limit: int) -> list[Outbox]:
    """List confirmed notifications that are not planned yet, oldest first."""
    query = (
        select(Outbox)
        .where(col(Outbox.status) == "ready", col(Outbox.next_attempt_at) <= now)
        .order_by(col(Outbox.next_attempt_at))
        .limit(limit)
    )
    return list(await session.scalars(query))


def plan(connection: Connection, plans: Sequence[tuple[Outbox, Sequence[ChannelRoute]]], now: datetime) -> None:
    """Queue a message on each channel; a notification without a channel is dropped. Repeating this has no effect."""
    going = [row.key for row, routes in plans if routes]
    muted = [row.key for row, routes in plans if not routes]
    # Rows that were superseded or dropped meanwhile are not found.
    there = {tuple(row) for row in _mark(connection, going, {"next_attempt_at": now + PLAN_AGAIN_AFTER})}
    _mark(connection, muted, {"status": "dropped"})
    queued = [
        {
            "key": row.key,
            "channel": route.channel,
            "request_id": row.request_id,
            "seq": row.seq,
            "hash": row.hash,
            "event": row.event,
            "person": row.person,
            "digest": route.digest,
            "status": "pending",
            "attempts": 0,
            "in_doubt": False,
            "created_at": max(now, route.not_before),
            "next_attempt_at": route.not_before,
        }
        for row, routes in plans
        if (row.key, row.hash) in there
        for route in routes
    ]
    if queued:
        connection.execute(put(connection.dialect.name), queued)


def _mark(connection: Connection, keys: list[str], changes: dict[str, Any]) -> Sequence[Any]:
    ready = update(Outbox).where(col(Outbox.key).in_(keys), col(Outbox.status) == "ready")
    changed = ready.values(**changes).returning(col(Outbox.key), col(Outbox.hash))
    return connection.execute(changed).all() if keys else []


@lru_cache
def put(dialect: str) -> Any:
    """Build the statement that queues messages. It replaces a message of the same key about a superseded entry."""
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(_MESSAGE)
    given = ("request_id", "seq", "hash", "event", "person", "digest", "status", "attempts", "in_doubt")
    fresh = {name: statement.excluded[name] for name in (*given, "created_at", "next_attempt_at")}
    return statement.on_conflict_do_update(
        index_elements=["key", "channel"],
        set_={**fresh, "lease": None, "last_error": None, "finished_at": None},
        where=_MESSAGE.c.hash != statement.excluded.hash,
    )


async def due(session: AsyncSession, channel: str, now: datetime) -> bool:
    """Tell whether a channel has a message to send now."""
    return bool(await session.scalar(select(exists().where(*_due(channel, now)))))


async def has_older(session: AsyncSession, channel: str, moment: datetime) -> bool:
    """Tell whether a channel has a pending message from before a moment."""
    old = (_MESSAGE.c.channel == channel, _MESSAGE.c.status == "pending", _MESSAGE.c.created_at <= moment)
    return bool(await session.scalar(select(exists().where(*old))))


def take(
    connection: Connection, channel: str, now: datetime, *, limit: int, lease: timedelta
) -> list[NotificationMessage]:
    """Lease single messages of a channel that are due. Digests are leased as a whole by `take_digest`."""
    chosen = (
        select(_MESSAGE.c.key)
        .where(*_due(channel, now), _MESSAGE.c.digest.is_(False))
        .order_by(_MESSAGE.c.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _lease(connection, (_MESSAGE.c.channel == channel, _MESSAGE.c.key.in_(chosen)), now, lease)


def take_digest(connection: Connection, channel: str, now: datetime, *, lease: timedelta) -> list[NotificationMessage]:
    """Lease all messages of one person's digest that is due; empty where no digest is due."""
    where = (*_due(channel, now), _MESSAGE.c.digest.is_(True))
    first = select(_MESSAGE.c.person).where(*where).order_by(_MESSAGE.c.next_attempt_at).limit(1)
    person = connection.scalar(first)
    if person is None:
        return []
    return _lease(connection, (*where, _MESSAGE.c.person == person), now, lease)


def finish_all(connection: Connection, items: Sequence[AttemptResult], now: datetime) -> list[Exception | None]:
    """Store the results of attempts, with delivery entries; for `storage.recording.group_commit`.

    A message that another dispatcher has leased meanwhile stays as it is, except that a sent message becomes `sent`.
    """
    given_up = sum(_finish(connection, item, now) for item in items)
    metrics.count(connection, metrics.increment(metrics.FAILURES, by=given_up))
    return [None] * len(items)


def expire(
    connection: Connection, channel: str, now: datetime, *, older_than: datetime, limit: int
) -> list[NotificationMessage]:
    """Lease messages from before a moment, due or not, so that they can be given up."""
    chosen = (
        select(_MESSAGE.c.key)
        .where(
            _MESSAGE.c.channel == channel,
            _MESSAGE.c.status == "pending",
            _MESSAGE.c.created_at <= older_than,
            (_MESSAGE.c.lease.is_(None)) | (_MESSAGE.c.next_attempt_at <= now),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _lease(connection, (_MESSAGE.c.channel == channel, _MESSAGE.c.key.in_(chosen)), now, timedelta(minutes=1))


def delete_message(connection: Connection, message: NotificationMessage) -> None:
    """Delete a message whose audit entry is not in history."""
    connection.execute(
        delete(_MESSAGE).where(
            _MESSAGE.c.key == message.key, _MESSAGE.c.channel == message.channel, _MESSAGE.c.lease == message.lease
        )
    )


def send_again(connection: Connection, key: str, now: datetime, *, channel: str | None = None) -> int:
    """Queue a notification again on the channels that failed, or on the named one; raises NotFound.

    Returns how many messages were queued. Their message ids stay the same.
    """
    where = [_MESSAGE.c.key == key]
    where.append(_MESSAGE.c.channel == channel if channel else _MESSAGE.c.status == "failed")
    changed = connection.execute(
        update(_MESSAGE)
        .where(*where, _MESSAGE.c.status != "pending")
        .values(
            status="pending",
            attempts=0,
            created_at=now,
            next_attempt_at=now,
            lease=None,
            finished_at=None,
            digest=False,
            in_doubt=False,
        )
    )
    if not changed.rowcount and not connection.scalar(select(exists().where(_MESSAGE.c.key == key))):
        raise NotFound(f"There is no message of notification {key!r} on any channel yet.")
    if changed.rowcount:
        connection.execute(
            update(Outbox)
            .where(col(Outbox.key) == key, col(Outbox.status).in_(("sent", "failed")))
            .values(status="ready", next_attempt_at=now + PLAN_AGAIN_AFTER)
        )
    return int(changed.rowcount)


async def messages(session: AsyncSession, request_id: str) -> list[NotificationMessage]:
    """List the messages about a request, in the order of its audit entries."""
    query = select(NotificationMessage).where(col(NotificationMessage.request_id) == request_id)
    ordered = query.order_by(
        col(NotificationMessage.seq), col(NotificationMessage.key), col(NotificationMessage.channel)
    )
    return list(await session.scalars(ordered))


async def counts(session: AsyncSession) -> dict[tuple[str, str], int]:
    """Count messages by (channel, status). All webhook endpoints count as one channel."""
    kind = case((_MESSAGE.c.channel.startswith("webhook:"), "webhook"), else_=_MESSAGE.c.channel)
    query = select(kind, _MESSAGE.c.status, func.count()).group_by(kind, _MESSAGE.c.status)
    return {(channel, status): number for channel, status, number in (await session.execute(query)).all()}


def _due(channel: str, now: datetime) -> tuple[Any, ...]:
    return (_MESSAGE.c.channel == channel, _MESSAGE.c.status == "pending", _MESSAGE.c.next_attempt_at <= now)


def _lease(
    connection: Connection, where: tuple[Any, ...], now: datetime, lease: timedelta
) -> list[NotificationMessage]:
    taken = (
        update(_MESSAGE)
        .where(*where, _MESSAGE.c.status == "pending")
        .values(
            lease=uuid.uuid4().hex,
            next_attempt_at=now + lease,
            attempts=_MESSAGE.c.attempts + 1,
            # The lease ended without a result, so the message may have been sent.
            in_doubt=_MESSAGE.c.in_doubt | _MESSAGE.c.lease.is_not(None),
        )
        .returning(*_MESSAGE.c)
    )
    rows = connection.execute(taken).mappings().all()
    return sorted((NotificationMessage(**row) for row in rows), key=lambda m: (m.created_at, m.seq, m.key))


def _finish(connection: Connection, item: AttemptResult, now: datetime) -> bool:
    """Store the result of one attempt; return whether the message was given up."""
    changes: dict[str, Any] = {"status": item.status, "lease": None, "last_error": item.error}
    if item.status == "pending":
        changes["next_attempt_at"] = item.again_at or now
        changes["in_doubt"] = _MESSAGE.c.in_doubt | item.in_doubt
        if item.untried:
            changes["attempts"] = _MESSAGE.c.attempts - 1
    else:
        changes["finished_at"] = now
    held = _MESSAGE.c.lease == item.lease
    if item.status == "sent":
        changes["in_doubt"] = False
        held |= (_MESSAGE.c.hash == item.hash) & (_MESSAGE.c.status != "sent")
    mine = (_MESSAGE.c.key == item.key, _MESSAGE.c.channel == item.channel, held)
    statement = update(_MESSAGE).where(*mine).values(**changes).returning(*_MESSAGE.c)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None or item.status == "pending":
        return False
    if item.entry and item.status in {"sent", "failed"}:
        kind = "notified" if item.status == "sent" else "notification_failed"
        _append_delivery(connection, row, kind, item.detail, now)
    if row["person"] is not None:
        _close(connection, item.key, row["hash"])
    return item.status == "failed"


def _close(connection: Connection, key: str, entry_hash: str) -> None:
    """Set the state of the notification once all its channels are done: `sent` where one of them sent it."""
    rows = connection.execute(select(_MESSAGE.c.status, _MESSAGE.c.attempts).where(_MESSAGE.c.key == key)).all()
    states = {row.status for row in rows}
    if "pending" in states:
        return
    status = next((s for s in ("sent", "failed", "dropped") if s in states), "dropped")
    connection.execute(
        update(Outbox)
        .where(col(Outbox.key) == key, col(Outbox.hash) == entry_hash)
        .values(status=status, attempts=max(row.attempts for row in rows))
    )


def _append_delivery(connection: Connection, row: RowMapping, kind: str, detail: dict[str, Any], now: datetime) -> None:
    """Append an entry to the chain of a request's deliveries."""
    request_id = row["request_id"]
    if connection.dialect.name == "postgresql":  # on SQLite there is one writer at any time
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:chain, 0))")
        connection.execute(lock, {"chain": f"{request_id}:delivery"})
    chain = select(col(Delivery.seq), col(Delivery.hash)).where(col(Delivery.request_id) == request_id)
    last = connection.execute(chain.order_by(col(Delivery.seq).desc()).limit(1)).one_or_none()
    about = connection.execute(
        select(col(AuditEntry.stage), col(AuditEntry.task_id)).where(
            col(AuditEntry.request_id) == request_id, col(AuditEntry.seq) == row["seq"]
        )
    ).one_or_none()
    entry = link(
        last.hash if last else delivery_genesis(request_id),
        seq=last.seq + 1 if last else 1,
        at=now,
        kind=kind,
        actor="system",
        stage=about.stage if about else None,
        task_id=about.task_id if about else None,
        detail={"event": row["event"], "attempts": row["attempts"], **detail},
        # Answers of servers may name people and addresses, so they are sealed, with random salts.
        salts={f"/{name}": secrets.token_hex(16) for name in _SEALED if name in detail},
    )
    written = {
        "request_id": request_id,
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind,
        "outbox_key": row["key"],
        "stage": entry.stage,
        "task_id": entry.task_id,
        "detail": canonical_json(entry.detail).decode(),
        "salts": canonical_json(entry.salts).decode() if entry.salts else None,
        "hash": entry.hash,
    }
    connection.execute(insert(Delivery).values(**written))
