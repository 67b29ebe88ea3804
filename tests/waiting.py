"""Waiting without sleeping for luck: ask again until it holds, and fail loudly at a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

# What holds at last holds at once on a quiet machine; this is for one that has much else to do, and costs nothing.
PATIENCE = 120.0  # seconds


async def until(
    question: Callable[[], Awaitable[T]], *, seconds: float = PATIENCE, what: str = "what was waited for"
) -> T:
    """Ask until the answer is truthy, and return it; AssertionError after `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        answer = await question()
        if answer:
            return answer
        assert loop.time() < end, f"{what} did not happen within {seconds:.0f} seconds"
        await asyncio.sleep(0.02)


def poll(question: Callable[[], T], *, seconds: float = PATIENCE, what: str = "what was waited for") -> T:
    """Ask until the answer is truthy, where no event loop runs; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds:.0f} seconds"
        time.sleep(0.05)
    return answer
