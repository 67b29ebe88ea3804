"""The database behind everything that is stored: SQLite (WAL) in a file, or PostgreSQL by its URL.

There are two ways in, for functions of a `Connection` that run on a thread: `read` sees one consistent snapshot and
cannot write; `write` is one transaction that commits at its end. `look_up` reads as well, for whoever wants few rows.
What was committed survives kill -9 and the loss of power: SQLite runs with `synchronous=FULL`, PostgreSQL as it is set
up.
"""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from placet.errors import InputInvalid, RowsHeld, Unavailable
from storage.announcements import pipes
from storage.announcements.announce import take_pending
from storage.clock import SharedClock
from storage.threads import Threads

# How long a writer of another process may hold SQLite before we give up, in seconds.
BUSY_SECONDS = 15
# How long PostgreSQL may take to answer a new connection, and a full pool to free one, in seconds.
CONNECT_SECONDS = 5
POOL_SECONDS = 15
# How long a transaction waits for a row or a table that another one holds, and how long one may hold them without doing
# anything, in seconds. Longer ones are of a process that was stopped, or that lost its connection without a word; they
# would hold up everyone else.
LOCK_SECONDS = 5
IDLE_SECONDS = 15
# Transactions that PostgreSQL carries out side by side, and snapshots that any database does.
WRITERS = 4
READERS = 6

# What the drivers raise where a database cannot be reached or is in the way: themselves (storage.prepared) or wrapped.
_AWAY = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg.OperationalError,
    sqlite3.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,  # whose class is that of errors of the database's own
)

