"""Webhook endpoints and the events that are queued for them: each audit entry that history holds, once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import NotFound
from placet.sentences import sentence
from storage.announcements.announce import announce, queue_topic
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.queries.notifications.delivery_queue import PUT
from storage.queries.notifications.rows import MessageRow
from storage.queries.ordering import hidden
from storage.tables.approvals import ApprovalRequest, AuditEntry, Outbox
from storage.tables.notifications import NotificationMessage, WebhookEndpoint

PREFIX = "webhook:"
# Concurrent transactions may commit in another order than they began: each search looks back this far.
OVERLAP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEntry:
    """The columns of an audit entry that are needed to queue it."""

    request_id: str
    seq: int
    hash: str
    kind: str
    recorded_at: datetime


@of_rows
def add(
    session: Session,
    *,
    url: str,
    events: Sequence[str],
    by: str,
    now: datetime,
    description: str = "",
    secret_ref: str = "derived:1",  # noqa: S107 - names a secret, and is none
    endpoint_id: str | None = None,
) -> WebhookEndpoint:
    """Store an endpoint, which gets the events from now on, or return the one that has this id already.

    The caller checks it first (activities.notifications.delivery.webhook_feed.check_endpoint).
    """
    if endpoint_id is not None and (there := session.get(WebhookEndpoint, endpoint_id)) is not None:
        return there
    row = WebhookEndpoint(
        id=endpoint_id or f"wh_{uuid.uuid4().hex}",
        url=url,
        events=list(events),
        description=description,
        secret_ref=secret_ref,
        seen_at=now,
        created_by=by,
        created_at=now,
    )
    session.add(row)
    return row


@of_rows
def get(session: Session, endpoint_id: str) -> WebhookEndpoint:
    """Return one endpoint; raises NotFound."""
    return _there(session, endpoint_id)


@of_rows
def every(session: Session, *, active: bool | None = None) -> list[WebhookEndpoint]:
    """List the endpoints, oldest first."""
    query = select(WebhookEndpoint).order_by(col(WebhookEndpoint.created_at), col(WebhookEndpoint.id))
    if active is not None:
        query = query.where(col(WebhookEndpoint.active) == active)
    return list(session.scalars(query))


@of_rows
def page(session: Session, *, limit: int, cursor: str | None = None) -> cursors.Page[WebhookEndpoint]:
    """List the endpoints, oldest first, `limit` at a time; raises InputInvalid for an invalid cursor."""
    at, ident = col(WebhookEndpoint.created_at), col(WebhookEndpoint.id)
    query = select(WebhookEndpoint).order_by(at, ident).limit(limit + 1)
    if cursor is not None:
        when, after = cursors.read_moment(cursor)
        query = query.where((at > when) | ((at == when) & (ident > after)))
    return cursors.page(session.scalars(query).all(), limit, lambda row: (row.created_at, row.id))


@of_rows
def switch(session: Session, endpoint_id: str, *, active: bool, problem: str | None = None) -> None:
    """Switch an endpoint off, with the reason, or on again; raises NotFound."""
    row = _there(session, endpoint_id)
    row.active, row.problem = active, problem


@of_rows
def sign_by(session: Session, endpoint_id: str, secret_ref: str) -> None:
    """Name another secret, which signs from now on; raises NotFound."""
    _there(session, endpoint_id).secret_ref = secret_ref


@of_rows
def remove(session: Session, endpoint_id: str) -> WebhookEndpoint:
    """Remove an endpoint, and return it as it was; raises NotFound. What waits for it or failed is dropped."""
    row = _there(session, endpoint_id)
    session.delete(row)
    waiting = (
        col(NotificationMessage.channel) == PREFIX + endpoint_id,
        col(NotificationMessage.status).in_(("pending", "failed")),
    )
    session.execute(update(NotificationMessage).where(*waiting).values(status="dropped"))
    return row


@of_rows
def unseen(session: Session, endpoint: WebhookEndpoint, *, limit: int, but: Sequence[str] = ()) -> list[WebhookEntry]:
    """List entries since the endpoint's mark that are not queued for it yet, in the order of recording.

    `but` are requests to skip.
    """
    queued = exists().where(
        col(NotificationMessage.channel) == PREFIX + endpoint.id,
        col(NotificationMessage.request_id) == col(AuditEntry.request_id),
        col(NotificationMessage.seq) == col(AuditEntry.seq),
        col(NotificationMessage.hash) == col(AuditEntry.hash),
    )
    since = max(endpoint.seen_at - OVERLAP, endpoint.created_at)
    query = select(AuditEntry).where(col(AuditEntry.recorded_at) >= since, ~queued)
    if but:
        query = query.where(col(AuditEntry.request_id).not_in(but))
    if endpoint.events:
        query = query.where(hidden(col(AuditEntry.kind)).in_(endpoint.events))
    order = (col(AuditEntry.recorded_at), col(AuditEntry.request_id), col(AuditEntry.seq))
    rows = session.scalars(query.order_by(*order).limit(limit))
    return [
        WebhookEntry(request_id=r.request_id, seq=r.seq, hash=r.hash, kind=r.kind, recorded_at=r.recorded_at)
        for r in rows
    ]


def confirmed(connection: Connection, requests: Sequence[str]) -> dict[str, int]:
    """Return up to which entry history is known to hold each request, by its newest confirmed notification."""
    query = (
        select(col(Outbox.request_id), func.max(col(Outbox.seq)))
        .join(
            AuditEntry,
            and_(
                col(AuditEntry.request_id) == col(Outbox.request_id),
                col(AuditEntry.seq) == col(Outbox.seq),
                col(AuditEntry.hash) == col(Outbox.hash),
            ),
        )
        .where(col(Outbox.request_id).in_(requests), col(Outbox.status).in_(("ready", "sent", "failed")))
        .group_by(col(Outbox.request_id))
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def holds(connection: Connection, request_id: str, seq: int, head: str) -> bool:
    """Tell whether the store has this hash at this entry, and so the same chain up to it."""
    same = exists().where(
        col(AuditEntry.request_id) == request_id, col(AuditEntry.seq) == seq, col(AuditEntry.hash) == head
    )
    return bool(connection.scalar(select(same)))


def queue(
    connection: Connection, endpoint_id: str, entries: Sequence[WebhookEntry], seen_at: datetime, now: datetime
) -> None:
    """Queue entries for an endpoint and move its mark; queued entries stay as they are."""
    rows = [
        {
            "key": f"{entry.request_id}:{entry.seq}:webhook",
            "channel": PREFIX + endpoint_id,
            "request_id": entry.request_id,
            "seq": entry.seq,
            "hash": entry.hash,
            "event": entry.kind,
            "person": None,
            "digest": False,
            "status": "pending",
            "attempts": 0,
            "in_doubt": False,
            "created_at": now,
            "next_attempt_at": now,
        }
        for entry in entries
    ]
    if rows:
        PUT.run_all(connection, rows)
        announce(connection, [queue_topic(PREFIX + endpoint_id)])
    later = (col(WebhookEndpoint.id) == endpoint_id, col(WebhookEndpoint.seen_at) < seen_at)
    connection.execute(update(WebhookEndpoint).where(*later).values(seen_at=seen_at))


@of_rows
def payloads(session: Session, messages: Sequence[MessageRow]) -> dict[str, tuple[AuditEntry, ApprovalRequest]]:
    """Return entry and request of each message by key, without those whose entry was superseded."""
    ids = {message.request_id for message in messages}
    query = (
        select(AuditEntry, ApprovalRequest)
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(AuditEntry.request_id))
        .where(col(AuditEntry.request_id).in_(ids), col(AuditEntry.seq).in_({m.seq for m in messages}))
    )
    found: dict[Any, tuple[AuditEntry, ApprovalRequest]] = {}
    for entry, request in session.execute(query).all():
        found[entry.request_id, entry.seq, entry.hash] = (entry, request)
    return {m.key: found[k] for m in messages if (k := (m.request_id, m.seq, m.hash)) in found}


def _there(session: Session, endpoint_id: str) -> WebhookEndpoint:
    row = session.get(WebhookEndpoint, endpoint_id)
    if row is None:
        raise NotFound(sentence("There is no webhook endpoint {endpoint_id!r}.", endpoint_id=endpoint_id))
    return row
