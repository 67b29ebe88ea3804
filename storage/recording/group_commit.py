"""Group commit: a disk flushes only so often per second, so items that wait at the same time share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from placet.errors import Unavailable
from storage.database import Database

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
# Items in one transaction at most, so that the first of a long queue does not wait for all.
MOST_TOGETHER = 128


class GroupCommit(Generic[Item, Outcome]):
    """Collects items and writes them together. It does not wait for more items while the database is idle.

    `work(connection, items, now)` writes the items and returns the outcome or an error of each item. Where
    the transaction itself fails, each item is tried again in its own, so that one item cannot fail the others.
    Items with the same `key` never share a transaction, and keep their order.
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
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Outcome:
        """Return the item's outcome once it is committed; raises the item's error."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await done

    async def _write(self) -> None:
        while self._waiting:
            group = self._next()
            try:
                await self._together(group)
            except asyncio.CancelledError:  # the loop is being closed
                for _, done in (*group, *self._waiting):
                    done.cancel()
                raise
            except Exception as error:
                if len(group) == 1 or isinstance(error, Unavailable):
                    for _, done in group:
                        _resolve(done, error)
                    continue
                for one in group:
                    await self._alone(one)

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
        return self._work(connection, items, datetime.now(UTC))

    def _next(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        group: list[tuple[Item, asyncio.Future[Outcome]]] = []
        later: list[tuple[Item, asyncio.Future[Outcome]]] = []
        seen: set[Hashable] = set()
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
