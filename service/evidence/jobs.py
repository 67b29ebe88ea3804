"""The packs that this process makes, one at a time, each in a file on disk that then goes to the store of files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import Any, Final

import structlog

from placet.errors import PlacetError, Unavailable
from service.attachments.store import FileStore
from service.evidence.building import Made, Order, build
from service.receipts import signing_key
from storage.database import Database
from storage.queries.evidence import packs

FOLDER: Final = "evidence-packs"
"""The folder in the store of files."""
HELD: Final = timedelta(minutes=2)  # a pack whose process has not renewed its lease for so long has failed
_EVERY = 20.0  # seconds between renewals of the lease
_ENDED = "The process that made it has ended; order it again."
_log = structlog.get_logger(__name__)


class EvidenceJobs:
    """Makes packs in the background; the file of each is kept for `days`."""

    def __init__(
        self, database: Database, files: FileStore, secret: str, *, days: int, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._files = files
        self._secret = secret
        self._kept = timedelta(days=days)
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(1)

    async def watch(self) -> None:
        """Renew leases, fail the packs of dead processes, and delete files that have expired, until cancelled."""
        try:
            while True:
                with suppress(Unavailable):
                    await self.look()
                await asyncio.sleep(_EVERY)
        finally:
            for task in (left := list(self._running.values())):
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def look(self) -> None:
        """Do once what `watch` repeats."""
        now = self._clock()
        if self._running:
            await self._database.write(packs.hold, list(self._running), until=now + HELD)
        for left in await self._database.read(packs.abandoned, now):
            await self._database.write(packs.finish, left, {"status": "failed", "finished_at": now, "error": _ENDED})
        for old in await self._database.read(packs.expired, now):
            await self._files.delete(FOLDER, old)
            await self._database.write(packs.expire, old)

    def start(self, pack_id: str, order: Order, *, by: str) -> None:
        """Make a pack in the background."""
        self._running[pack_id] = asyncio.create_task(self._run(pack_id, order, by))

    async def ended(self, pack_id: str) -> None:
        """Wait until a pack that this process makes has ended."""
        task = self._running.get(pack_id)
        if task is not None:
            await asyncio.wait([task])

    async def _run(self, pack_id: str, order: Order, by: str) -> None:
        made: Made | None = None
        error: str | None = None
        try:
            async with self._turn:
                made = await self._make(pack_id, order, by)
        except asyncio.CancelledError:
            error = _ENDED
        except PlacetError as fault:
            error = fault.message
        except Exception as fault:  # any error ends the pack, whose row says so
            _log.exception("evidence_pack_failed", pack=pack_id)
            error = f"{type(fault).__name__}: {fault}"[:1000]
        try:
            now = self._clock()
            result: dict[str, Any] = {"status": "failed", "error": error}
            if made is not None:
                result = {"status": "ready", "expires_at": now + self._kept, **asdict(made)}
            await self._database.write(packs.finish, pack_id, {**result, "finished_at": now})
        finally:
            del self._running[pack_id]

    async def _make(self, pack_id: str, order: Order, by: str) -> Made:
        now = self._clock()
        key = await signing_key(self._database, self._secret, now)
        with TemporaryFile() as file:
            made = await build(self._database, self._files, key, order, file, by=by, now=now)
            file.seek(0)
            await self._files.put(FOLDER, pack_id, file)
        return made
