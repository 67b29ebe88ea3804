"""Repeat a step on a queue: at once while there is more, and else when something is due or announced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.announcements.listener import Subscriptions

GATHER = 0.5  # seconds in which work gathers for the next step: a step costs much, and one more message in it little
BREATH = 0.02  # seconds between two full steps, in which what else this process does has its turn
SHORTEST_WAIT = 0.01  # seconds
SELDOM = 10.0  # seconds between two looks where announcements arrive; one may be lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a step found: whether it had work, whether it took as much as it may, and when something is due next."""

    worked: bool = False
    full: bool = False
    due: datetime | None = None


IDLE = Look()
Step = Callable[[], Awaitable[Look]]


async def repeat(
    step: Step,
    topic: str,
    subscriptions: Subscriptions,
    stopping: asyncio.Event,
    *,
    clock: Callable[[], datetime],
    poll: float,
    seldom: float = SELDOM,
    patience: float = 0,
) -> None:
    """Repeat a step until `stopping` is set; raises what the step raises.

    Without work, it waits until something is due or `topic` is announced, and then for `patience` seconds. It looks
    every `poll` seconds where announcements do not arrive, and every `seldom` seconds where they do. `clock` tells the
    time by which something is due.
    """
    with subscriptions.subscribe(topic) as announced:
        while not stopping.is_set():
            found = await step()
            if found.worked:
                await until_stopped(stopping, BREATH if found.full else GATHER)
                continue
            longest = max(poll, seldom) if subscriptions.connected else poll
            await first_of(
                stopping.wait(), announced.wait(), asyncio.sleep(_seconds_until(found.due, clock(), longest))
            )
            if announced.is_set():
                await until_stopped(stopping, patience)
                announced.clear()


async def together(stopping: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """Carry out several works that end once `stopping` is set. Where one fails, the others end in order first."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    stopping.set()
    await end_all(tasks)


async def end_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait for all of these to end by themselves, and raise the error of the first that failed."""
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error


async def until_stopped(stopping: asyncio.Event, seconds: float) -> None:
    """Wait so many seconds, but no longer than until `stopping` is set."""
    await first_of(stopping.wait(), asyncio.sleep(seconds))


async def first_of(*waits: Awaitable[object]) -> None:
    """Wait for one of these, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _seconds_until(due: datetime | None, now: datetime, longest: float) -> float:
    if due is None:
        return longest
    return min(longest, max(SHORTEST_WAIT, (due - now).total_seconds()))
