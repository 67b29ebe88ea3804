"""Bring a database to the newest schema; the steps are in storage/migrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"

# Any number will do, as long as everyone who migrates takes the same lock.
_ADVISORY_LOCK = 0x506C61636574


async def migrate(url: str) -> None:
    """Bring the database to the newest schema; what is there already is left alone.

    Safe to call by several processes at once: the second waits and finds nothing to do. Raises Unavailable.
    """
    database = Database(url, pool_size=1)
    try:
        if await database.read(_version) == newest():
            return  # as at nearly every start: Alembic is loaded for a database that is older
        # One transaction: a migration that fails or is killed leaves nothing behind, on both databases.
        await database.run(_upgrade)
    finally:
        await database.close()


def newest() -> str:
    """Return the revision of the newest step: the number that its file's name begins with."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _version(connection: Connection) -> str | None:
    """Return the revision that a database is at, None for one that no step has been taken on."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def configuration(connection: Connection) -> Config:
    """Return Alembic's settings for this connection, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    command.upgrade(configuration(connection), "head")
