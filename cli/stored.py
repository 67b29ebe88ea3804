"""This installation's database, for commands that need nothing but what is stored: no engine, worker or API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.installation import has_database
from cli.terminal.output import progress
from cli.terminal.running import run
from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.errors import BlueprintInvalid
from placet.plan.actions import ActionSpec
from placet.plan.plan import Child
from storage.database import Database
from storage.migrate import migrate
from storage.queries.definitions.dependencies import surroundings
from storage.queries.people import people
from worker.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a blueprint is checked among: everyone, the catalog's actions, and the processes that it starts."""

    directory: Directory
    actions: dict[str, ActionSpec]
    children: dict[str, Child]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Open the database at the newest schema; that a new one is made is said, for the home may be the wrong one."""
    if not has_database(settings):
        progress(f"making a new database: {settings.database}")
    await migrate(settings.database)
    database = Database(settings.database)
    try:
        yield database
    finally:
        await database.close()


def around(settings: Settings, blueprints: list[Any]) -> list[Around]:
    """Return for each of these, as JSON values, what it is checked among; what is no blueprint refers to nothing."""
    return run(_around(settings, blueprints))


async def _around(settings: Settings, blueprints: list[Any]) -> list[Around]:
    async with opened(settings) as database, database.session() as session:
        everyone = await people.everyone(session)
        found: list[Around] = []
        for raw in blueprints:
            try:
                actions, children = await surroundings(session, parse_definition(raw), datetime.now(UTC))
            except BlueprintInvalid:  # why it is none is the check's to say
                actions, children = {}, {}
            found.append(Around(directory=everyone, actions=actions, children=children))
        return found
