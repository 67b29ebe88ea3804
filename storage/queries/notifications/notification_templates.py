"""The edited templates of notifications. Every version is stored, and the newest active one is in force."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import NotFound
from storage.database import of_rows
from storage.tables.notifications import NotificationTemplate


@of_rows
def in_force(session: Session) -> dict[str, NotificationTemplate]:
    """Return the edited templates that are in force, by name."""
    query = select(NotificationTemplate).where(col(NotificationTemplate.status) == "active")
    return {row.name: row for row in session.scalars(query)}


@of_rows
def versions(session: Session, name: str) -> list[NotificationTemplate]:
    """List all versions of a template, newest first."""
    query = select(NotificationTemplate).where(col(NotificationTemplate.name) == name)
    return list(session.scalars(query.order_by(col(NotificationTemplate.version).desc())))


@of_rows
def edit(
    session: Session,
    *,
    name: str,
    subject: str,
    text: str,
    html: str,
    by: str,
    now: datetime,
    note: str | None = None,
) -> NotificationTemplate:
    """Put a new version in force. Callers check it first (activities.notifications.templates.template_set.check)."""
    newest = session.scalar(
        select(func.max(col(NotificationTemplate.version))).where(col(NotificationTemplate.name) == name)
    )
    _retire(session.connection(), name)
    row = NotificationTemplate(
        name=name,
        version=(newest or 0) + 1,
        status="active",
        subject=subject,
        text=text,
        html=html,
        note=note,
        created_by=by,
        created_at=now,
    )
    session.add(row)
    return row


@of_rows
def restore(session: Session, name: str, version: int) -> None:
    """Put an earlier version in force; 0 is the shipped default. Raises NotFound."""
    _retire(session.connection(), name)
    if version == 0:
        return
    row = session.get(NotificationTemplate, (name, version))
    if row is None:
        raise NotFound(f"Template {name!r} has no version {version}.")
    row.status = "active"


def _retire(connection: Connection, name: str) -> None:
    connection.execute(
        update(NotificationTemplate)
        .where(col(NotificationTemplate.name) == name, col(NotificationTemplate.status) == "active")
        .values(status="retired")
    )
