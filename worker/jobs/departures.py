"""People who have left: the requests in which tasks wait for them are told, and move the tasks on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from storage.database import Database
from storage.queries.people import departures
from worker.jobs.repeating import repeating

Tell = Callable[[str], Awaitable[bool]]
"""Have a request read the directory again, by its id; False where there is no need, as it has ended in the engine."""

_LOOK_SECONDS = 1.0
_AT_ONCE = 16


@asynccontextmanager
async def looking_after_leavers(database: Database, tell: Tell) -> AsyncIterator[None]:
    """Tell the requests of everyone who leaves, while the block runs. Any number of processes may do it."""

    async def look() -> None:
        await look_after_leavers(database, tell, datetime.now(UTC))

    async with repeating(look, seconds=_LOOK_SECONDS):
        yield


async def look_after_leavers(database: Database, tell: Tell, now: datetime) -> None:
    """Tell the requests of everyone whose departure is due to be looked at."""
    for person in await database.read(departures.due, now):
        requests = await database.run(departures.take, person, now)
        if requests is None:
            continue
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(request_id: str, turn: asyncio.Semaphore = turn) -> bool:
            async with turn:
                return await tell(request_id)

        if not any(await asyncio.gather(*(one(request_id) for request_id in requests))):
            await database.run(departures.settle, person, now)
