"""The queue of messages: planned from the outbox, leased by a worker, and finished with a delivery entry."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, case, delete, exists, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.chain import canonical_json, link
from placet.errors import NotFound
from storage.announcements.announce import announce, queue_topic
from storage.database import of_rows
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


@of_rows
def plannable(session: Session, now: datetime, *, limit: int) -> list[Outbox]:
    """List confirmed notifications that are not planned yet, oldest first."""
    query = (
        select(Outbox)
        .where(col(Outbox.status) == "ready", col(Outbox.next_attempt_at) <= now)
        .order_by(col(Outbox.next_attempt_at))
        .limit(limit)
    )
    return list(session.scalars(query))


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
        announce(connection, {queue_topic(route.channel) for _, routes in plans for route in routes})


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """When a channel's next message is due, and a person whose digest is due; None where there is none."""

    due: datetime | None
    digest_of: str | None


def waiting(connection: Connection, channel: str, now: datetime) -> Waiting:
    """Look at the queue of a channel."""
    first = connection.scalar(_NEXT, {"channel": channel})
    if first is None or first > now:
        return Waiting(due=first, digest_of=None)
    return Waiting(due=first, digest_of=connection.scalar(_DIGEST, {"channel": channel, "now": now}))


def has_older(connection: Connection, channel: str, moment: datetime) -> bool:
    """Tell whether a channel has a pending message from before a moment."""
    old = (_MESSAGE.c.channel == channel, _MESSAGE.c.status == "pending", _MESSAGE.c.created_at <= moment)
    return bool(connection.scalar(select(exists().where(*old))))


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


def take_digest(
    connection: Connection, channel: str, now: datetime, *, person: str, lease: timedelta
) -> list[NotificationMessage]:
    """Lease all messages of one person's digest that are due."""
    where = (*_due(channel, now), _MESSAGE.c.digest.is_(True), _MESSAGE.c.person == person)
    return _lease(connection, where, now, lease)


