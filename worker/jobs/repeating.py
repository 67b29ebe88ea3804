"""What a process does again and again beside its work, until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def repeating(step: Callable[[], Awaitable[None]], *, seconds: float) -> AsyncIterator[None]:
    """Do a step at once and every so many seconds while the block runs; what fails is logged and tried again."""

    async def again() -> None:
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
