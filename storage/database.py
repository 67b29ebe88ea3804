"""The database behind everything that is stored: SQLite (WAL) in a file, or PostgreSQL by its URL.

`session()` and `read()` see one consistent snapshot and cannot write; `begin()` and `run()` are one transaction that
commits at its end. What was committed survives kill -9 and the loss of power: SQLite runs with `synchronous=FULL`,
PostgreSQL as it is set up.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from placet.errors import InputInvalid, Unavailable

# How long a writer of another process may hold SQLite before we give up, in seconds.
BUSY_SECONDS = 15
# How long PostgreSQL may take to answer a new connection, and a full pool to free one, in seconds.
CONNECT_SECONDS = 5
POOL_SECONDS = 15
# Transactions of `run` that PostgreSQL carries out side by side, and snapshots of `read` that any database does.
RUNNERS = 2
READERS = 2

Given = ParamSpec("Given")
Result = TypeVar("Result")

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
            _make_file(self.url)
            self._writer = create_async_engine(self.url, **_SQLITE, pool_size=1)
            self._reader = create_async_engine(self.url, **_SQLITE, pool_size=pool_size)
            self._runner = create_engine(self.url.set(drivername="sqlite"), **_SQLITE, pool_size=1)
            self._glance = create_engine(self.url.set(drivername="sqlite"), **_SQLITE, pool_size=READERS)
            _prepare(self._writer.sync_engine, begin="BEGIN IMMEDIATE")
            _prepare(self._runner, begin="BEGIN IMMEDIATE")
            _prepare(self._reader.sync_engine, begin="BEGIN", read_only=True)
            _prepare(self._glance, begin="BEGIN", read_only=True)
        else:
            self._writer = create_async_engine(self.url, **_POSTGRESQL, pool_size=pool_size)
            # The same pool; the driver sends both options with BEGIN, at no cost.
            self._reader = self._writer.execution_options(**_SNAPSHOT)
            self._runner = create_engine(self.url, **_POSTGRESQL, pool_size=RUNNERS)
            self._glance = create_engine(self.url, **_POSTGRESQL, pool_size=READERS, execution_options=_SNAPSHOT)
        runners = 1 if self._turn else RUNNERS
        self._threads = ThreadPoolExecutor(max_workers=runners, thread_name_prefix="placet-database")
        self._eyes = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="placet-reading")

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

    async def run(
        self,
        work: Callable[Concatenate[Connection, Given], Result],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Result:
        """Run `work(connection, …)` in one transaction on a thread, and return its result; raises Unavailable.

        A transaction of ten statements costs one change of threads here and thirty through a session: this is for
        what is written often.
        """

        def transaction() -> Result:
            with self._runner.begin() as connection:
                return work(connection, *args, **kwargs)

        with self._reaching():
            async with self._turn or nullcontext():
                return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, transaction))

    async def read(
        self,
        work: Callable[Concatenate[Connection, Given], Result],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Result:
        """Run `work(connection, …)` on one snapshot on a thread, and return its result; raises Unavailable.

        It costs one change of threads, and a session several for each statement: this is for what is read often.
        """

        def snapshot() -> Result:
            with self._glance.connect() as connection:
                return work(connection, *args, **kwargs)

        with self._reaching():
            return await asyncio.get_running_loop().run_in_executor(self._eyes, snapshot)

    async def check(self) -> None:
        """Raise Unavailable unless the database answers."""
        async with self.session() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        await self._reader.dispose()
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._eyes.shutdown)
        self._runner.dispose()
        self._glance.dispose()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            where = self.url.render_as_string(hide_password=True)
            raise Unavailable(f"The database {where} does not answer: {reason[0] if reason else error!r}") from error


@contextmanager
def one_trip(connection: Connection) -> Iterator[None]:
    """Send the statements inside to PostgreSQL together; for those whose results nobody reads.

    Errors come at the end, as the driver's own. Elsewhere (SQLite, a session's connection) they are sent one by one.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        yield
        return
    with driver.pipeline():
        yield


# isolation_level None keeps SQLite's driver from beginning transactions behind our back: `_prepare` has the only one.
_SQLITE: dict[str, Any] = {
    "max_overflow": 0,
    "pool_timeout": POOL_SECONDS,
    "connect_args": {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False},
}
_POSTGRESQL: dict[str, Any] = {
    "max_overflow": 0,
    "pool_timeout": POOL_SECONDS,
    "connect_args": {"connect_timeout": CONNECT_SECONDS, "options": "-c timezone=UTC"},
}
_SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


_OTHERS = stat.S_IRWXO


def _make_file(url: URL) -> None:
    """Make SQLite's file where it is missing, and keep other users of this machine out of it.

    SQLite gives the files beside it the same permissions.
    """
    if url.database is not None and not url.database.startswith("file:"):
        with suppress(OSError):  # opening the file says what is wrong, as for any database that is away
            file = Path(url.database)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600, exist_ok=True)
            for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
                if each.exists() and each.stat().st_mode & _OTHERS:
                    each.chmod(each.stat().st_mode & ~_OTHERS)


def _prepare(engine: Engine, *, begin: str, read_only: bool = False) -> None:
    """Have every connection to SQLite set up, and every transaction begun as we want it."""

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
