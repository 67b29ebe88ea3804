"""A worker's presence: noted in the database while it runs, so that health tells soon when it was killed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from placet.errors import Unavailable
from storage.database import Database
from storage.queries import presence
from worker.jobs.repeating import repeating

NOTED_SECONDS = 3.0


@asynccontextmanager
async def present(database: Database, client: Client, task_queue: str) -> AsyncIterator[None]:
    """Note every few seconds that this worker is there, while the block runs; at its end, that it is gone."""

    async def note() -> None:
        await database.run(presence.note, client.identity, task_queue)

    try:
        async with repeating(note, seconds=NOTED_SECONDS):
            yield
    finally:
        with contextlib.suppress(Unavailable):
            await database.run(presence.remove, client.identity)
