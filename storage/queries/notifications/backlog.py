"""The backlog of notifications: what waits for each channel and since when, what is not planned, and what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, func, select, tuple_
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.tables.approvals import Outbox
from storage.tables.notifications import NotificationMessage

UNPLANNED = "planning"
"""Stands for the channel of notifications that are not planned yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The messages that wait for one channel."""

    number: int
    since: datetime
    """The first time at which the oldest could be sent; quiet hours and digests do not count as waiting."""

    def waited(self, now: datetime) -> timedelta:
        """Return how long the oldest has waited."""
        return max(now - self.since, timedelta())


def backlogs(connection: Connection, now: datetime) -> Mapping[str, Backlog]:
    """Return the backlog of each channel that has one. All webhook endpoints count as one channel."""
    kind = case((col(NotificationMessage.channel).startswith("webhook:"), "webhook"), else_=NotificationMessage.channel)
    planned = (
        select(kind.label("channel"), func.count(), func.min(col(NotificationMessage.created_at)))
        .where(col(NotificationMessage.status) == "pending", col(NotificationMessage.created_at) <= now)
        .group_by(kind)
    )
    unplanned = select(func.count(), func.min(col(Outbox.created_at))).where(
        col(Outbox.status) == "ready", col(Outbox.next_attempt_at) <= now
    )
    found = {channel: Backlog(number=number, since=since) for channel, number, since in connection.execute(planned)}
    number, since = connection.execute(unplanned).one()
    if number:
        found[UNPLANNED] = Backlog(number=number, since=since)
    return found


@of_rows
def failures(session: Session, *, limit: int, cursor: str | None = None) -> cursors.Page[NotificationMessage]:
    """List the messages that were given up, the latest first; raises InputInvalid for an invalid cursor."""
    at, key, channel = (
        col(NotificationMessage.finished_at),
        col(NotificationMessage.key),
        col(NotificationMessage.channel),
    )
    query = select(NotificationMessage).where(col(NotificationMessage.status) == "failed", at.is_not(None))
    if cursor is not None:
        moment, *rest = cursors.read_names(cursor, 3)
        last = cursors.moment_of(moment)
        query = query.where((at < last) | ((at == last) & (tuple_(key, channel) < tuple_(*rest))))
    rows = session.scalars(query.order_by(at.desc(), key.desc(), channel.desc()).limit(limit + 1)).all()
    return cursors.page(rows, limit, lambda row: (row.finished_at or row.created_at, row.key, row.channel))
