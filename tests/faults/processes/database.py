"""The store: the real SQL on SQLite in memory, whose transactions are lost or whose answers are, as a schedule says."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from functools import cache, cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel

import storage.tables.actions
import storage.tables.simulations  # noqa: F401 - all tables are known once their modules are loaded
from placet.errors import Unavailable
from storage.queries.people import people
from tests.faults import scenario

Given = ParamSpec("Given")
Result = TypeVar("Result")

Fate = str
"""What becomes of a transaction: `done`, `failed` (nothing is stored) or `unanswered` (stored, and nobody knows)."""
Pause = Callable[[str, bool], Awaitable[Fate]]
"""Wait until the schedule lets a transaction go on: its name, and whether it writes."""


class Store:
    """The rows that all processes share."""

    def __init__(self) -> None:
        self.engine = _shared_engine()
        self._raw: sqlite3.Connection = self.engine.raw_connection().driver_connection  # type: ignore[assignment]
        self.restored = 0  # how often another copy has taken the place of the rows
        self.commits = 0
        self.load(_template())

    def transaction(self, work: Callable[[Connection], Result], *, writes: bool = False) -> Result:
        """Carry out one transaction."""
        with self.engine.begin() as connection:
            result = work(connection)
        if writes:
            self.commits += 1
            self._changed()
        return result

    def raw(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        """Return rows, beside everything else."""
        return self._raw.execute(query, given).fetchall()

    def copy(self) -> sqlite3.Connection:
        """Return a copy of all rows."""
        copied = sqlite3.connect(":memory:")
        self._raw.backup(copied)
        return copied

    def load(self, rows: sqlite3.Connection) -> None:
        """Replace all rows by those of a copy."""
        rows.backup(self._raw)
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


@cache
def _shared_engine() -> Engine:
    """Return the one connection of all schedules, which come one after the other: it has compiled their statements."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"isolation_level": None})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


@cache
def _template() -> sqlite3.Connection:
    """Return a copy with all tables, made once."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    SQLModel.metadata.create_all(engine)
    with engine.begin() as connection:
        for one in scenario.people():
            people.put(connection, one)
    raw: sqlite3.Connection = engine.raw_connection().driver_connection  # type: ignore[assignment]
    made = sqlite3.connect(":memory:")
    raw.backup(made)
    return made
