"""Reading marks: how far each person has read each request, so that a page can show what is new."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.prepared import Prepared
from storage.tables.approvals import AuditEntry
from storage.tables.reading import ReadingMark

LOOK = timedelta(minutes=10)
"""A look lasts this long: whoever loads the page again meanwhile still sees what was new when it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far somebody has read a request: now, and when their last look but this one ended."""

    seq: int
    revision: int
    looked_at: datetime
    before_seq: int
    before_revision: int
    before_at: datetime


_select: Any = select  # it has no type for so many columns
_FIELDS = tuple(field.name for field in fields(Mark))
_FIND = Prepared(
    _select(*(getattr(ReadingMark, name) for name in _FIELDS)).where(
        col(ReadingMark.request_id) == bindparam("request_id"), col(ReadingMark.person) == bindparam("person")
    )
)


def find(connection: Connection, request_id: str, person: str) -> Mark | None:
    """Return how far a person has read a request; None where they have never looked."""
    row = _FIND.first(connection, request_id=request_id, person=person)
    return None if row is None else Mark(**{name: getattr(row, name) for name in _FIELDS})


def looked(mark: Mark | None, *, seq: int, revision: int, now: datetime) -> Mark:
    """Return the mark of somebody who now sees the request as far as this entry and this revision."""
    if mark is None:
        before = seq, revision, now
    elif now - mark.looked_at > LOOK:
        before = mark.seq, mark.revision, mark.looked_at
    else:
        before = mark.before_seq, mark.before_revision, mark.before_at
        now = mark.looked_at
    return Mark(
        seq=seq,
        revision=revision,
        looked_at=now,
        before_seq=before[0],
        before_revision=before[1],
        before_at=before[2],
    )


def put(connection: Connection, request_id: str, person: str, mark: Mark) -> None:
    """Store how far a person has read a request."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    given = asdict(mark)
    insert = make(ReadingMark).values(request_id=request_id, person=person, **given)
    connection.execute(insert.on_conflict_do_update(index_elements=["request_id", "person"], set_=given))


def latest_entry(connection: Connection, request_id: str) -> int:
    """Return the number of the latest audit entry of a request; 0 where there is none."""
    query = select(func.max(col(AuditEntry.seq))).where(col(AuditEntry.request_id) == request_id)
    return connection.scalar(query) or 0
