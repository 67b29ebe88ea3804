"""Wake-ups: how a queue of notifications learns that something was put into it, so that it need not look all the time.

A wake-up saves time and carries nothing: who misses one finds the same at the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Protocol

CONFIRMING, PLANNING, WEBHOOKS = "confirming", "planning", "webhook"
"""The queues beside the channels: what history has to confirm, what has no channel yet, and what endpoints are sent."""


class Wakeups(Protocol):
    """Wakes those who wait for a queue: `confirming`, `planning`, or the name of a channel."""

    def wake(self, *queues: str) -> None:
        """Have whoever waits for these queues look at them; one that looks just now looks once more."""
        ...

    async def wait(self, queue: str, seconds: float) -> None:
        """Return once the queue is woken, or was since the last wait, and after so many seconds at the latest."""
        ...


class LocalWakeups:
    """Wake-ups within one event loop. What other processes do is found at the next look."""

    def __init__(self) -> None:
        self._woken: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, *queues: str) -> None:
        """Wake the queues of this process."""
        for queue in queues:
            self._woken[queue].set()

    async def wait(self, queue: str, seconds: float) -> None:
        """Wait for a wake-up of this process."""
        woken = self._woken[queue]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), seconds)
        woken.clear()
