"""The deliveries of one webhook endpoint: the latest first, how many failed since a time, and those sent again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.queries.notifications.delivery_queue import queue_again
from storage.queries.notifications.webhooks import PREFIX
from storage.tables.notifications import NotificationMessage

STATUSES: Final = ("pending", "failed", "sent", "dropped")


@of_rows
def page(
    session: Session, endpoint_id: str, *, limit: int, cursor: str | None = None, status: str | None = None
) -> cursors.Page[NotificationMessage]:
    """List what was, is or will be sent to an endpoint, by its last or next attempt, the latest first.

    Each status has an order of its own in the index, so a page reads as many rows of each as it shows at most. Raises
    InputInvalid for an invalid cursor.
    """
    tried, key = col(NotificationMessage.next_attempt_at), col(NotificationMessage.key)
    query = select(NotificationMessage).where(col(NotificationMessage.channel) == PREFIX + endpoint_id)
    if cursor is not None:
        at, last = cursors.read_moment(cursor)
        query = query.where((tried < at) | ((tried == at) & (key < last)))
    query = query.order_by(tried.desc(), key.desc()).limit(limit + 1)
    found = [
        row
        for one in ((status,) if status is not None else STATUSES)
        for row in session.scalars(query.where(col(NotificationMessage.status) == one))
    ]
    rows = sorted(found, key=_place, reverse=True)[: limit + 1]
    return cursors.page(rows, limit, _place)


def counts(connection: Connection, endpoints: Iterable[str]) -> dict[str, dict[str, int]]:
    """Count by endpoint, of these, what waits for it and what failed; one for which there is neither is left out."""
    channel, status = col(NotificationMessage.channel), col(NotificationMessage.status)
    channels = [PREFIX + one for one in endpoints]
    query = select(channel, status, func.count()).where(status.in_(("pending", "failed")), channel.in_(channels))
    found: dict[str, dict[str, int]] = {}
    for name, state, number in connection.execute(query.group_by(channel, status)):
        found.setdefault(name.removeprefix(PREFIX), {})[state] = number
    return found


def count_failed(connection: Connection, endpoint_id: str, since: datetime, until: datetime) -> int:
    """Count the deliveries to an endpoint that were given up in [since, until]."""
    query = select(func.count()).select_from(NotificationMessage).where(*_failed(endpoint_id, since, until))
    return connection.scalar(query) or 0


def replay(
    connection: Connection, endpoint_id: str, since: datetime, until: datetime, now: datetime, *, limit: int
) -> int:
    """Queue deliveries that were given up in [since, until] again, the oldest first, and return how many."""
    key = col(NotificationMessage.key)
    oldest = select(key).where(*_failed(endpoint_id, since, until))
    oldest = oldest.order_by(col(NotificationMessage.finished_at), key).limit(limit)
    of_channel = col(NotificationMessage.channel) == PREFIX + endpoint_id
    return len(queue_again(connection, now, of_channel, key.in_(oldest), col(NotificationMessage.status) == "failed"))


def _failed(endpoint_id: str, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(NotificationMessage.channel) == PREFIX + endpoint_id,
        col(NotificationMessage.status) == "failed",
        col(NotificationMessage.finished_at).between(since, until),
    )


def _place(row: NotificationMessage) -> tuple[datetime, str]:
    return row.next_attempt_at, row.key
