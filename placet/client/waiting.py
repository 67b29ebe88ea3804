"""How a caller waits for a request: by long polls of at most 55 seconds, and by another one where one was lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

from placet.client.retries import Attempts, Retries

LONGEST_POLL = 55
"""Seconds; the server waits no longer in one call."""
EARLY_PAUSE = 1.0
"""Seconds before the next poll where the server answered before the time was over, as it does when it stops."""


class Patience:
    """How long somebody goes on waiting: `timeout` seconds, None for ever."""

    def __init__(self, timeout: float | None, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._end = None if timeout is None else now() + max(0.0, timeout)
        self._asked_at = now()

    @property
    def left(self) -> float | None:
        """The seconds that are left; None for ever."""
        return None if self._end is None else max(0.0, self._end - self._now())

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self.left == 0.0

    def next(self) -> int:
        """Begin the next poll, and return how many seconds the server may wait."""
        self._asked_at = self._now()
        return LONGEST_POLL if self.left is None else min(LONGEST_POLL, math.ceil(self.left))

    def early(self, seconds: int) -> bool:
        """Whether a poll of so many seconds was answered before they were over."""
        return self._now() - self._asked_at < seconds - EARLY_PAUSE

    def attempts(self, retries: Retries) -> Attempts:
        """Return the attempts that are left to get an answer."""
        return Attempts(retries=retries, seconds=self.left, now=self._now)
