"""The event logs that this process reads, in the background: each is read in the pool, and its cases then stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import structlog

from insight.event_logs import importing
from insight.event_logs.cases import Part
from insight.event_logs.importing import Assembled
from placet.errors import PlacetError, Unavailable
from placet.sentences import sentences_in
from service.event_logs.stored import moment_of
from service.pool.pool import ProcessPool
from storage.database import Database
from storage.queries import event_logs

HELD: Final = timedelta(minutes=2)  # a log whose process has not renewed its lease for so long has failed
SECONDS: Final = 600  # of processor time for one log
_EVERY = 20.0  # seconds between renewals of the lease
_AT_ONCE = 20  # parts that one transaction stores
_ENDED = "The process that read it has ended; import it again."
_log = structlog.get_logger(__name__)


class EventLogJobs:
    """Reads logs in the background."""

    def __init__(self, database: Database, pool: ProcessPool, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._pool = pool
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}

    async def watch(self) -> None:
        """Renew leases, and fail the logs of processes that have ended, until cancelled."""
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
            await self._database.write(event_logs.hold, list(self._running), until=now + HELD)
        for left in await self._database.read(event_logs.abandoned, now):
            await self._database.write(
                event_logs.finish, left, {"status": "failed", "finished_at": now, "error": _ENDED}
            )

    def start(self, log_id: str, folder: TemporaryDirectory[str], file: Path, mapped: dict[str, Any]) -> None:
        """Read a log in the background; the folder, which holds its file, is removed afterwards."""
        self._running[log_id] = asyncio.create_task(self._run(log_id, folder, file, mapped))

    async def ended(self, log_id: str, *, patience: float) -> None:
        """Wait until a log that this process reads has ended, at most so many seconds."""
        task = self._running.get(log_id)
        if task is not None:
            await asyncio.wait([task], timeout=patience)

    async def _run(self, log_id: str, folder: TemporaryDirectory[str], file: Path, mapped: dict[str, Any]) -> None:
        result: dict[str, Any] = {"status": "failed", "error": _ENDED}
        try:
            to = file.parent / "parts"
            assembled = await self._pool.run(
                importing.assemble, str(file), mapped, str(to), seconds=SECONDS, background=True
            )
            await store_parts(self._database, log_id, to)
            result = completed(assembled)
        except PlacetError as fault:
            result |= {"error": fault.message, "words": sentences_in([fault.message])}
        except Exception as fault:  # any error ends the reading, and the row says so
            _log.exception("event_log_failed", event_log=log_id)
            result["error"] = f"{type(fault).__name__}: {fault}"[:1000]
        finally:
            try:
                await self._database.write(event_logs.finish, log_id, {**result, "finished_at": self._clock()})
            finally:
                del self._running[log_id]
                await asyncio.to_thread(folder.cleanup)


async def store_parts(database: Database, log_id: str, file: Path) -> None:
    """Store the parts that a log was assembled into, some in each transaction."""
    parts = importing.parts_in(file)
    first = 0
    while batch := await asyncio.to_thread(_next, parts):
        await database.write(event_logs.add_parts, log_id, first, batch)
        first += len(batch)


def completed(assembled: Assembled) -> dict[str, Any]:
    """Return the values of a row whose log was read."""
    return {
        "status": "completed",
        "cases": assembled.cases,
        "events": assembled.events,
        "people": assembled.people,
        "activities": len(assembled.seen),
        "seen": {activity: list(counts) for activity, counts in assembled.seen.items()},
        "columns": list(assembled.columns),
        "stages": assembled.stages,
        "warnings": [str(warning) for warning in assembled.warnings],
        "words": sentences_in(assembled.warnings),
        "began": moment_of(assembled.began),
        "ended": moment_of(assembled.ended),
    }


def _next(parts: Iterator[Part]) -> list[Part]:
    return list(islice(parts, _AT_ONCE))
