"""Webhook endpoints and the events that are queued for them: each audit entry that history holds, once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from placet.errors import NotFound
from storage.queries.notifications.delivery_queue import put
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


async def add(
    session: AsyncSession,
    *,
    url: str,
    events: Sequence[str],
    by: str,
    now: datetime,
    description: str = "",
    secret_ref: str = "derived:1",  # noqa: S107 - names a secret, and is none
    endpoint_id: str | None = None,
) -> WebhookEndpoint:
    """Store an endpoint, which gets the events from now on. The caller checks it first
    (activities.notifications.delivery.webhook_feed.check_endpoint)."""
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


async def get(session: AsyncSession, endpoint_id: str) -> WebhookEndpoint:
    """Return one endpoint; raises NotFound."""
    row = await session.get(WebhookEndpoint, endpoint_id)
    if row is None:
        raise NotFound(f"There is no webhook endpoint {endpoint_id!r}.")
    return row


async def every(session: AsyncSession, *, active: bool | None = None) -> list[WebhookEndpoint]:
    """List the endpoints, oldest first."""
    query = select(WebhookEndpoint).order_by(col(WebhookEndpoint.created_at), col(WebhookEndpoint.id))
    if active is not None:
        query = query.where(col(WebhookEndpoint.active) == active)
    return list(await session.scalars(query))


async def switch(session: AsyncSession, endpoint_id: str, *, active: bool, problem: str | None = None) -> None:
    """Switch an endpoint off, with the reason, or on again; raises NotFound."""
    row = await get(session, endpoint_id)
    row.active, row.problem = active, problem


async def remove(session: AsyncSession, endpoint_id: str) -> None:
    """Remove an endpoint; raises NotFound. Its pending messages are dropped."""
    await session.delete(await get(session, endpoint_id))
    waiting = (
        col(NotificationMessage.channel) == PREFIX + endpoint_id,
        col(NotificationMessage.status) == "pending",
    )
    await session.execute(update(NotificationMessage).where(*waiting).values(status="dropped"))


async def unseen(
    session: AsyncSession, endpoint: WebhookEndpoint, *, limit: int, but: Sequence[str] = ()
) -> list[WebhookEntry]:
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
        query = query.where(col(AuditEntry.kind).in_(endpoint.events))
    order = (col(AuditEntry.recorded_at), col(AuditEntry.request_id), col(AuditEntry.seq))
    rows = await session.scalars(query.order_by(*order).limit(limit))
    return [
        WebhookEntry(request_id=r.request_id, seq=r.seq, hash=r.hash, kind=r.kind, recorded_at=r.recorded_at)
        for r in rows
    ]


async def confirmed(session: AsyncSession, requests: Sequence[str]) -> dict[str, int]:
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
    return {row[0]: row[1] for row in await session.execute(query)}


async def holds(session: AsyncSession, request_id: str, seq: int, head: str) -> bool:
    """Tell whether the store has this hash at this entry, and so the same chain up to it."""
    same = exists().where(
        col(AuditEntry.request_id) == request_id, col(AuditEntry.seq) == seq, col(AuditEntry.hash) == head
    )
    return bool(await session.scalar(select(same)))


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
        connection.execute(put(connection.dialect.name), rows)
    later = (col(WebhookEndpoint.id) == endpoint_id, col(WebhookEndpoint.seen_at) < seen_at)
    connection.execute(update(WebhookEndpoint).where(*later).values(seen_at=seen_at))


async def payloads(
    session: AsyncSession, messages: Sequence[NotificationMessage]
) -> dict[str, tuple[AuditEntry, ApprovalRequest]]:
    """Return entry and request of each message by key, without those whose entry was superseded."""
    ids = {message.request_id for message in messages}
    query = (
        select(AuditEntry, ApprovalRequest)
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(AuditEntry.request_id))
        .where(col(AuditEntry.request_id).in_(ids), col(AuditEntry.seq).in_({m.seq for m in messages}))
    )
    found: dict[Any, tuple[AuditEntry, ApprovalRequest]] = {}
    for entry, request in (await session.execute(query)).all():
        found[entry.request_id, entry.seq, entry.hash] = (entry, request)
    return {m.key: found[k] for m in messages if (k := (m.request_id, m.seq, m.hash)) in found}
