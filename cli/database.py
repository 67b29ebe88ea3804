"""This installation's database, for commands that need no engine, worker or API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cli.installation import has_database
from cli.terminal.event_loop import run
from cli.terminal.output import progress
from placet.definition.model import parse_or_none
from storage.database import Database
from storage.migrate import migrate
from storage.queries.definitions.dependencies import CheckContext, check_contexts
from worker.settings import Settings


@asynccontextmanager
async def migrated_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database at the newest schema. If a new one is created, say so: PLACET_HOME may be wrong."""
    if not has_database(settings):
        progress(f"creating a new database: {settings.database}")
    await migrate(settings.database)
    database = Database(settings.database)
    try:
        await database.check()  # its time is known before anything is stored
        yield database
    finally:
        await database.close()


def check_contexts_for(settings: Settings, blueprints: list[Any]) -> list[CheckContext]:
    """Return for each blueprint (JSON values) the people, actions and processes that it is checked against."""
    return run(_check_contexts(settings, blueprints))


async def _check_contexts(settings: Settings, blueprints: list[Any]) -> list[CheckContext]:
    async with migrated_database(settings) as database:
        return await database.read(check_contexts, [parse_or_none(raw) for raw in blueprints], database.now())
