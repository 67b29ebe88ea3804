"""Retries: the pauses between attempts, and a circuit breaker for a channel that is down."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling pauses with jitter, so that messages that failed together are not retried together."""

    first: timedelta
    most: timedelta

    def after(self, attempts: int) -> timedelta:
        """Return the pause after so many attempts (1 or more): half to all of the doubled pause."""
        whole = min(self.most, self.first * (1 << min(attempts - 1, 20)))
        share = random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
        return whole * share


class CircuitBreaker:
    """Stops attempts on a channel that is down, and allows a single message from time to time as a test.

    Times are seconds of a monotonic clock.
    """

    def __init__(self, backoff: Backoff, *, failures: int = 0) -> None:
        """Begin closed, or after so many failures of somebody else with a test."""
        self._backoff = backoff
        self.failures = failures
        self.open_until: float | None = float("-inf") if failures >= FAILURES_IN_A_ROW else None

    def allows(self, now: float) -> int | None:
        """Return how many messages may be tried: 0 while it is open, 1 as a test, None for any number."""
        if self.open_until is None:
            return None
        return 1 if now >= self.open_until else 0

    def succeeded(self) -> None:
        """Note that the channel accepted a message, or refused one because of that message."""
        self.failures, self.open_until = 0, None

    def failed(self, now: float) -> None:
        """Note that the channel itself failed."""
        self.failures += 1
        if self.failures >= FAILURES_IN_A_ROW:
            wait = self._backoff.after(self.failures - FAILURES_IN_A_ROW + 1)
            self.open_until = now + wait.total_seconds()
