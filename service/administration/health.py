"""Whether this installation is up: the engine, the database, and a worker that takes tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from temporalio.client import Client

from placet.errors import PlacetError, Unavailable
from placet.sentences import sentence
from service.context import Context
from service.engine import client as engine
from storage.database import Database
from storage.queries import presence

# How old an answer may be, in seconds: health is asked often, and by many.
_FRESH = 2.0
# The same where a part was down: who starts or mends something asks until it is up.
_FRESH_DOWN = 0.25
_DEADLINE = 3.0
# A worker that has not noted for so long that it is there has been killed, or is cut off; it does every three seconds.
_PRESENT = 10.0

_log = structlog.get_logger(__name__)


class Health:
    """Look at every part, at most once in two seconds while all are up."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()
        self._until = float("-inf")
        self._checks: dict[str, str] = {}

    async def checks(self) -> dict[str, str]:
        """Return `{part: state}` with the states `ok` and `down`."""
        async with self._turn:
            if time.monotonic() > self._until:
                found = await asyncio.gather(
                    _check(self._engine), _check(self._context.database.check), _check(self._worker)
                )
                self._checks = dict(zip(("engine", "database", "worker"), found, strict=True))
                up = all(check == "ok" for check in found)
                self._until = time.monotonic() + (_FRESH if up else _FRESH_DOWN)
            return self._checks

    async def _engine(self) -> None:
        await engine.reach(self._context.client)

    async def _worker(self) -> None:
        queue = self._context.task_queue
        if not await workers(self._context.database, self._context.client, queue, self._context.now()):
            raise Unavailable(sentence("no running worker polls the task queue {queue!r}", queue=queue))


async def workers(database: Database, client: Client, task_queue: str, now: datetime) -> set[str]:
    """Return the identities of the workers that are there by the database's word and work by the engine's."""
    noted = await database.read(presence.seen, task_queue, within=_PRESENT)
    return noted & await engine.pollers(client, task_queue, now)


async def _check(look: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(_DEADLINE):
            await look()
    except (TimeoutError, PlacetError) as error:
        # Where and why is for the log: whoever asks needs no token.
        _log.warning("not_ready", part=look.__qualname__, reason=str(error) or repr(error))
        return "down"
    return "ok"
