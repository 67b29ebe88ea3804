"""What is kept for a time only: a worker deletes the rest, every hour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.retention.retention import BATCH, forget_calls, forget_refusals
from worker.jobs.repeating import repeating
from worker.settings import Settings

_EVERY_SECONDS = 3600.0


@asynccontextmanager
async def forgetting(database: Database, settings: Settings) -> AsyncIterator[None]:
    """Delete what is older than the settings say, while the block runs. Any number of processes may do it."""

    async def forget() -> None:
        await forget_what_is_old(database, settings, datetime.now(UTC))

    async with repeating(forget, seconds=_EVERY_SECONDS):
        yield


async def forget_what_is_old(database: Database, settings: Settings, now: datetime) -> None:
    """Delete batch by batch until nothing is left that is too old."""
    for delete, days in ((forget_calls, settings.answers_days), (forget_refusals, settings.refusals_days)):
        while await database.run(delete, now - timedelta(days=days)) == BATCH:
            pass
