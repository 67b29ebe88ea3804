"""When a call that got no answer, or "not now", is sent again: with growing pauses, and always with the same key."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from placet.client.errors import Busy, ClientError, Unavailable, Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How long a call is repeated: `seconds` from its first attempt on, 0 for never; pauses double up to the longest.

    What the server says in `Retry-After` counts where it is longer.
    """

    seconds: float = 60.0
    first_pause: float = 0.5
    longest_pause: float = 10.0


@dataclass(slots=True)
class Attempts:
    """The attempts of one call."""

    retries: Retries
    seconds: float | None  # for how long to go on; None for ever
    now: Callable[[], float] = monotonic
    _made: int = 0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.now()

    def pause_after(self, error: ClientError) -> float:
        """Return after how many seconds to try again; raises the error where there shall be no more attempts."""
        if not isinstance(error, Unreachable | Busy | Unavailable):
            raise error
        doubled = min(self.retries.longest_pause, self.retries.first_pause * 2 ** min(self._made, 16))
        # Callers that failed together come back at different times.
        pause: float = doubled * random.uniform(0.5, 1.0)  # noqa: S311 - nothing depends on its being secret
        if isinstance(error, Busy | Unavailable) and error.retry_after is not None:
            pause = max(pause, error.retry_after)
        self._made += 1
        if self.seconds is not None and self.now() - self._began + pause > self.seconds:
            raise error
        return pause
