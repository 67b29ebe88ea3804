"""Confirmations of the API: written together, a moment after the answers, and no later than the process ends."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, select
from sqlmodel import col

from placet.errors import Unavailable
from service.engine import confirmations as module
from service.engine.confirmations import Confirmations
from storage.database import Database
from storage.recording.outbox import Confirmation, confirm_all
from storage.recording.record import write_all
from storage.tables.approvals import Outbox
from tests.integration.recordings import NOW, Story
from tests.waiting import until


def _status(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(col(Outbox.request_id), col(Outbox.status)))
    return {row.request_id: row.status for row in rows}


class Counted(Database):
    """A database that counts what is written, and is away for a while."""

    written = 0
    away = 0

    async def write(self, work, *args, **kwargs):  # type: ignore[no-untyped-def,override]  # as its parent's
        if work is confirm_all:
            self.written += 1
            if self.away:
                self.away -= 1
                raise Unavailable("The database does not answer.")
        return await super().write(work, *args, **kwargs)


async def _opened(database: Database, *requests: str) -> list[Confirmation]:
    """Record requests with a notification each, and return what confirms them."""
    recorded = [Story(request_id=request).open("bob").recording() for request in requests]
    await database.write(write_all, recorded, NOW)
    return [Confirmation(request_id=r.request_id, seq=r.seq, head=r.head) for r in recorded]


async def test_what_is_confirmed_within_a_moment_shares_a_transaction(database: Database) -> None:
    counted = Counted(str(database.url.render_as_string(hide_password=False)))
    noting = Confirmations(counted)
    for confirmation in await _opened(database, "r1", "r2", "r3"):
        noting.note(confirmation)

    async def all_ready() -> bool:
        return set((await database.read(_status)).values()) == {"ready"}

    await until(all_ready)
    assert counted.written == 1
    await counted.close()


async def test_the_newest_confirmation_of_a_request_is_written(database: Database) -> None:
    noting = Confirmations(database)
    (confirmation,) = await _opened(database, "r1")
    noting.note(confirmation)
    noting.note(Confirmation(request_id="r1", seq=confirmation.seq - 1, head="another"))
    await noting.flush()
    assert await database.read(_status) == {"r1": "ready"}


async def test_what_cannot_be_confirmed_is_left_to_the_planning_and_keeps_nothing_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER", 0.0)
    counted = Counted(str(database.url.render_as_string(hide_password=False)))
    counted.away = 1
    noting = Confirmations(counted)
    first, second = await _opened(database, "r1", "r2")
    noting.note(first)
    await noting.flush()
    noting.note(second)
    await noting.flush()
    assert await database.read(_status) == {"r1": "held", "r2": "ready"}
    await counted.close()


class Slow(Counted):
    """A database that goes on with writing when it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def write(self, work, *args, **kwargs):  # type: ignore[no-untyped-def,override]  # as its parent's
        if work is confirm_all:
            self.begun.set()
            await self.go_on.wait()
        return await super().write(work, *args, **kwargs)


async def test_who_flushes_waits_for_what_is_being_written(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER", 0.0)
    slow = Slow(str(database.url.render_as_string(hide_password=False)))
    noting = Confirmations(slow)
    (confirmation,) = await _opened(database, "r1")
    noting.note(confirmation)
    await slow.begun.wait()
    flushing = asyncio.create_task(noting.flush())
    await asyncio.sleep(0)
    assert not flushing.done()
    slow.go_on.set()
    await flushing
    assert await database.read(_status) == {"r1": "ready"}
    await noting.close()
    await slow.close()


async def test_nothing_is_written_any_more_once_it_is_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Counted(str(database.url.render_as_string(hide_password=False)))
    noting = Confirmations(own)
    (confirmation,) = await _opened(database, "r1")
    noting.note(confirmation)
    monkeypatch.setattr(module, "GATHER", 3600.0)  # nobody waits for more than is there
    await noting.close()
    assert await database.read(_status) == {"r1": "ready"}
    assert [task for task in asyncio.all_tasks() if "_write_soon" in repr(task.get_coro())] == []
    await own.close()
