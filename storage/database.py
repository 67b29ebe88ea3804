"""The database behind everything that is stored: SQLite (WAL) in a file, or PostgreSQL by its URL.

`session()` reads one consistent snapshot and cannot write; `begin()` is one transaction that commits at its end. What
was committed survives kill -9 and the loss of power: SQLite runs with `synchronous=FULL`, PostgreSQL as it is set up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from placet.errors import InputInvalid, Unavailable

# How long a writer of another process may hold SQLite before we give up, in seconds.
BUSY_SECONDS = 15
# How long PostgreSQL may take to answer a new connection, and a full pool to free one, in seconds.
CONNECT_SECONDS = 5
POOL_SECONDS = 15

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def driver_url(url: str) -> URL:
    """Return the URL with the asynchronous driver in it; raises InputInvalid for a database that is not supported."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputInvalid(
            f"{url!r} is not a database URL; write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise InputInvalid(f"{parsed.drivername} is not supported; write sqlite:///FILE or postgresql://USER@HOST/NAME")
    if driver.startswith("sqlite") and parsed.database in {None, "", ":memory:"}:
        raise InputInvalid("SQLite needs a file, for everything in memory is lost; write sqlite:///FILE")
    return parsed.set(drivername=driver)


class Database:
    """One database, with its connections. Within a process all that write to SQLite take turns here."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = driver_url(url)
        self.dialect = self.url.get_backend_name()
        self._turn: asyncio.Lock | None = None
        if self.dialect == "sqlite":
            self._turn = asyncio.Lock()
            self._writer = _sqlite(self.url, pool_size=1, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite(self.url, pool_size=pool_size, begin="BEGIN")
        else:
            self._writer = _postgresql(self.url, pool_size=pool_size)
            # The same pool; the driver sends both with BEGIN, at no cost.
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a session that sees one snapshot and cannot write; raises Unavailable where the database is away."""
        with self._reaching():
            async with AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as session:
                yield session

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits at the end and rolls back on an error; raises Unavailable."""
        with self._reaching():
            async with (
                self._turn or nullcontext(),
                AsyncSession(self._writer, expire_on_commit=False) as session,
                session.begin(),
            ):
                yield session

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction without the weight of a session: for what is written often. Raises Unavailable."""
        with self._reaching():
            async with self._turn or nullcontext(), self._writer.begin() as connection:
                yield connection

    async def check(self) -> None:
        """Raise Unavailable unless the database answers."""
        async with self.session() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        if self.dialect == "sqlite":
            await self._reader.dispose()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            where = self.url.render_as_string(hide_password=True)
            raise Unavailable(f"The database {where} does not answer: {reason[0] if reason else error!r}") from error


def _sqlite(url: URL, *, pool_size: int, begin: str) -> AsyncEngine:
    assert url.database is not None, "driver_url refuses databases in memory"  # noqa: S101 - tells the type checker
    if not url.database.startswith("file:"):
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # isolation_level None keeps the driver from beginning transactions behind our back: `begin` is the only one.
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )
    read_only = begin == "BEGIN"

    @event.listens_for(engine.sync_engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(url: URL, *, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": "-c timezone=UTC"},
    )
