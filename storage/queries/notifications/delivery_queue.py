"""The queue of messages: planned from the outbox, leased by a worker, and finished with a delivery entry."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.chain import canonical_json, link
from placet.errors import NotFound
from placet.sentences import sentence
from storage.announcements.announce import announce, queue_topic
from storage.database import of_rows
from storage.prepared import Prepared, among
from storage.queries.notifications.reconsidered import reconsidered
from storage.queries.notifications.rows import MessageRow, OutboxRow, columns
from storage.recording import metrics
from storage.recording.outbox import delivery_genesis
from storage.tables.approvals import AuditEntry, Delivery, Outbox
from storage.tables.columns import Moment
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
    as_of: str | None = None  # of what was dropped: the head of the request's chain when it was found needless


def plannable(connection: Connection, now: datetime, *, limit: int) -> list[OutboxRow]:
    """List confirmed notifications that are not planned yet, oldest first."""
    return [OutboxRow(*row) for row in _PLANNABLE.rows(connection, now=now, most=limit)]


def plan(connection: Connection, plans: Sequence[tuple[OutboxRow, Sequence[ChannelRoute]]], now: datetime) -> None:
    """Queue a message on each channel; a notification without a channel is dropped. Repeating this has no effect."""
    going = [row.key for row, routes in plans if routes]
    muted = [row.key for row, routes in plans if not routes]
    # Rows that were superseded or dropped meanwhile are not found.
    there: set[tuple[str, str]] = set()
    if going:
        there = {tuple(row) for row in _PLANNED.rows(connection, keys=going, again=now + PLAN_AGAIN_AFTER)}
    if muted:
        _MUTED.rows(connection, keys=muted)
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
        PUT.run_all(connection, queued)
        announce(connection, {queue_topic(route.channel) for _, routes in plans for route in routes})


@dataclass(frozen=True, slots=True)
class Waiting:
    """When a channel's next message is due, and a person whose digest is due; None where there is none."""

    due: datetime | None
    digest_of: str | None


def waiting(connection: Connection, channel: str, now: datetime) -> Waiting:
    """Look at the queue of a channel."""
    first: datetime | None = _NEXT.scalar(connection, channel=channel)
    if first is None or first > now:
        return Waiting(due=first, digest_of=None)
    return Waiting(due=first, digest_of=_DIGEST.scalar(connection, channel=channel, now=now))


def has_older(connection: Connection, channel: str, moment: datetime) -> bool:
    """Tell whether a channel has a pending message from before a moment."""
    return bool(_OLDER.scalar(connection, channel=channel, before=moment))


def take(connection: Connection, channel: str, now: datetime, *, limit: int, lease: timedelta) -> list[MessageRow]:
    """Lease single messages of a channel that are due. Digests are leased as a whole by `take_digest`."""
    return _leased(_TAKE.rows(connection, channel=channel, now=now, most=limit, **_lease(now, lease)))


def take_digest(
    connection: Connection, channel: str, now: datetime, *, person: str, lease: timedelta
) -> list[MessageRow]:
    """Lease all messages of one person's digest that are due."""
    return _leased(_TAKE_DIGEST.rows(connection, channel=channel, now=now, reader=person, **_lease(now, lease)))


def finish_all(connection: Connection, items: Sequence[AttemptResult], now: datetime) -> list[Exception | None]:
    """Write how attempts ended, with delivery entries; for `storage.recording.group_commit`.

    What was taken by others meanwhile is left alone, except that what has left is sent, whoever has it now. The group
    takes as many statements as one attempt would.
    """
    items = reconsidered(connection, items, now)
    found = {
        (row.key, row.channel): row._asdict()
        for row in _OF_KEYS.rows(connection, keys=sorted({item.key for item in items}))
    }
    ended = [(item, row) for item in items if (row := found.get((item.key, item.channel))) and _is_ours(row, item)]
    for item, row in ended:
        row.update(_changes(row, item, now))
    if ended:
        _FINISH.run_all(connection, [{f"new_{name}": row[name] for name in _FINISHED} for _, row in ended])
    done = [(item, row) for item, row in ended if item.status != "pending"]
    _append_deliveries(connection, [one for one in done if one[0].entry and one[0].status in _KINDS], now)
    _close(connection, [row for _, row in done if row["person"] is not None], found.values())
    given_up = sum(item.status == "failed" for item, _ in done)
    metrics.count(connection, metrics.increment(metrics.FAILURES, by=given_up))
    return [None] * len(items)


