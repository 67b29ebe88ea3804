"""Two ways into a transaction: what they promise to whoever waits, is cancelled, or meets a slow neighbour."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from placet.errors import Unavailable
from storage import database as module
from storage.database import Database
from storage.tables.approvals import ApiToken
from tests.integration.recordings import NOW


def _note(connection: Connection, name: str) -> None:
    connection.execute(insert(ApiToken).values(digest=name, person="ann", created_at=NOW))


def _noted(connection: Connection) -> set[str]:
    return set(connection.scalars(select(col(ApiToken.digest))))


class Gate:
    """Work on a thread that has begun, and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def note(self, connection: Connection, name: str) -> None:
        """Write, with everybody else waiting."""
        _note(connection, name)
        self.begun.set()
        self.go_on.wait(60)

    def look(self, connection: Connection) -> int:
        """Read before and after: a snapshot says the same both times."""
        before = connection.scalar(select(func.count()).select_from(ApiToken)) or 0
        self.begun.set()
        self.go_on.wait(60)
        assert connection.scalar(select(func.count()).select_from(ApiToken)) == before
        return before


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Return as many gates as there are threads of any kind; all are open at the end."""
    made = [Gate() for _ in range(max(module.WRITERS, module.READERS))]
    yield made
    for gate in made:
        gate.go_on.set()


def _writers(database: Database) -> int:
    return 1 if database.dialect == "sqlite" else module.WRITERS


async def _begun(gates: list[Gate]) -> None:
    for gate in gates:
        assert await asyncio.to_thread(gate.begun.wait, 60)


async def test_a_write_is_whole_or_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        _note(connection, "a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(fail)
    await database.write(_note, "b")
    assert await database.read(_noted) == {"b"}


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, Unavailable), match=r"read-?only"):
        await database.read(_note, "a")
    assert await database.read(_noted) == set()


async def test_a_read_sees_one_snapshot_while_others_write(database: Database, gates: list[Gate]) -> None:
    looking = asyncio.create_task(database.read(gates[0].look))
    await _begun(gates[:1])
    await database.write(_note, "a")
    gates[0].go_on.set()
    assert await looking == 0
    assert await database.read(_noted) == {"a"}


async def test_who_is_cancelled_while_waiting_for_a_turn_has_done_nothing(
    database: Database, gates: list[Gate]
) -> None:
    busy = gates[: _writers(database)]
    running = [asyncio.create_task(database.write(gate.note, f"busy {n}")) for n, gate in enumerate(busy)]
    await _begun(busy)
    waiting = asyncio.create_task(database.write(_note, "cancelled"))
    following = asyncio.create_task(database.write(_note, "following"))
    await asyncio.sleep(0)  # both wait in the queue
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for gate in busy:
        gate.go_on.set()
    await asyncio.gather(*running, following)
    assert await database.read(_noted) == {*(f"busy {n}" for n in range(len(busy))), "following"}


async def test_who_is_cancelled_while_the_work_runs_leaves_neither_a_turn_nor_a_connection_taken(
    database: Database, gates: list[Gate]
) -> None:
    busy = gates[: _writers(database)]
    for gate, name in zip(busy, "abcdefgh", strict=False):
        running = asyncio.create_task(database.write(gate.note, name))
        await _begun([gate])
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    # Every thread still works on what nobody waits for: the next one comes after it, and does not meet it.
    following = asyncio.create_task(database.write(_note, "following"))
    for gate in busy:
        gate.go_on.set()
    await following
    for number in range(2 * len(busy)):
        await database.write(_note, f"later {number}")
    await asyncio.to_thread(database._writing.shutdown)
    assert {*"abcdefgh"[: len(busy)], "following"} <= await database.read(_noted)
    assert database._writer.pool.checkedout() == 0


async def test_slow_reads_keep_neither_writes_nor_other_reads_waiting(database: Database, gates: list[Gate]) -> None:
    slow = gates[: module.READERS - 1]
    looking = [asyncio.create_task(database.read(gate.look)) for gate in slow]
    await _begun(slow)
    await database.write(_note, "a")
    assert await database.read(_noted) == {"a"}
    for gate in slow:
        gate.go_on.set()
    assert await asyncio.gather(*looking) == [0] * len(slow)


async def test_reads_that_are_cancelled_give_their_connections_back(database: Database, gates: list[Gate]) -> None:
    all_ = gates[: module.READERS]
    looking = [asyncio.create_task(database.read(gate.look)) for gate in all_]
    await _begun(all_)
    for task in looking:
        task.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    for gate in all_:
        gate.go_on.set()
    for _ in range(2 * len(all_)):
        assert await database.read(_noted) == set()
    await asyncio.to_thread(database._reading.shutdown)
    assert database._reader.pool.checkedout() == 0


async def test_few_rows_are_looked_up_in_a_snapshot_that_cannot_write(database: Database) -> None:
    await database.write(_note, "a")
    assert await database.look_up(_noted) == {"a"}
    with pytest.raises((DBAPIError, Unavailable)):
        await database.look_up(_note, "b")
    assert await database.look_up(_noted) == {"a"}


async def test_on_sqlite_a_look_up_takes_no_thread_unless_somebody_is_in_the_way(database: Database) -> None:
    threads = []

    def look(connection: Connection, *, blocked: bool) -> set[str]:
        threads.append(threading.current_thread() is threading.main_thread())
        if blocked and threads[-1]:
            raise sqlite3.OperationalError("database is locked")
        return _noted(connection)

    own = database.dialect == "sqlite"
    await database.look_up(look, blocked=False)
    assert threads == [own]
    threads.clear()
    await database.look_up(look, blocked=True)
    assert threads == ([True, False] if own else [False])
