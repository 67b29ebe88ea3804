"""The jobs that a worker process repeats.

It notes its presence, follows up on departures, watches what SLAs measure and how canaries fare, lets the transparency
log grow, and deletes what is old.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from temporalio.client import Client

from placet.errors import Unavailable
from service.administration.people import Tell, tell_departures
from service.attachments.store import FileStore
from service.canaries.monitoring import CanaryMonitor
from service.erasure.erasing import Eraser
from service.retention.running import delete_old_rows, erase_old_contents
from service.slas.monitoring import SlaMonitor
from service.transparency.attesting import attest
from service.transparency.growth import grow
from storage.database import Database
from storage.queries import presence
from worker.settings import Settings

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def repeating(step: Callable[[], Awaitable[None]], *, seconds: float, first: float = 0) -> AsyncIterator[None]:
    """Run a step after `first` seconds and then every so many while the block runs. Errors are logged, and retried."""

    async def again() -> None:
        await asyncio.sleep(first)
        while True:
            try:
                await step()
            except Exception as error:
                _log.warning("will_try_again", step=step.__qualname__, seconds=seconds, reason=str(error))
            await asyncio.sleep(seconds)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


NOTED_SECONDS = 3.0


@asynccontextmanager
async def presence_job(database: Database, client: Client, task_queue: str) -> AsyncIterator[None]:
    """Store every few seconds that this worker runs, while the block runs; at its end, that it has ended."""

    async def note() -> None:
        await database.write(presence.note, client.identity, task_queue)

    try:
        async with repeating(note, seconds=NOTED_SECONDS):
            yield
    finally:
        with contextlib.suppress(Unavailable):
            await database.write(presence.remove, client.identity)


_LOOK_SECONDS = 1.0


@asynccontextmanager
async def departure_job(database: Database, tell: Tell) -> AsyncIterator[None]:
    """Inform the requests of people who leave, while the block runs. Any number of processes may do this."""

    async def look() -> None:
        await tell_departures(database, tell, database.now())

    async with repeating(look, seconds=_LOOK_SECONDS):
        yield


_SLA_SECONDS = 2.0


@asynccontextmanager
async def sla_job(database: Database, settings: Settings) -> AsyncIterator[None]:
    """Judge what SLAs measure, while the block runs. Any number of processes may do this."""
    monitor = SlaMonitor(database, again=timedelta(hours=settings.sla_again_hours))

    async def look() -> None:
        await monitor.look(database.now())

    async with repeating(look, seconds=_SLA_SECONDS):
        yield


_CANARY_SECONDS = 5.0


@asynccontextmanager
async def canary_job(database: Database) -> AsyncIterator[None]:
    """Compare the versions of canaries, and revert what does harm, while the block runs, in any number of processes."""
    monitor = CanaryMonitor(database)

    async def look() -> None:
        await monitor.look(database.now())

    async with repeating(look, seconds=_CANARY_SECONDS):
        yield


@asynccontextmanager
async def log_job(database: Database, settings: Settings) -> AsyncIterator[None]:
    """Let the transparency log grow, and have others sign it, while the block runs, in any number of processes.

    Not at once: what a worker that was killed has left behind is told again first.
    """
    secret, attesters = settings.secret(), settings.attesters

    async def step() -> None:
        await grow(database, secret, database.now(), origin=settings.log_origin)
        await attest(database, attesters, database.now)

    async with repeating(step, seconds=settings.log_seconds, first=settings.log_seconds):
        yield


_EVERY_SECONDS = 3600.0


@asynccontextmanager
async def retention_job(database: Database, settings: Settings, client: Client, rehearsals: str) -> AsyncIterator[None]:
    """Delete what is older than it is kept, and go on with erasures of people, while the block runs.

    Any number of processes may do this. `rehearsals` is the engine's namespace for rehearsals.
    """
    files = FileStore(settings.attachments)
    eraser = Eraser(
        database=database, files=files, client=client, rehearsals=rehearsals, home=settings.home, clock=database.now
    )

    async def forget() -> None:
        now = database.now()
        await delete_old_rows(database, settings.periods, now)
        await erase_old_contents(database, files, settings.periods, now)

    async with (
        repeating(forget, seconds=_EVERY_SECONDS),
        repeating(eraser.look, seconds=_EVERY_SECONDS),
    ):
        yield
