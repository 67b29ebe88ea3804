"""Bring a database to the newest schema; the steps are in storage/migrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from placet.errors import NewerSchema
from storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"

# Any number, as long as all processes that migrate take the same lock.
_ADVISORY_LOCK = 0x506C61636574


async def migrate(url: str) -> None:
    """Migrate the database to the newest schema; stored data stays.

    Several processes may call this at once: one migrates, and the others wait. Raises Unavailable, and NewerSchema for
    a database that a newer release has migrated.
    """
    database = Database(url)
    try:
        version = await database.read(revision)
        if version == newest():
            return  # as at nearly every start, without loading Alembic
        if version is not None and is_of_newer(version):
            raise NewerSchema(
                f"The database has the schema {version}, and this release of Placet knows those up to {newest()}: a "
                "newer release has migrated it. Nothing was changed. Start that release or a newer one; to go back to "
                "this one, restore the back-up that was made before the upgrade."
            )
        # One transaction: a migration that fails or is killed leaves nothing behind, on both databases.
        await database.write(_upgrade)
    finally:
        await database.close()


def newest() -> str:
    """Return the newest revision: the number at the beginning of the last migration's file name."""
    return max(_known())


def is_of_newer(version: str) -> bool:
    """Tell whether a revision is of a newer release than this one, which does not know it."""
    return version not in _known()


def _known() -> set[str]:
    return {file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py")}


def revision(connection: Connection) -> str | None:
    """Return the revision of a database, or None for one that was never migrated."""
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
