"""The store: the real SQL on SQLite in memory, whose transactions are lost or whose answers are, as a schedule says."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, create_engine, insert
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

import storage.tables.actions
import storage.tables.simulations  # noqa: F401 - all tables are known once their modules are loaded
from placet.errors import Unavailable
from storage.announcements.announce import take_pending
from storage.clock import SharedClock
from storage.queries.people import people
from storage.tables.approvals import DefinitionVersion
from tests.faults import scenario

Given = ParamSpec("Given")
Result = TypeVar("Result")

Fate = str
"""What becomes of a transaction: `done`, `failed` (nothing is stored) or `unanswered` (stored, and nobody knows)."""
Pause = Callable[[str, bool], Awaitable[Fate]]
"""Wait until the schedule lets a transaction go on: its name, and whether it writes."""
Rows = dict[str, list[tuple[Any, ...]]]
"""All rows by table, without the tables that no statement has ever written."""

_WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_STATEMENTS = 1_000  # that the driver keeps prepared; it has to prepare one anew that it does not keep


class Store:
    """The rows that all processes share."""

    def __init__(self) -> None:
        self._database = _database()
        self._raw = self._database.raw
        self.restored = 0  # how often another copy has taken the place of the rows
        self.commits = 0
        self.load({})

    def transaction(self, work: Callable[[Connection], Result], *, writes: bool = False) -> Result:
        """Carry out one transaction. One that reads needs none of SQLite's: nothing comes between its statements."""
        if not writes:
            return work(self._database.connection)
        cursor = self._database.cursor
        cursor.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._database.connection)
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")
        take_pending(self._database.connection)  # nobody listens for announcements
        self.commits += 1
        self._changed()
        return result

    def raw(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        """Return rows, beside everything else."""
        return self._database.cursor.execute(query, given).fetchall()

    def copy(self) -> Rows:
        """Return a copy of all rows."""
        database = self._database
        return {table: self._raw.execute(database.reads[table]).fetchall() for table in database.written}

    def load(self, rows: Rows) -> None:
        """Replace all rows by those of a copy; a table that it lacks is as it was at the beginning."""
        database = self._database
        self._raw.execute("BEGIN IMMEDIATE")
        for table in database.written:
            self._raw.execute(f"DELETE FROM {table}")
            if its := rows.get(table, database.first[table]):
                self._raw.executemany(database.puts[table], its)
        self._raw.execute("COMMIT")
        self.restored += 1
        self._changed()

    @cached_property
    def undelivered(self) -> bool:
        """Whether a notification has not left; asked again after each transaction that writes."""
        return bool(self.raw("SELECT 1 FROM outbox WHERE status IN ('held', 'ready') LIMIT 1"))

    def _changed(self) -> None:
        self.__dict__.pop("undelivered", None)


class ProcessDatabase:
    """The store as one process uses it, with the ways in of storage.database.Database."""

    dialect = "sqlite"
    writers = 1

    def __init__(self, store: Store, pause: Pause) -> None:
        self._store = store
        self._pause = pause
        self.now = SharedClock(self.dialect).now

    async def read(
        self, work: Callable[Concatenate[Connection, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Run `work` on the rows as they are once the schedule lets it; raises Unavailable."""
        await self._reach(work, writes=False)
        return self._store.transaction(lambda connection: work(connection, *args, **kwargs))

    look_up = read

    async def write(
        self, work: Callable[Concatenate[Connection, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Run `work` in a transaction once the schedule lets it; raises Unavailable, also where it is stored."""
        fate = await self._reach(work, writes=True)
        result = self._store.transaction(lambda connection: work(connection, *args, **kwargs), writes=True)
        if fate == "unanswered":
            raise Unavailable("The connection was cut before the answer came.")
        return result

    async def _reach(self, work: Callable[..., Any], *, writes: bool) -> Fate:
        name = getattr(work, "__qualname__", repr(work)).rpartition(".")[2]
        fate = await self._pause(name, writes)
        if fate == "failed":
            raise Unavailable("The database does not answer.")
        return fate


@dataclass(frozen=True, kw_only=True)
class _Database:
    """The one database of all schedules, which come one after the other: their statements stay prepared.

    Rows are replaced one by one: taking the place of the whole database would have every statement prepared anew.
    """

    connection: Connection  # whose transaction never ends for SQLAlchemy; `Store.transaction` has the real ones
    raw: sqlite3.Connection
    cursor: sqlite3.Cursor  # for what is read at once
    first: Rows  # of every table, as a schedule begins
    reads: dict[str, str]
    puts: dict[str, str]
    written: list[str]  # tables that a statement has written


@cache
def _database() -> _Database:
    given = {"isolation_level": None, "cached_statements": _STATEMENTS}
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=given)
    connection = engine.connect()
    connection.begin()
    for table in SQLModel.metadata.sorted_tables:
        connection.execute(CreateTable(table))
        # SQLite takes the first of two indexes that cost the same, and `create_all` has another order in each process.
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index))
    for person in scenario.people():
        people.put(connection, person)
    connection.execute(insert(DefinitionVersion), scenario.versions())
    raw: Any = connection.connection.driver_connection
    raw.execute("PRAGMA temp_store = MEMORY")
    reads, puts = {}, {}
    for _, table, kind, _, without_rowid, *_ in raw.execute("PRAGMA main.table_list").fetchall():
        if kind == "table" and not table.startswith("sqlite_"):
            names = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
            names += [] if without_rowid else ["rowid"]
            reads[table] = f"SELECT {', '.join(names)} FROM {table}"
            puts[table] = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    first = {table: raw.execute(query).fetchall() for table, query in reads.items()}
    written: list[str] = []

    def note(action: int, table: str | None, *_: Any) -> int:
        if action in _WRITES and table is not None and table in reads and table not in written:
            written.append(table)
        return sqlite3.SQLITE_OK

    raw.set_authorizer(note)
    return _Database(
        connection=connection, raw=raw, cursor=raw.cursor(), first=first, reads=reads, puts=puts, written=written
    )
