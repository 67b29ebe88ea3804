"""Definitions of SLAs, and the counts of their windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select, true, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries import cursor as cursors
from storage.tables.approvals import DefinitionVersion
from storage.tables.slas import SlaBreach, SlaExecution, WorkflowSla

_ENABLED = Prepared(
    select(WorkflowSla.__table__)  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    .where(col(WorkflowSla.enabled) == true())
    .order_by(col(WorkflowSla.created_at), col(WorkflowSla.id))
)


class WindowCounts(NamedTuple):
    """How many executions are in a window, and how many of them have missed their target."""

    total: int
    breached: int


@of_rows
def add(session: Session, row: WorkflowSla) -> WorkflowSla:
    """Store a new definition; the same id again is the same definition."""
    there = session.get(WorkflowSla, row.id)
    if there is not None:
        return there
    session.add(row)
    return row


@of_rows
def get(session: Session, sla_id: str) -> WorkflowSla:
    """Return one definition; raises NotFound."""
    found = session.get(WorkflowSla, sla_id)
    if found is None:
        raise NotFound(sentence("There is no SLA {sla_id!r}", sla_id=sla_id))
    return found


@of_rows
def change(session: Session, sla_id: str, facts: Mapping[str, Any]) -> WorkflowSla:
    """Change these columns of a definition; raises NotFound."""
    row = session.get(WorkflowSla, sla_id, with_for_update=True)
    if row is None:
        raise NotFound(sentence("There is no SLA {sla_id!r}", sla_id=sla_id))
    for column, value in facts.items():
        setattr(row, column, value)
    return row


def remove(connection: Connection, sla_id: str) -> WorkflowSla:
    """Remove a definition that has had no breach; raises NotFound and Conflict."""
    row = get(connection, sla_id)
    had = select(func.count()).select_from(SlaBreach).where(col(SlaBreach.sla_id) == sla_id)
    if number := connection.execute(had).scalar_one():
        raise Conflict(
            sentence(
                "The SLA {name!r} has {number} breaches on record, which stay; switch it off with `enabled: false`.",
                name=row.name,
                number=number,
            )
        )
    connection.execute(delete(SlaExecution).where(col(SlaExecution.sla_id) == sla_id))
    connection.execute(delete(WorkflowSla).where(col(WorkflowSla.id) == sla_id))
    return row


@of_rows
def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    template: str | None = None,
    enabled: bool | None = None,
) -> cursors.Page[WorkflowSla]:
    """List definitions, newest first; raises InputInvalid for a cursor that is none."""
    created, ident = col(WorkflowSla.created_at), col(WorkflowSla.id)
    query = select(WorkflowSla).order_by(created.desc(), ident.desc())
    if template is not None:
        query = query.where(col(WorkflowSla.template) == template)
    if enabled is not None:
        query = query.where(col(WorkflowSla.enabled) == enabled)
    if cursor is not None:
        query = query.where(cursors.after(created, ident, cursor))
    return cursors.page(session.scalars(query.limit(limit + 1)).all(), limit, lambda row: (row.created_at, row.id))


def enabled(connection: Connection) -> list[WorkflowSla]:
    """Return all definitions that are switched on, oldest first."""
    return [WorkflowSla(**row._asdict()) for row in _ENABLED.rows(connection)]


@of_rows
def every(session: Session) -> list[WorkflowSla]:
    """Return all definitions, oldest first."""
    return list(session.scalars(select(WorkflowSla).order_by(col(WorkflowSla.created_at), col(WorkflowSla.id))))


def note_judged(connection: Connection, sla_id: str, until: datetime) -> None:
    """Note that everything is judged that ended before a moment."""
    connection.execute(update(WorkflowSla).where(col(WorkflowSla.id) == sla_id).values(judged_until=until))


def note_forgotten(connection: Connection, sla_id: str, until: datetime) -> None:
    """Note that executions that ended before a moment may be deleted from now on."""
    connection.execute(update(WorkflowSla).where(col(WorkflowSla.id) == sla_id).values(forgotten_until=until))


def counts(connection: Connection, sla_id: str, since: datetime, until: datetime) -> WindowCounts:
    """Count the executions of which it was known after `since`, and up to `until`, how they fared."""
    query = (
        select(col(SlaExecution.breached), func.count().label("number"))
        .where(
            col(SlaExecution.sla_id) == sla_id,
            col(SlaExecution.known_at) > since,
            col(SlaExecution.known_at) <= until,
        )
        .group_by(col(SlaExecution.breached))
    )
    found = {bool(row.breached): int(row.number) for row in connection.execute(query)}
    return WindowCounts(total=sum(found.values()), breached=found.get(True, 0))


def names_of_processes(connection: Connection) -> list[str]:
    """Return the names of all processes that have a published version."""
    query = select(col(DefinitionVersion.name)).where(col(DefinitionVersion.status) == "published").distinct()
    return sorted(connection.scalars(query))


def window_counts(connection: Connection, now: datetime) -> list[tuple[WorkflowSla, WindowCounts]]:
    """Return each definition that is switched on, with the counts of its window that ends now."""
    return [
        (sla, counts(connection, sla.id, now - timedelta(hours=sla.slo_window_hours), now))
        for sla in enabled(connection)
    ]