def finish_all(connection: Connection, items: Sequence[AttemptResult], now: datetime) -> list[Exception | None]:
    """Write how attempts ended, with delivery entries; for `storage.recording.group_commit`.

    What was taken by others meanwhile is left alone, except that what has left is sent, whoever has it now. The group
    takes as many statements as one attempt would.
    """
    found = {
        (row["key"], row["channel"]): dict(row)
        for row in connection.execute(_OF_KEYS, {"keys": sorted({item.key for item in items})}).mappings()
    }
    ended = [(item, row) for item in items if (row := found.get((item.key, item.channel))) and _is_ours(row, item)]
    for item, row in ended:
        row.update(_changes(row, item, now))
    if ended:
        connection.execute(_FINISH, [{f"new_{name}": row[name] for name in _FINISHED} for _, row in ended])
    done = [(item, row) for item, row in ended if item.status != "pending"]
    _append_deliveries(connection, [one for one in done if one[0].entry and one[0].status in _KINDS], now)
    _close(connection, [row for _, row in done if row["person"] is not None], found.values())
    given_up = sum(item.status == "failed" for item, _ in done)
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
    """Delete a message whose audit entry is not in history; where its rows are there by now, it stays.

    They may have come back since they were missed, when a complete copy took the place of an older one.
    """
    notification = exists().where(col(Outbox.key) == _MESSAGE.c.key, col(Outbox.hash) == _MESSAGE.c.hash)
    entry = exists().where(
        col(AuditEntry.request_id) == _MESSAGE.c.request_id,
        col(AuditEntry.seq) == _MESSAGE.c.seq,
        col(AuditEntry.hash) == _MESSAGE.c.hash,
    )
    connection.execute(
        delete(_MESSAGE).where(
            _MESSAGE.c.key == message.key,
            _MESSAGE.c.channel == message.channel,
            _MESSAGE.c.lease == message.lease,
            case((_MESSAGE.c.person.is_(None), ~entry), else_=~notification),  # webhooks are in no outbox
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
        .returning(_MESSAGE.c.channel)
    )
    channels = changed.scalars().all()
    if not channels and not connection.scalar(select(exists().where(_MESSAGE.c.key == key))):
        raise NotFound(f"There is no message of notification {key!r} on any channel yet.")
    if channels:
        announce(connection, map(queue_topic, channels))
        connection.execute(
            update(Outbox)
            .where(col(Outbox.key) == key, col(Outbox.status).in_(("sent", "failed")))
            .values(status="ready", next_attempt_at=now + PLAN_AGAIN_AFTER)
        )
    return len(channels)


@of_rows
def messages(session: Session, request_id: str) -> list[NotificationMessage]:
    """List the messages about a request, in the order of its audit entries."""
    query = select(NotificationMessage).where(col(NotificationMessage.request_id) == request_id)
    ordered = query.order_by(
        col(NotificationMessage.seq), col(NotificationMessage.key), col(NotificationMessage.channel)
    )
    return list(session.scalars(ordered))


@of_rows
def messages_of_notice(session: Session, key: str) -> list[NotificationMessage]:
    """List the messages of one notice, by channel; none where it has been given to no channel yet."""
    query = select(NotificationMessage).where(col(NotificationMessage.key) == key)
    return list(session.scalars(query.order_by(col(NotificationMessage.channel))))


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Count messages by (channel, status). All webhook endpoints count as one channel."""
    kind = case((_MESSAGE.c.channel.startswith("webhook:"), "webhook"), else_=_MESSAGE.c.channel)
    query = select(kind, _MESSAGE.c.status, func.count()).group_by(kind, _MESSAGE.c.status)
    return {(channel, status): number for channel, status, number in connection.execute(query).all()}


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


def _is_ours(row: Mapping[str, Any], item: AttemptResult) -> bool:
    """Tell whether an attempt may still say how a message ended."""
    left = item.status == "sent" and row["hash"] == item.hash and row["status"] != "sent"
    return row["lease"] == item.lease or left


def _changes(row: Mapping[str, Any], item: AttemptResult, now: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {"status": item.status, "lease": None, "last_error": item.error}
    if item.status == "pending":
        changes["next_attempt_at"] = item.again_at or now
        changes["in_doubt"] = row["in_doubt"] or item.in_doubt
        changes["attempts"] = row["attempts"] - 1 if item.untried else row["attempts"]
    else:
        changes["finished_at"] = now
    if item.status == "sent":
        changes["in_doubt"] = False
    return changes


def _close(connection: Connection, ended: Sequence[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> None:
    """Mark notifications once all their channels are done: sent where one of them carried it."""
    of_key: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        of_key.setdefault(row["key"], []).append(row)
    closed = {}
    for row in ended:
        states = {one["status"] for one in of_key[row["key"]]}
        if "pending" not in states:
            status = next((s for s in ("sent", "failed", "dropped") if s in states), "dropped")
            attempts = max(one["attempts"] for one in of_key[row["key"]])
            closed[row["key"], row["hash"]] = {"new_status": status, "new_attempts": attempts}
    if closed:
        connection.execute(_CLOSE, [{"of_key": key, "of_hash": hash_, **new} for (key, hash_), new in closed.items()])


def _append_deliveries(
    connection: Connection, ended: Sequence[tuple[AttemptResult, Mapping[str, Any]]], now: datetime
) -> None:
    """Append to the deliveries of requests: each has a chain of its own."""
    if not ended:
        return
    requests = sorted({row["request_id"] for _, row in ended})
    if connection.dialect.name == "postgresql":  # on SQLite there is one writer at any time
        connection.execute(_LOCK, [{"chain": f"{request_id}:delivery"} for request_id in requests])
    last = {row.request_id: (row.seq, row.hash) for row in connection.execute(_LAST, {"requests": requests})}
    written = []
    for item, row in ended:
        request_id = row["request_id"]
        seq, head = last.get(request_id) or (0, delivery_genesis(request_id))
        entry = link(
            head,
            seq=seq + 1,
            at=now,
            kind=_KINDS[item.status],
            actor="system",
            stage=row["stage"],
            task_id=row["task_id"],
            detail={"event": row["event"], "attempts": row["attempts"], **item.detail},
            # What others answered names people and addresses. This chain is written once, so its salts are of chance.
            salts={f"/{name}": secrets.token_hex(16) for name in _SEALED if name in item.detail},
        )
        last[request_id] = entry.seq, entry.hash
        written.append(
            {
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
        )
    connection.execute(_INSERT, written)


_KINDS = {"sent": "notified", "failed": "notification_failed"}
_CHANGED = ("status", "lease", "last_error", "next_attempt_at", "in_doubt", "attempts", "finished_at")
_FINISHED = ("key", "channel", *_CHANGED)


def _of_keys() -> Select[Any]:
    """Read, and on PostgreSQL lock, every message of some notifications, with stage and task of what they are about."""
    about = (col(AuditEntry.request_id) == _MESSAGE.c.request_id) & (col(AuditEntry.seq) == _MESSAGE.c.seq)
    return (
        select(*_MESSAGE.c, col(AuditEntry.stage), col(AuditEntry.task_id))
        .select_from(_MESSAGE.outerjoin(AuditEntry, about))
        .where(_MESSAGE.c.key.in_(bindparam("keys", expanding=True)))
        .order_by(_MESSAGE.c.key, _MESSAGE.c.channel)
        .with_for_update(of=_MESSAGE)
    )


def _last() -> Select[str, int, str]:
    newest = (
        select(col(Delivery.request_id), func.max(col(Delivery.seq)).label("seq"))
        .where(col(Delivery.request_id).in_(bindparam("requests", expanding=True)))
        .group_by(col(Delivery.request_id))
        .subquery()
    )
    same = (col(Delivery.request_id) == newest.c.request_id) & (col(Delivery.seq) == newest.c.seq)
    return select(col(Delivery.request_id), col(Delivery.seq), col(Delivery.hash)).join(newest, same)


_NEXT = select(func.min(_MESSAGE.c.next_attempt_at)).where(
    _MESSAGE.c.channel == bindparam("channel"), _MESSAGE.c.status == "pending"
)
_DIGEST = (
    select(_MESSAGE.c.person)
    .where(
        _MESSAGE.c.channel == bindparam("channel"),
        _MESSAGE.c.status == "pending",
        _MESSAGE.c.next_attempt_at <= bindparam("now", type_=_MESSAGE.c.next_attempt_at.type),
        _MESSAGE.c.digest.is_(True),
    )
    .order_by(_MESSAGE.c.next_attempt_at)
    .limit(1)
)
_OF_KEYS, _LAST, _INSERT = _of_keys(), _last(), insert(Delivery)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:chain, 0))")
_FINISH = (
    update(_MESSAGE)
    .where(_MESSAGE.c.key == bindparam("new_key"), _MESSAGE.c.channel == bindparam("new_channel"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)
_CLOSE = (
    update(Outbox)
    .where(col(Outbox.key) == bindparam("of_key"), col(Outbox.hash) == bindparam("of_hash"))
    .values(status=bindparam("new_status"), attempts=bindparam("new_attempts"))
)
