"""Bring a database to the newest schema; the steps are in storage/migrations."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from storage.database import Database

# Any number will do, as long as everyone who migrates takes the same lock.
_ADVISORY_LOCK = 0x506C61636574


async def migrate(url: str) -> None:
    """Bring the database to the newest schema; what is there already is left alone.

    Safe to call by several processes at once: the second waits and finds nothing to do. Raises Unavailable.
    """
    database = Database(url, pool_size=1)
    try:
        # One transaction: a migration that fails or is killed leaves nothing behind, on both databases.
        async with database.connection() as connection:
            if database.dialect == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await database.close()


def configuration(connection: Connection) -> Config:
    """Return Alembic's settings for this connection, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(configuration(connection), "head")
