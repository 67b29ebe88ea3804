"""Confirmations: the store is told how far the engine's history goes, a moment after the callers have their answers.

Notifications leave once the store knows that history holds their cause. Who decides need not wait for that, and what is
confirmed within a moment shares a transaction. A confirmation that is lost with the process costs time alone: the
planning of notifications asks the engine about what is held for long.
"""

from __future__ import annotations

import asyncio
import logging

from placet.errors import Unavailable
from storage.database import Database
from storage.recording.group_commit import MOST_TOGETHER
from storage.recording.outbox import Confirmation, confirm_all

log = logging.getLogger(__name__)

GATHER = 0.1
"""Seconds for which the first confirmation waits for others."""


class Confirmations:
    """Writes the confirmations of one process together. It is used from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, Confirmation] = {}  # by request: the newest holds the others
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # one writes at a time, so that who flushes waits for what another has begun

    def note(self, confirmation: Confirmation) -> None:
        """Have a confirmation written soon."""
        known = self._waiting.get(confirmation.request_id)
        if known is None or known.seq < confirmation.seq:
            self._waiting[confirmation.request_id] = confirmation
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())

    async def flush(self) -> None:
        """Write at once what waits, and return once it is written."""
        async with self._turn:
            while self._waiting:
                some = [self._waiting.pop(one) for one in list(self._waiting)[:MOST_TOGETHER]]
                try:
                    await self._database.write(confirm_all, some)
                except Unavailable as error:
                    log.warning("%d confirmations are left to the planning of notifications: %s", len(some), error)

    async def close(self) -> None:
        """Write what waits and end; called before the database is closed, once nothing is noted any more."""
        await self.flush()
        if self._writing is not None:
            self._writing.cancel()  # it waits for more
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER)
            await self.flush()
