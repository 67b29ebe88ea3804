"""The edited templates of notifications. Every version is stored, and the newest active one is in force."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from languages.catalogues import Language
from placet.errors import NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries.notifications.rows import TemplateRow, columns
from storage.tables.notifications import NotificationTemplate

_IN_FORCE = Prepared(
    select(*columns(NotificationTemplate, TemplateRow)).where(col(NotificationTemplate.status) == "active")
)


def in_force(connection: Connection) -> list[TemplateRow]:
    """Return the edited templates that are in force, at most one of each name and language."""
    return [TemplateRow(*row) for row in _IN_FORCE.rows(connection)]


@of_rows
def versions(session: Session, name: str, language: Language) -> list[NotificationTemplate]:
    """List all versions of a template in a language, newest first."""
    query = select(NotificationTemplate).where(
        col(NotificationTemplate.name) == name, col(NotificationTemplate.language) == language
    )
    return list(session.scalars(query.order_by(col(NotificationTemplate.version).desc())))


@of_rows
def edit(
    session: Session,
    *,
    name: str,
    language: Language,
    subject: str,
    text: str,
    html: str,
    by: str,
    now: datetime,
    note: str | None = None,
) -> NotificationTemplate:
    """Put a new version in force. Callers check it first (activities.notifications.templates.template_set.check).

    The versions of a name are counted over all its languages.
    """
    newest = session.scalar(
        select(func.max(col(NotificationTemplate.version))).where(col(NotificationTemplate.name) == name)
    )
    _retire(session.connection(), name, language)
    row = NotificationTemplate(
        name=name,
        language=language,
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
def restore(session: Session, name: str, version: int, language: Language) -> None:
    """Put an earlier version of a language in force; 0 is the shipped default. Raises NotFound."""
    _retire(session.connection(), name, language)
    if version == 0:
        return
    row = session.get(NotificationTemplate, (name, version))
    if row is None or row.language != language:
        raise NotFound(sentence("Template {name!r} has no version {version}.", name=name, version=version))
    row.status = "active"


def _retire(connection: Connection, name: str, language: Language) -> None:
    mine = (col(NotificationTemplate.name) == name, col(NotificationTemplate.language) == language)
    connection.execute(
        update(NotificationTemplate).where(*mine, col(NotificationTemplate.status) == "active").values(status="retired")
    )
