"""People who have left: the requests in which tasks wait for them are told, and move the tasks on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service.administration.people import Tell, tell_departures
from storage.database import Database
from worker.jobs.repeating import repeating

_LOOK_SECONDS = 1.0


@asynccontextmanager
async def looking_after_leavers(database: Database, tell: Tell) -> AsyncIterator[None]:
    """Tell the requests of everyone who leaves, while the block runs. Any number of processes may do it."""

    async def look() -> None:
        await tell_departures(database, tell, datetime.now(UTC))

    async with repeating(look, seconds=_LOOK_SECONDS):
        yield
