"""Stored event logs: what each holds, its parts, and those whose process has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.tables.event_logs import EventLog, EventLogPart


@of_rows
def store(session: Session, log: EventLog) -> EventLog:
    """Store a log that begins to be read."""
    session.add(log)
    return log


def find(connection: Connection, log_id: str) -> EventLog | None:
    """Return one log, None where there is none."""
    try:
        return get(connection, log_id)
    except NotFound:
        return None


@of_rows
def get(session: Session, log_id: str) -> EventLog:
    """Return one log; raises NotFound."""
    found = session.get(EventLog, log_id)
    if found is None:
        raise NotFound(sentence("There is no event log {log_id!r}.", log_id=log_id))
    return found


@of_rows
def page(session: Session, *, limit: int, cursor: str | None = None) -> cursors.Page[EventLog]:
    """List the logs, newest first, `limit` at a time."""
    at, ident = col(EventLog.created_at), col(EventLog.id)
    query = select(EventLog).order_by(at.desc(), ident.desc()).limit(limit + 1)
    if cursor is not None:
        moment, last = cursors.read_moment(cursor)
        query = query.where((at < moment) | ((at == moment) & (ident < last)))
    return cursors.page(session.scalars(query).all(), limit, lambda row: (row.created_at, row.id))


def running(connection: Connection) -> int:
    """Count the logs that are being read."""
    return connection.execute(
        select(func.count()).select_from(EventLog).where(col(EventLog.status) == "running")
    ).scalar_one()


def add_parts(connection: Connection, log_id: str, first: int, parts: Sequence[tuple[int, int, bytes]]) -> None:
    """Store parts (cases, events, content) of a log that is being read, the first at this position."""
    rows = [
        {"log_id": log_id, "position": first + n, "cases": cases, "events": events, "content": content}
        for n, (cases, events, content) in enumerate(parts)
    ]
    connection.execute(insert(EventLogPart), rows)


def parts(connection: Connection, log_id: str) -> list[bytes]:
    """Return the parts of a log in their order, packed."""
    query = select(col(EventLogPart.content)).where(col(EventLogPart.log_id) == log_id)
    return list(connection.scalars(query.order_by(col(EventLogPart.position))))


def finish(connection: Connection, log_id: str, values: Mapping[str, Any]) -> bool:
    """End a log that is being read; False where it has ended. The parts of one that has failed are deleted."""
    changed = connection.execute(
        update(EventLog)
        .where(col(EventLog.id) == log_id, col(EventLog.status) == "running")
        .values({**values, "held_until": None})
    )
    if changed.rowcount and values["status"] == "failed":
        connection.execute(delete(EventLogPart).where(col(EventLogPart.log_id) == log_id))
    return bool(changed.rowcount)


def hold(connection: Connection, ids: Sequence[str], *, until: datetime) -> None:
    """Extend the lease of the process that reads these logs."""
    connection.execute(update(EventLog).where(col(EventLog.id).in_(ids)).values(held_until=until))


def abandoned(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of logs whose process has ended before they were read."""
    query = select(col(EventLog.id)).where(col(EventLog.status) == "running", col(EventLog.held_until) < now)
    return connection.scalars(query).all()


def remove(connection: Connection, log_id: str) -> None:
    """Delete a log with its cases."""
    connection.execute(delete(EventLogPart).where(col(EventLogPart.log_id) == log_id))
    connection.execute(delete(EventLog).where(col(EventLog.id) == log_id))