def expire(
    connection: Connection, channel: str, now: datetime, *, older_than: datetime, limit: int
) -> list[MessageRow]:
    """Lease messages from before a moment, due or not, so that they can be given up."""
    lease = _lease(now, timedelta(minutes=1))
    return _leased(_EXPIRE.rows(connection, channel=channel, now=now, before=older_than, most=limit, **lease))


def delete_message(connection: Connection, message: MessageRow) -> None:
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
    chosen = _MESSAGE.c.channel == channel if channel else _MESSAGE.c.status == "failed"
    queued = len(queue_again(connection, now, _MESSAGE.c.key == key, chosen))
    if not queued and not connection.scalar(select(exists().where(_MESSAGE.c.key == key))):
        raise NotFound(sentence("There is no message of notification {key!r} on any channel yet.", key=key))
    if queued:
        connection.execute(
            update(Outbox)
            .where(col(Outbox.key) == key, col(Outbox.status).in_(("sent", "failed")))
            .values(status="ready", next_attempt_at=now + PLAN_AGAIN_AFTER)
        )
    return queued


def queue_again(connection: Connection, now: datetime, *where: ColumnElement[bool]) -> list[str]:
    """Queue the messages for which this holds as new ones under their old ids, and return the keys of those queued.

    What is under way stays as it is.
    """
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
        .returning(_MESSAGE.c.key, _MESSAGE.c.channel)
    ).all()
    if changed:
        announce(connection, {queue_topic(row.channel) for row in changed})
    return [row.key for row in changed]


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


def _lease(now: datetime, lease: timedelta) -> dict[str, Any]:
    """Return the values of a new lease."""
    return {"new_lease": uuid.uuid4().hex, "leased_until": now + lease}


def _leased(rows: Iterable[Sequence[Any]]) -> list[MessageRow]:
    return sorted((MessageRow(*row) for row in rows), key=lambda m: (m.created_at, m.seq, m.key))


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
        _CLOSE.run_all(connection, [{"of_key": key, "of_hash": hash_, **new} for (key, hash_), new in closed.items()])


def _append_deliveries(
    connection: Connection, ended: Sequence[tuple[AttemptResult, Mapping[str, Any]]], now: datetime
) -> None:
    """Append to the deliveries of requests: each has a chain of its own."""
    if not ended:
        return
    requests = sorted({row["request_id"] for _, row in ended})
    if connection.dialect.name == "postgresql":  # on SQLite there is one writer at any time
        _LOCK.run_all(connection, [{"chain": f"{request_id}:delivery"} for request_id in requests])
    last = {row.request_id: (row.seq, row.hash) for row in _LAST.rows(connection, requests=requests)}
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
    _INSERT.run_all(connection, written)


_KINDS = {"sent": "notified", "failed": "notification_failed"}
_CHANGED = ("status", "lease", "last_error", "next_attempt_at", "in_doubt", "attempts", "finished_at")
_FINISHED = ("key", "channel", *_CHANGED)


_MOMENT = Moment()
_NOW = bindparam("now", type_=_MOMENT)
_MOST = bindparam("most", type_=Integer())
_OF_CHANNEL = (_MESSAGE.c.channel == bindparam("channel", type_=String()), _MESSAGE.c.status == "pending")
_DUE = (*_OF_CHANNEL, _MESSAGE.c.next_attempt_at <= _NOW)


def _leasing(where: tuple[Any, ...]) -> Executable:
    """Build the statement that leases the pending messages of a channel for which this holds, and returns them."""
    return (
        update(_MESSAGE)
        .where(*_OF_CHANNEL, *where)
        .values(
            lease=bindparam("new_lease", type_=String()),
            next_attempt_at=bindparam("leased_until", type_=_MOMENT),
            attempts=_MESSAGE.c.attempts + 1,
            # The lease ended without a result, so the message may have been sent.
            in_doubt=_MESSAGE.c.in_doubt | _MESSAGE.c.lease.is_not(None),
        )
        .returning(*columns(NotificationMessage, MessageRow))
    )


def _first(*where: Any, order: bool = True) -> tuple[Any, ...]:
    """Return the condition of the first messages for which this holds, without those that others are taking."""
    chosen = select(_MESSAGE.c.key).where(*where)
    if order:
        chosen = chosen.order_by(_MESSAGE.c.next_attempt_at)
    return (_MESSAGE.c.key.in_(chosen.limit(_MOST).with_for_update(skip_locked=True)),)


