"""When to try again: a schedule for each message, and a breaker for a channel that is down."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling waits with jitter, so that what failed together does not come back together."""

    first: timedelta
    most: timedelta

    def after(self, attempts: int) -> timedelta:
        """Return how long to wait after so many attempts (1 or more): half to all of the doubled wait."""
        whole = min(self.most, self.first * (1 << min(attempts - 1, 20)))
        share = random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
        return whole * share


class CircuitBreaker:
    """Stop trying a channel that fails for reasons of its own, and let one message through now and then to see.

    Moments are seconds of a monotonic clock.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0
        self.open_until: float | None = None

    def allows(self, now: float) -> int | None:
        """Say how many messages may be tried: 0 while it is open, 1 to see whether it works again, None for any."""
        if self.open_until is None:
            return None
        return 1 if now >= self.open_until else 0

    def succeeded(self) -> None:
        """Note that the channel took a message, or refused one for the message's own sake."""
        self._failures, self.open_until = 0, None

    def failed(self, now: float) -> None:
        """Note that the channel itself failed."""
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            wait = self._backoff.after(self._failures - FAILURES_IN_A_ROW + 1)
            self.open_until = now + wait.total_seconds()
