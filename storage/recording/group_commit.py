"""Group commit: a disk flushes only so often per second, so items that wait at the same time share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from placet.errors import RowsHeld, Unavailable
from storage.database import Database

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
# Items in one transaction at most, so that the first of a long queue does not wait for all.
MOST_TOGETHER = 128
# Seconds after which a transaction counts as slow, and the items that wait begin another one beside it.
SLOW = 0.25


class GroupCommit(Generic[Item, Outcome]):
    """Collects items and writes them together. It does not wait for more items while the database is idle.

    Transactions follow each other. One that is slow, since somebody holds a row that it needs, does not hold up the
    other items: they go on beside it, in as many transactions as the database carries out at the same time.

    `work(connection, items, now)` writes the items and returns the outcome or an error of each item. Where
    the transaction itself fails, or waits too long for a row, each item is tried again in its own, so that one item
    cannot fail the others. Items with the same `key` never share a transaction, and keep their order.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Connection, Sequence[Item], datetime], Sequence[Outcome | Exception]],
        *,
        key: Callable[[Item], Hashable],
    ) -> None:
        self._database = database
        self._work = work
        self._key = key
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._underway: set[Hashable] = set()  # the keys of the items in transactions that go on
        self._writers: set[asyncio.Task[bool]] = set()
        self._newest: asyncio.Task[bool] | None = None  # the writer that others wait for, until it is slow

    async def submit(self, item: Item) -> Outcome:
        """Return the item's outcome once it is committed; raises the item's error."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._begin()
        return await done

    def _begin(self) -> None:
        """Begin a transaction with what waits, unless one goes on that is not slow."""
        most = self._database.writers
        if not self._waiting or self._newest is not None or len(self._writers) >= most:
            return
        writer = self._newest = asyncio.create_task(self._write())
        self._writers.add(writer)
        slow = asyncio.get_running_loop().call_later(SLOW, self._is_slow, writer) if most > 1 else None

        def ended(_: object) -> None:
            if slow is not None:
                slow.cancel()
            self._writers.discard(writer)
            if self._newest is writer:
                self._newest = None
            # Where it found nothing, what waits is for those that go on, and they will look again.
            if not writer.cancelled() and writer.result():
                self._begin()

        writer.add_done_callback(ended)

    def _is_slow(self, writer: asyncio.Task[bool]) -> None:
        if self._newest is writer:
            self._newest = None
            self._begin()

    async def _write(self) -> bool:
        """Write what waits in one transaction; return False where nothing can be written now."""
        group = self._next()
        if not group:
            return False
        keys = {self._key(item) for item, _ in group}
        self._underway |= keys
        try:
            await self._together(group)
        except asyncio.CancelledError:  # the loop is being closed
            for _, done in (*group, *self._waiting):
                done.cancel()
            raise
        except Exception as error:
            if len(group) == 1 or (isinstance(error, Unavailable) and not isinstance(error, RowsHeld)):
                for _, done in group:
                    _resolve(done, error)
            else:
                await asyncio.gather(*map(self._alone, group))
        finally:
            self._underway -= keys
        return True

    async def _alone(self, one: tuple[Item, asyncio.Future[Outcome]]) -> None:
        try:
            await self._together([one])
        except Exception as error:
            _resolve(one[1], error)

    async def _together(self, group: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        outcomes = await self._database.write(self._carry_out, [item for item, _ in group])
        for (_, done), outcome in zip(group, outcomes, strict=True):
            _resolve(done, outcome)

    def _carry_out(self, connection: Connection, items: Sequence[Item]) -> Sequence[Outcome | Exception]:
        # The time is taken inside the transaction, so that it includes the wait for other writers.
        return self._work(connection, items, self._database.now())

    def _next(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        group: list[tuple[Item, asyncio.Future[Outcome]]] = []
        later: list[tuple[Item, asyncio.Future[Outcome]]] = []
        seen = set(self._underway)
        for item, done in self._waiting:
            if done.cancelled():  # its activity was cancelled and will be retried
                continue
            key = self._key(item)
            if key in seen or len(group) >= MOST_TOGETHER:
                later.append((item, done))
            else:
                group.append((item, done))
            seen.add(key)
        self._waiting = later
        return group


def _resolve(done: asyncio.Future[Outcome], outcome: Outcome | Exception) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