def _marking(**changes: Any) -> Callable[[str], Executable]:
    """Return what builds the statement that changes notifications which are ready, and returns key and hash."""
    return lambda dialect: (
        update(Outbox)
        .where(among(dialect, col(Outbox.key), "keys"), col(Outbox.status) == "ready")
        .values(**changes)
        .returning(col(Outbox.key), col(Outbox.hash))
    )


def _putting(dialect: str) -> Executable:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(_MESSAGE)
    given = ("request_id", "seq", "hash", "event", "person", "digest", "status", "attempts", "in_doubt")
    fresh = {name: statement.excluded[name] for name in (*given, "created_at", "next_attempt_at")}
    return statement.on_conflict_do_update(
        index_elements=["key", "channel"],
        set_={**fresh, "lease": None, "last_error": None, "finished_at": None},
        where=_MESSAGE.c.hash != statement.excluded.hash,
    )


def _of_keys(dialect: str) -> Select[Any]:
    """Read, and on PostgreSQL lock, every message of some notifications, with stage and task of what they are about."""
    about = (col(AuditEntry.request_id) == _MESSAGE.c.request_id) & (col(AuditEntry.seq) == _MESSAGE.c.seq)
    return (
        select(*_MESSAGE.c, col(AuditEntry.stage), col(AuditEntry.task_id))
        .select_from(_MESSAGE.outerjoin(AuditEntry, about))
        .where(among(dialect, _MESSAGE.c.key, "keys"))
        .order_by(_MESSAGE.c.key, _MESSAGE.c.channel)
        .with_for_update(of=_MESSAGE)
    )


def _last(dialect: str) -> Select[str, int, str]:
    newest = (
        select(col(Delivery.request_id), func.max(col(Delivery.seq)).label("seq"))
        .where(among(dialect, col(Delivery.request_id), "requests"))
        .group_by(col(Delivery.request_id))
        .subquery()
    )
    same = (col(Delivery.request_id) == newest.c.request_id) & (col(Delivery.seq) == newest.c.seq)
    return select(col(Delivery.request_id), col(Delivery.seq), col(Delivery.hash)).join(newest, same)


_PLANNABLE = Prepared(
    select(*columns(Outbox, OutboxRow))
    .where(col(Outbox.status) == "ready", col(Outbox.next_attempt_at) <= _NOW)
    .order_by(col(Outbox.next_attempt_at))
    .limit(_MOST)
)
_PLANNED = Prepared(_marking(next_attempt_at=bindparam("again", type_=_MOMENT)))
_MUTED = Prepared(_marking(status="dropped"))
PUT = Prepared(_putting)
"""Queues messages. It replaces a message of the same key about a superseded entry."""
_NEXT = Prepared(select(func.min(_MESSAGE.c.next_attempt_at).label("first")).where(*_OF_CHANNEL))
_OLDER = Prepared(
    select(exists().where(*_OF_CHANNEL, _MESSAGE.c.created_at <= bindparam("before", type_=_MOMENT)).label("older"))
)
_DIGEST = Prepared(
    select(_MESSAGE.c.person).where(*_DUE, _MESSAGE.c.digest.is_(True)).order_by(_MESSAGE.c.next_attempt_at).limit(1)
)
_TAKE = Prepared(_leasing(_first(*_DUE, _MESSAGE.c.digest.is_(False))))
_TAKE_DIGEST = Prepared(
    _leasing((*_DUE, _MESSAGE.c.digest.is_(True), _MESSAGE.c.person == bindparam("reader", type_=String())))
)
_EXPIRE = Prepared(
    _leasing(
        _first(
            *_OF_CHANNEL,
            _MESSAGE.c.created_at <= bindparam("before", type_=_MOMENT),
            _MESSAGE.c.lease.is_(None) | (_MESSAGE.c.next_attempt_at <= _NOW),
            order=False,
        )
    )
)
_OF_KEYS, _LAST, _INSERT = Prepared(_of_keys), Prepared(_last), Prepared(insert(Delivery))
_LOCK = Prepared(text("SELECT pg_advisory_xact_lock(hashtextextended(:chain, 0))"))
_FINISH = Prepared(
    update(_MESSAGE)
    .where(_MESSAGE.c.key == bindparam("new_key"), _MESSAGE.c.channel == bindparam("new_channel"))
    .values({name: bindparam(f"new_{name}", type_=_MESSAGE.c[name].type) for name in _CHANGED})
)
_CLOSE = Prepared(
    update(Outbox)
    .where(col(Outbox.key) == bindparam("of_key"), col(Outbox.hash) == bindparam("of_hash"))
    .values(status=bindparam("new_status", type_=String()), attempts=bindparam("new_attempts", type_=Integer()))
)
