"""Rate limits: of log-ins, counted in the database for all processes, and of decisions, counted in each process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter

from placet.errors import Busy
from placet.sentences import sentence
from storage.database import Database
from storage.queries.identity import rate_counts

_SEARCHES = "120/minute"  # as fast as somebody types names; for reading a directory letter by letter it is slow


class DatabaseStorage(Storage):
    """Keeps the counters of the library in Placet's database."""

    STORAGE_SCHEME = None  # made by name, not by a URL

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._database = database
        self._clock = clock

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What the library would wrap: nothing, since errors of the database have types of their own."""
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return the count of the window."""
        return await self._database.write(rate_counts.add, key, amount, timedelta(seconds=expiry), self._clock())

    async def get(self, key: str) -> int:
        """Return the count of the window."""
        found = await self._database.read(rate_counts.find, key, self._clock())
        return 0 if found is None else found[0]

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds since 1970."""
        found = await self._database.read(rate_counts.find, key, self._clock())
        return (self._clock() if found is None else found[1]).timestamp()

    async def check(self) -> bool:
        """Whether the database answers; raises Unavailable."""
        await self._database.check()
        return True

    async def reset(self) -> int | None:
        """Delete all counters."""
        return await self._database.write(rate_counts.clear)

    async def clear(self, key: str) -> None:
        """Delete one counter."""
        await self._database.write(rate_counts.clear, key)


class RateLimit:
    """So many of one thing in a window of time, for each name."""

    def __init__(self, what: str, rate: str, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._what = what
        self._rate: RateLimitItem = parse(rate)
        self._limiter = FixedWindowRateLimiter(storage)
        self._now = now

    async def require(self, name: str) -> None:
        """Raise Busy where the limit is used up; counts nothing."""
        if not await self._limiter.test(self._rate, self._what, name):
            raise await self._used_up(name)

    async def count(self, name: str) -> None:
        """Count one; raises Busy beyond the limit."""
        if not await self._limiter.hit(self._rate, self._what, name):
            raise await self._used_up(name)

    async def _used_up(self, name: str) -> Busy:
        stats = await self._limiter.get_window_stats(self._rate, self._what, name)
        seconds = max(1, math.ceil(stats.reset_time - self._now()))
        return Busy(
            sentence(
                "Too many {what} for now: the limit is {amount} in {get_expiry} seconds. Nothing has "
                "happened; try again in {seconds} seconds.",
                what=self._what,
                amount=self._rate.amount,
                get_expiry=self._rate.get_expiry(),
                seconds=seconds,
            ),
            retry_after=seconds,
        )


class RateLimits:
    """The rate limits of one process."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], *, login: str, login_person: str, decision: str
    ) -> None:
        shared = DatabaseStorage(database, clock)

        def seconds() -> float:
            return clock().timestamp()

        self.failed_logins = RateLimit("failed log-ins from this address", login, shared, seconds)
        self.unreadable_links = RateLimit("links from this address that Placet has not signed", login, shared, seconds)
        self.unsigned_calls = RateLimit("calls from this address that no chat has signed", login, shared, seconds)
        self.logins = RateLimit("log-ins of this person", login_person, shared, seconds)
        # A write for each decision would cost more than the limit is worth.
        self.decisions = RateLimit("decisions of this person", decision, MemoryStorage())
        self.people_searches = RateLimit("searches of people by this person", _SEARCHES, MemoryStorage())