Given = ParamSpec("Given")
Result = TypeVar("Result")

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def driver_url(url: str) -> URL:
    """Return the URL with its driver in it; raises InputInvalid for a database that is not supported."""
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
    """One database, with its connections and the threads that use them.

    A transaction takes one thread, and waits for one while all are busy: who is cancelled in the meantime has done
    nothing, and what has begun comes to its end whether somebody waits for it or not. SQLite has one writer at a time,
    so it has one thread for writing, and all within a process that write to it take turns there.
    """

    def __init__(self, url: str) -> None:
        self.url = driver_url(url)
        self.dialect = self.url.get_backend_name()
        self._listeners = pipes.folder_of(self.url) if self.dialect == "sqlite" else None
        if self.dialect == "sqlite":
            _make_file(self.url)
            writers = 1
            self._writer = create_engine(self.url, **_SQLITE, pool_size=writers)
            self._reader = create_engine(self.url, **_SQLITE, pool_size=READERS)
            _prepare(self._writer, begin="BEGIN IMMEDIATE")
            _prepare(self._reader, begin="BEGIN", read_only=True)
            self._looker = create_engine(self.url, **(_SQLITE | _AT_ONCE), pool_size=1)
            _prepare(self._looker, begin="BEGIN", read_only=True)
        else:
            writers = WRITERS
            self._writer = create_engine(self.url, **_POSTGRESQL_WRITER, pool_size=writers)
            # The driver sends both options of a snapshot with BEGIN, at no cost.
            self._reader = create_engine(self.url, **_POSTGRESQL, pool_size=READERS, execution_options=_SNAPSHOT)
            self._looker = self._reader
        self.writers = writers  # transactions that write and are carried out at the same time
        self._clock = SharedClock(self.dialect)
        self._writing = Threads(writers, "placet-writing")
        self._reading = Threads(READERS, "placet-reading")

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    async def read(
        self,
        work: Callable[Concatenate[Connection, Given], Result],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Result:
        """Run `work(connection, …)` on one snapshot, which cannot write, and return its result; raises Unavailable."""
        return await self._carry_out(self._reading, self._reader, lambda connection: work(connection, *args, **kwargs))

    async def look_up(
        self,
        work: Callable[Concatenate[Connection, Given], Result],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Result:
        """Read as `read` does, where `work` finds few rows by their keys, and can be repeated.

        On SQLite this costs less than a change of threads, so it is done on the event loop's. Where another process is
        in the way, a thread waits for it.
        """
        if self._looker is not self._reader:
            in_the_way = suppress(PoolTimeout, OperationalError, sqlite3.OperationalError)
            with in_the_way, self._looker.connect() as connection, connection.begin():
                return work(connection, *args, **kwargs)
        return await self.read(work, *args, **kwargs)

    async def write(
        self,
        work: Callable[Concatenate[Connection, Given], Result],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Result:
        """Run `work(connection, …)` in one transaction, and return its result; raises Unavailable.

        The transaction commits at the end, and rolls back where `work` raises.
        """
        return await self._carry_out(self._writing, self._writer, lambda connection: work(connection, *args, **kwargs))

    def now(self) -> datetime:
        """Return the time by the database's clock, which every process that uses it shares."""
        return self._clock.now()

    async def check(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self.read(lambda connection: connection.execute(text("SELECT 1")))

    async def close(self) -> None:
        """Let what has begun come to its end, and close all connections."""
        for threads, engine in ((self._writing, self._writer), (self._reading, self._reader)):
            await asyncio.to_thread(threads.shutdown)
            engine.dispose()
        self._looker.dispose()

    async def _carry_out(self, threads: Threads, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        def transaction() -> Result:
            with engine.connect() as connection:
                if engine is self._reader:  # announces nothing
                    with connection.begin():
                        self._clock.follow(connection)
                        return work(connection)
                take_pending(connection)  # of a transaction that was rolled back
                with connection.begin():
                    self._clock.follow(connection)
                    result = work(connection)
                if self._listeners is not None and (topics := take_pending(connection)):
                    pipes.send(self._listeners, topics)
                return result

        try:
            return await threads.run(transaction)
        except _AWAY as error:
            if isinstance(getattr(error, "orig", None) or error, psycopg.errors.LockNotAvailable):
                raise RowsHeld(f"Somebody else held rows of the database for {LOCK_SECONDS} s.") from error
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            where = self.url.render_as_string(hide_password=True)
            raise Unavailable(f"The database {where} does not answer: {reason[0] if reason else error!r}") from error


def of_rows(
    function: Callable[Concatenate[Session, Given], Result],
) -> Callable[Concatenate[Connection, Given], Result]:
    """Let a function that reads or changes rows as objects be called with a connection, as all others are.

    Its session is its own: what it changed is written when it returns, in the caller's transaction.
    """

    @wraps(function)
    def on_connection(connection: Connection, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        with Session(connection, expire_on_commit=False) as session:
            result = function(session, *args, **kwargs)
            session.flush()
            return result

    return on_connection


@contextmanager
def one_trip(connection: Connection) -> Iterator[None]:
    """Send the statements inside to PostgreSQL together; for those whose results nobody reads.

    Errors come at the end, as the driver's own. On SQLite they are sent one by one.
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
# For what is read on the event loop's thread: who would have to wait does not.
_AT_ONCE: dict[str, Any] = {
    "pool_timeout": 0,
    "connect_args": _SQLITE["connect_args"] | {"timeout": 0},
}
# Its compiler of plans takes 30 ms for a list whose rows take 2 ms to read.
_OPTIONS = "-c timezone=UTC -c jit=off"
# A connection whose other end is gone without a word is given up after some 25 seconds, where the system would wait for
# a quarter of an hour, or two hours for an answer.
_CONNECT: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}
_POSTGRESQL: dict[str, Any] = {
    "max_overflow": 0,
    "pool_timeout": POOL_SECONDS,
    "connect_args": _CONNECT | {"options": _OPTIONS},
}
_WAITING = f"-c lock_timeout={LOCK_SECONDS}s -c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
_POSTGRESQL_WRITER = _POSTGRESQL | {"connect_args": _CONNECT | {"options": f"{_OPTIONS} {_WAITING}"}}
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
        connection.connection.cursor().execute(begin)
