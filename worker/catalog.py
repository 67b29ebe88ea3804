"""The actions that every installation has in its catalog."""

from __future__ import annotations

from activities.actions.builtin import BUILT_IN, DESCRIPTIONS
from storage.database import Database
from storage.queries import actions


async def seed_catalog(database: Database) -> None:
    """Add the built-in actions that the catalog lacks."""
    await database.write(actions.seed, BUILT_IN, DESCRIPTIONS, database.now())
