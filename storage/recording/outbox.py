"""The outbox: notifications, held until the engine's history is known to hold the entry that caused them.

`record` writes notifications as `held`, and `confirm` makes them `ready`. Then they are queued on channels
(storage.queries.notifications.delivery_queue) and end as `sent`, `failed` (given up) or `dropped` (no longer needed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Integer, Update, bindparam, exists, func, select, update
from sqlmodel import col

from placet.audit.chain import genesis
from storage.announcements.announce import READY, announce
from storage.prepared import Prepared
from storage.tables.approvals import AuditEntry, Outbox
from storage.tables.columns import Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """History holds the request's audit chain up to this entry: its seq and its hash."""

    request_id: str
    seq: int
    head: str


def confirm_all(
    connection: Connection, confirmations: Sequence[Confirmation], _now: datetime | None = None
) -> list[None]:
    """Make the notifications of many requests ready; for `storage.recording.group_commit`, without errors for items."""
    values = [{"of_request": c.request_id, "up_to": c.seq, "head": c.head} for c in confirmations]
    if _CONFIRM.run_all(connection, values):
        announce(connection, [READY])
    return [None] * len(confirmations)


def held(connection: Connection, *, before: datetime, limit: int) -> list[str]:
    """List requests with notifications that have been held since before a moment, for which the engine is asked."""
    return [row.request_id for row in _HELD.rows(connection, before=before, most=limit)]


def next_held(connection: Connection, *, after: datetime) -> datetime | None:
    """Return when the oldest notification was written that is held, and was written at a moment or later."""
    oldest: datetime | None = _NEXT_HELD.scalar(connection, after=after)
    return oldest


def next_due(connection: Connection) -> datetime | None:
    """Return when the next notification is to be planned, or None where none is ready."""
    due: datetime | None = _NEXT_DUE.scalar(connection)
    return due


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


_CONFIRM = Prepared(_confirming())
_MOMENT = Moment()
_HELD = Prepared(
    select(col(Outbox.request_id))
    .where(col(Outbox.status) == "held", col(Outbox.created_at) < bindparam("before", type_=_MOMENT))
    .group_by(col(Outbox.request_id))
    .order_by(func.min(col(Outbox.created_at)))
    .limit(bindparam("most", type_=Integer()))
)
_NEXT_HELD = Prepared(
    select(func.min(col(Outbox.created_at)).label("first")).where(
        col(Outbox.status) == "held", col(Outbox.created_at) >= bindparam("after", type_=_MOMENT)
    )
)
_NEXT_DUE = Prepared(select(func.min(col(Outbox.next_attempt_at)).label("first")).where(col(Outbox.status) == "ready"))
