"""The results of attempts: stored together, soon after the first, and again until the database has them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import TracebackType

from placet.errors import Unavailable
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.recording.group_commit import GroupCommit

log = logging.getLogger(__name__)

# Seconds for which the first result waits for others. A worker that is killed meanwhile sends its messages again.
TOGETHER = 0.1
DATABASE_AGAIN = 0.5  # seconds


class Results:
    """Collects the results of one batch. Use `async with`: at its end all of them are stored."""

    def __init__(self, commits: GroupCommit[AttemptResult, None]) -> None:
        self._commits = commits
        self._waiting: list[AttemptResult] = []
        self._group = asyncio.TaskGroup()
        self._all_there = asyncio.Event()
        self._storing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Results:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._all_there.set()
        await self._group.__aexit__(kind, error, traceback)

    def add(self, result: AttemptResult) -> None:
        """Have a result stored."""
        self._waiting.append(result)
        if self._storing is None:
            self._storing = self._group.create_task(self._store())

    async def _store(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_there.wait(), TOGETHER)
        together, self._waiting, self._storing = self._waiting, [], None
        await asyncio.gather(*(self._submit(result) for result in together))

    async def _submit(self, result: AttemptResult) -> None:
        """Wait for the database if necessary, so that no sent message is sent again."""
        while True:
            try:
                await self._commits.submit(result)
            except Unavailable as error:
                log.warning(
                    "%s is %s, which will be stored once the database answers: %s", result.key, result.status, error
                )
                await asyncio.sleep(DATABASE_AGAIN)
            else:
                return
