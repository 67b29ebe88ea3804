"""The edited templates of notifications. Every version is stored, and the newest active one is in force."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from placet.errors import NotFound
from storage.tables.notifications import NotificationTemplate


async def in_force(session: AsyncSession) -> dict[str, NotificationTemplate]:
    """Return the edited templates that are in force, by name."""
    query = select(NotificationTemplate).where(col(NotificationTemplate.status) == "active")
    return {row.name: row for row in await session.scalars(query)}


async def versions(session: AsyncSession, name: str) -> list[NotificationTemplate]:
    """List all versions of a template, newest first."""
    query = select(NotificationTemplate).where(col(NotificationTemplate.name) == name)
    return list(await session.scalars(query.order_by(col(NotificationTemplate.version).desc())))


async def edit(
    session: AsyncSession,
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
    newest = await session.scalar(
        select(func.max(col(NotificationTemplate.version))).where(col(NotificationTemplate.name) == name)
    )
    await _retire(session, name)
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


async def restore(session: AsyncSession, name: str, version: int) -> None:
    """Put an earlier version in force; 0 is the shipped default. Raises NotFound."""
    await _retire(session, name)
    if version == 0:
        return
    row = await session.get(NotificationTemplate, (name, version))
    if row is None:
        raise NotFound(f"Template {name!r} has no version {version}.")
    row.status = "active"


async def _retire(session: AsyncSession, name: str) -> None:
    await session.execute(
        update(NotificationTemplate)
        .where(col(NotificationTemplate.name) == name, col(NotificationTemplate.status) == "active")
        .values(status="retired")
    )
