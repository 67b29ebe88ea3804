"""Calibration: split conformal prediction on the ranks that later requests had in what was forecast for them.

A forecast is a distribution, and what then happened has a rank in it: 0.5 where it was the median. If forecasts were
right, ranks would be even. Whatever they are, those of later requests say what a rank is worth: of exchangeable
requests, the next one's rank lies with the stated coverage between two of theirs (Vovk and others, 2005).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil, floor

_CHANCE = 2.0  # standard errors that a distance from one half may be by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The ascending ranks of what happened to later requests, and the rank that the next one is as likely below."""

    ranks: tuple[float, ...]
    middle: float

    @classmethod
    def of(cls, requests: Iterable[Sequence[float]]) -> Calibration:
        """Make one of ranks from 0 to 1, those of each request together."""
        by_request = [tuple(ranks) for ranks in requests]
        ranks = tuple(sorted(chain.from_iterable(by_request)))
        return cls(ranks=ranks, middle=_middle(by_request, ranks))

    def bounds(self, coverage: float) -> tuple[float, float]:
        """Return two ranks between which the next one lies with at least this chance.

        They are 0 and 1 where there are too few to say more.
        """
        count = len(self.ranks)
        outside = (1 - coverage) / 2
        low = floor((count + 1) * outside + 1e-9)
        high = ceil((count + 1) * (1 - outside) - 1e-9)
        return self.ranks[low - 1] if low else 0.0, self.ranks[high - 1] if high <= count else 1.0

    def chance_below(self, rank: float) -> float:
        """Return the chance that the next rank is at most this one: the middle of what conformal prediction leaves."""
        first, last = bisect_left(self.ranks, rank), bisect_right(self.ranks, rank)
        return ((first + last) / 2 + 0.5) / (len(self.ranks) + 1)


def _middle(by_request: Sequence[Sequence[float]], ranks: Sequence[float]) -> float:
    """Return the median of ranks, moved back to one half as far as its distance from there may be chance.

    Several ranks of one request say little more than one does, so what chance does is told from whole requests: how
    far apart the numbers of ranks on both sides of one half may be, if each request were as likely on either. Nothing
    is left of a distance within _CHANCE standard errors, and nearly all of one of many. It is the positive part of an
    estimate by James and Stein (1961), which takes less back.
    """
    count = len(ranks)
    if not count:
        return 0.5
    median = (ranks[(count - 1) // 2] + ranks[count // 2]) / 2
    sides = [sum((rank < 0.5) - (rank > 0.5) for rank in some) for some in by_request]
    apart = sum(sides)
    return 0.5 + (median - 0.5) * max(0.0, 1 - _CHANCE**2 * sum(side**2 for side in sides) / apart**2) if apart else 0.5


def brier(chances: Sequence[float], happened: Sequence[bool]) -> float:
    """Return the mean squared difference between chances and what happened: 0 is best, 0.25 is always saying 0.5."""
    if not chances:
        raise ValueError("a Brier score needs a forecast")
    return sum((chance - came) ** 2 for chance, came in zip(chances, happened, strict=True)) / len(chances)
