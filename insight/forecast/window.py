"""The end of an SLO's window: what share will have kept its target then, and how likely that is less than promised.

Three things make it: the executions that are in the window already and still will be, those that are open, each with
its own chances, and those that are still to begin. How many these are and how many of them miss is not known, so both
are drawn from what the past leaves open, and not from its averages alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal, NamedTuple

from insight.forecast.forecaster import COVERAGE, TOO_FEW

LEAST_EXECUTIONS: Final = 30
"""Finished executions of the past, below which nothing is said."""
DRAWS: Final = 2_000
_MANY: Final = 200


class Chances(NamedTuple):
    """How an execution may fare by the end of a window; the rest is the chance that it is not known by then."""

    missed: float
    kept: float


CERTAIN: Final = Chances(missed=1.0, kept=1.0)
"""Of executions that are still to begin, where all are known by the end of the window whatever they come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What executions of this SLA were like: of `total` that began within `days`, `missed` missed their target."""

    total: int
    missed: int
    days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowForecast:
    """The end of a window: as likely a lower SLO as a higher one than `expected`, and with `coverage` one from `low` to
    `high`, all 0 to 100; the chance that it is below the target. They are None where the window may well be empty then.
    """

    expected: float | None
    low: float | None
    high: float | None
    coverage: float
    breach_probability: float | None
    draws: int


def end_of_window(
    *,
    kept: int,
    missed: int,
    open_chances: Sequence[Chances],
    past: Past,
    days_left: float,
    target: float,
    coming: Chances = CERTAIN,
    draws: int = DRAWS,
    seed: int = 0,
) -> WindowForecast | Literal["too_few"]:
    """Return what a window is at its end; TOO_FEW where the past says too little.

    `kept` and `missed` count finished executions that are in the window at its end; `open_chances` say how open ones
    may fare by then. `coming` is how likely one that begins until then is known at the end, if it misses its target and
    if it keeps it. `target` is 0 to 100.
    """
    if past.total < LEAST_EXECUTIONS or past.days <= 0:
        return TOO_FEW
    draw = random.Random(f"{seed}|{kept}|{missed}|{len(open_chances)}")  # noqa: S311 - a simulation with a seed
    open_ones = _Open(open_chances)
    shares: list[float] = []
    below = 0
    for _ in range(draws):
        # What is known of a share and of a rate after so many: Jeffreys' distributions.
        rate = draw.betavariate(past.missed + 0.5, past.total - past.missed + 0.5)
        begin = draw.gammavariate(past.total + 0.5, 1.0) * max(days_left, 0.0) / past.days
        late, good = open_ones.drawn(draw)
        late += missed + _poisson(draw, begin * rate * coming.missed)
        good += kept + _poisson(draw, begin * (1 - rate) * coming.kept)
        if late + good:
            share = 100 * good / (late + good)
            shares.append(share)
            below += share < target
    if len(shares) * 10 < draws * 9:
        return WindowForecast(
            expected=None, low=None, high=None, coverage=COVERAGE, breach_probability=None, draws=draws
        )
    shares.sort()
    outside = (1 - COVERAGE) / 2
    return WindowForecast(
        expected=shares[len(shares) // 2],
        low=shares[int(outside * len(shares))],
        high=shares[min(int((1 - outside) * len(shares)), len(shares) - 1)],
        coverage=COVERAGE,
        breach_probability=below / len(shares),
        draws=draws,
    )


class _Open:
    """Open executions, of which it is drawn how many miss and how many keep their target."""

    def __init__(self, chances: Sequence[Chances]) -> None:
        self._chances = chances
        self._late = sum(one.missed for one in chances)
        self._good = sum(one.kept for one in chances)
        self._spread = sum(one.missed * (1 - one.missed) for one in chances)
        self._common = sum(one.missed * one.kept for one in chances)
        self._rest = sum(one.kept * (1 - one.kept) for one in chances)

    def drawn(self, draw: random.Random) -> tuple[int, int]:
        """Return how many miss and how many keep it; of many, the normal distribution is near enough."""
        count = len(self._chances)
        if count > _MANY:
            late = draw.gauss(self._late, sqrt(self._spread))
            slope = self._common / self._spread if self._spread else 0.0
            rest = max(self._rest - self._common * slope, 0.0)
            good = draw.gauss(self._good - slope * (late - self._late), sqrt(rest))
            late_ones = min(max(round(late), 0), count)
            return late_ones, min(max(round(good), 0), count - late_ones)
        shares = [draw.random() for _ in range(count)]
        missed = sum(share < one.missed for share, one in zip(shares, self._chances, strict=True))
        known = sum(share < one.missed + one.kept for share, one in zip(shares, self._chances, strict=True))
        return missed, known - missed


def _poisson(draw: random.Random, mean: float) -> int:
    """Return a number of arrivals; of many, the normal distribution is near enough."""
    if mean > _MANY:
        return max(round(draw.gauss(mean, mean**0.5)), 0)
    count, time = 0, draw.expovariate(1.0)
    while time < mean:
        count += 1
        time += draw.expovariate(1.0)
    return count
