"""Bounds of means that hold at all times at once, by betting.

Somebody bets against the claim that a mean is at most `m`, with a stake that only depends on what came before. Where
the claim is true, the capital is a supermartingale, so the chance that it ever exceeds `1 / level` is at most `level`
(Ville 1939). A lower bound is the least `m` that has never been refuted so. It may be looked at as often as one likes,
and whoever looks may stop at any moment, for any reason.

Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (JRSS B, 2024; arXiv
2010.09686), their predictable plug-in stakes for each side alone. Differences are bet on by inverse-probability scores,
as in Howard, Ramdas, McAuliffe and Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences (Annals of
Statistics, 2021), each less a prediction from what came before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MOST_AT_STAKE: Final = 0.75  # of what can be lost in one bet
_HALVINGS: Final = 22  # of the range of means, when a bound is sought: to a four-millionth of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One value, and what it could have been at least and at most, as it was known before."""

    value: float
    low: float
    high: float

    def mirrored(self) -> Score:
        """Return the score with its sign changed."""
        return Score(value=-self.value, low=-self.high, high=-self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval, both ends included."""

    low: float
    high: float


def interval(
    scores: Sequence[Score], *, level: float, least: float, most: float, first_variance: float = 0.25
) -> Interval:
    """Return where the mean of the scores is, at all times at once with a chance of at least 1 - `level`.

    `least` and `most` bound the mean, and `first_variance` stands for the variance until there are values.
    """
    low = _lower_bound(scores, level / 2, least, most, first_variance)
    mirrored = [score.mirrored() for score in scores]
    high = -_lower_bound(mirrored, level / 2, -most, -least, first_variance)
    return Interval(low=min(low, most), high=max(high, least))


def shares(values: Sequence[float]) -> list[Score]:
    """Return values between 0 and 1 as scores."""
    return [Score(value=value, low=0.0, high=1.0) for value in values]


def differences(values: Sequence[tuple[bool, float]], chance: float) -> list[Score]:
    """Return scores whose mean is the difference of two arms' means, the first less the second.

    Each value is between 0 and 1, in the order of its draw, with whether it was drawn into the first arm, the chance of
    which is `chance`. Given what came before, the expectation of each score is the difference at that moment: whatever
    both arms have in common, such as a slow week, cancels.
    """
    counts, sums = [0, 0], [0.0, 0.0]
    found = []
    for first, value in values:
        together = (0.5 + sum(sums)) / (1 + sum(counts))
        expected, other = ((together + sums[arm]) / (1 + counts[arm]) for arm in (1, 0))
        shift = expected - other
        drawn = (value - expected) / chance if first else -(value - other) / (1 - chance)
        found.append(
            Score(
                value=shift + drawn,
                low=shift + min(-expected / chance, -(1 - other) / (1 - chance)),
                high=shift + max((1 - expected) / chance, other / (1 - chance)),
            )
        )
        counts[first] += 1
        sums[first] += value
    return found


def evidence(scores: Sequence[Score], mean: float, *, level: float, first_variance: float = 0.25) -> float:
    """Return the logarithm of the most capital there ever was against the claim that the mean is at most `mean`."""
    return _evidence([(s.value, s.low) for s in scores], _stakes(scores, level, first_variance), mean)


def _lower_bound(scores: Sequence[Score], level: float, least: float, most: float, first_variance: float) -> float:
    """Return the least mean that is not refuted. A greater one is refuted by less, so that it is found by halving."""
    refuted = math.log(1 / level)
    values = [(score.value, score.low) for score in scores]
    stakes = _stakes(scores, level, first_variance)
    if not scores or _evidence(values, stakes, least) < refuted:
        return least
    below, above = least, most
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if _evidence(values, stakes, middle) < refuted:
            above = middle
        else:
            below = middle
    return below


def _stakes(scores: Sequence[Score], level: float, first_variance: float) -> list[float]:
    """Return the stake of each bet, from the values before it."""
    found, total, squares = [], 0.0, first_variance
    wanted = 2 * math.log(1 / level)
    for n, score in enumerate(scores, 1):
        found.append(math.sqrt(wanted / (squares * math.log(1 + n))))  # squares / n is the variance so far
        total += score.value
        squares += (score.value - total / (n + 1)) ** 2
    return found


def _evidence(values: Sequence[tuple[float, float]], stakes: Sequence[float], mean: float) -> float:
    capital = most = 0.0
    for (value, low), stake in zip(values, stakes, strict=True):
        risk = mean - low
        if stake * risk > _MOST_AT_STAKE:
            stake = _MOST_AT_STAKE / risk  # noqa: PLW2901 - the stake of this bet against this mean
        capital += math.log1p(stake * (value - mean))
        most = max(most, capital)
    return most
