"""Repeats: a call whose key is on its way in this process waits for that, and then gets the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Repeats:
    """The keyed calls of this process that are on their way."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}  # with how many hold or await each

    @asynccontextmanager
    async def alone(self, principal: str, key: str) -> AsyncIterator[None]:
        """Let one call with this key through at a time."""
        mine = (principal, key)
        lock, count = self._locks.get(mine, (asyncio.Lock(), 0))
        self._locks[mine] = lock, count + 1
        try:
            async with lock:
                yield
        finally:
            lock, count = self._locks.pop(mine)
            if count > 1:
                self._locks[mine] = lock, count - 1
