"""`placet token`: API tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cli import assembly
from storage import tokens
from worker.settings import Settings


async def issue(settings: Settings, person: str, days: int | None) -> str:
    """Make a token for a person and return its text."""
    async with assembly.open_database(assembly.installed(settings)) as database, database.begin() as session:
        ttl = timedelta(days=days) if days is not None else None
        return await tokens.issue(session, person.removeprefix("user:"), ttl=ttl, now=datetime.now(UTC))
