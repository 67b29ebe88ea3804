"""Distribution: what a number of draws say about a time that is not known yet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log

_TAIL = 10  # of the longest draws, one in so many says how far beyond them it may come


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A distribution over times from 0 on, from ascending draws: linear between them, exponential beyond the last.

    It has no end, so that whatever happens has a rank below 1, and each rank below 1 has a time.
    """

    draws: tuple[float, ...]
    tail: float

    @classmethod
    def of(cls, draws: Iterable[float]) -> Distribution:
        """Make one of draws; raises ValueError where there are none."""
        ordered = tuple(sorted(max(one, 0.0) for one in draws))
        if not ordered:
            raise ValueError("a distribution needs draws")
        longest = ordered[-max(len(ordered) // _TAIL, 1) :]
        excess = sum(longest) / len(longest) - longest[0]
        return cls(draws=ordered, tail=max(excess, ordered[-1] / len(ordered), 1.0))

    def rank(self, time: float) -> float:
        """Return the share of what may come that ends by this time."""
        if time <= 0:
            return 0.0
        count, at = len(self.draws), bisect_right(self.draws, time)
        if at == count:
            return 1 - exp(-(time - self.draws[-1]) / self.tail) / (count + 1)
        low = self.draws[at - 1] if at else 0.0
        return (at + (time - low) / (self.draws[at] - low)) / (count + 1)

    def time(self, rank: float) -> float:
        """Return the time by which this share has ended; `rank` lies from 0 to below 1."""
        count = len(self.draws)
        place = rank * (count + 1)
        at = int(place)
        if at >= count:
            return self.draws[-1] - self.tail * log((1 - rank) * (count + 1)) if rank < 1 else float("inf")
        low = self.draws[at - 1] if at else 0.0
        return low + (place - at) * (self.draws[at] - low)
