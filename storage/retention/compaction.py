"""Have a database forget what was deleted: SQLite keeps it in freed pages, in its log and in search indexes.

PostgreSQL frees the place of old rows, to be written over: docs/data-protection.md says what that leaves.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError

from placet.errors import Unavailable
from storage.database import BUSY_SECONDS
from storage.retention.person_rules import BY_ITSELF, BY_REQUEST, EMPTIED, GONE

_FTS: Final = "request_title_parts"
_VACUUMED: Final = sorted({rows.table.name for rows in (*GONE, *EMPTIED)} | BY_REQUEST.keys() | BY_ITSELF.keys())


async def compact(url: URL) -> None:
    """Compact Placet's own database; raises Unavailable where others are in the way for too long."""
    if url.get_backend_name() == "sqlite":
        await compact_file(Path(str(url.database)))
    else:
        await asyncio.to_thread(_vacuum, url)


def size_of(url: URL) -> int:
    """Return how many bytes SQLite's file has, 0 for PostgreSQL, whose writers wait for nothing."""
    file = Path(str(url.database))
    return file.stat().st_size if url.get_backend_name() == "sqlite" and file.exists() else 0


async def compact_file(file: Path) -> None:
    """Write a file of SQLite anew without freed pages, and empty its log; whoever writes waits meanwhile.

    It takes about as long as copying the file. Raises Unavailable where others are in the way for too long.
    """
    await asyncio.to_thread(_rewrite, file)


def _rewrite(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_FTS,)).fetchone():
                connection.execute(f"INSERT INTO {_FTS} ({_FTS}) VALUES ('optimize')")  # noqa: S608 - a constant
            connection.execute("VACUUM")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"{file.name} could not be compacted, and is tried again: {error}") from error
    if busy:
        raise Unavailable(f"The log of {file.name} could not be emptied while others read it, and is tried again.")


def _vacuum(url: URL) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for table in _VACUUMED:
                connection.execute(text(f'VACUUM "{table}"'))
    except DBAPIError as error:
        raise Unavailable(f"The database could not be compacted, and is tried again: {error.orig}") from error
    finally:
        engine.dispose()
