"""The end of an SLO's window: what share will have kept its target then, and how likely that is less than promised.

Three things make it: the executions that are in the window already and still will be, those that are open, each with
its own chance to miss the target, and those that are still to begin. How many these are and how many of them miss is
not known, so both are drawn from what the past leaves open, and not from its averages alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from insight.forecast.forecaster import COVERAGE, TOO_FEW

LEAST_EXECUTIONS: Final = 30
"""Finished executions of the past, below which nothing is said."""
DRAWS: Final = 2_000
_MANY: Final = 200


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
    open_chances: Sequence[float],
    past: Past,
    days_left: float,
    target: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> WindowForecast | Literal["too_few"]:
    """Return what a window is at its end; TOO_FEW where the past says too little.

    `kept` and `missed` count finished executions that are in the window at its end; `open_chances` are the chances of
    open ones to miss the target (Forecast.miss_probability), of those that are over by then; `target` is 0 to 100.
    """
    if past.total < LEAST_EXECUTIONS or past.days <= 0:
        return TOO_FEW
    draw = random.Random(f"{seed}|{kept}|{missed}|{len(open_chances)}")  # noqa: S311 - a simulation with a seed
    shares: list[float] = []
    below = 0
    for _ in range(draws):
        # What is known of a share and of a rate after so many: Jeffreys' distributions.
        rate = draw.betavariate(past.missed + 0.5, past.total - past.missed + 0.5)
        coming = _poisson(draw, draw.gammavariate(past.total + 0.5, 1.0) * max(days_left, 0.0) / past.days)
        late = missed + sum(draw.random() < chance for chance in open_chances)
        late += sum(draw.random() < rate for _ in range(coming))
        total = kept + missed + len(open_chances) + coming
        if total:
            share = 100 * (total - late) / total
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


def _poisson(draw: random.Random, mean: float) -> int:
    """Return a number of arrivals; of many, the normal distribution is near enough."""
    if mean > _MANY:
        return max(round(draw.gauss(mean, mean**0.5)), 0)
    count, time = 0, draw.expovariate(1.0)
    while time < mean:
        count += 1
        time += draw.expovariate(1.0)
    return count
