"""The scorer: the chance that a suggestion is accepted here, and how good the scorer is on what it did not learn from.

It is a logistic regression, calibrated by a second one on predictions of held-out suggestions (Platt, 1999). It is
only used where its Brier score on held-out suggestions beats that of the base rate, which knows but how often people
accept anything, by more than chance explains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev, stdev
from typing import Final

from insight.scoring.features import Suggested, features
from insight.scoring.logistic import chance_of, fit

LEAST_OF_BOTH: Final = 20
"""How many accepted and how many rejected suggestions a scorer learns from at the least."""
MOST_LEARNED: Final = 1000
"""How many reviewed suggestions it learns from, the latest."""
UNLIKELY: Final = 0.1
"""The chance below which a finding is held back."""
_FOLDS = 5
_ONE_SIDED = 1.645  # of a confidence of 95 %
_LITTLE_RIDGE = 1e-3  # of the calibration, which has one coefficient


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A suggestion that somebody has accepted or rejected; `subject` is what it is about."""

    suggested: Suggested
    accepted: bool
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """What was learned: features are centred and scaled, and the sum of them, weighted, is calibrated."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]  # the intercept first
    offset: float
    slope: float

    def chance(self, one: Suggested) -> float:
        """Return the chance that a suggestion is accepted, 0 to 1."""
        return chance_of(self.offset + self.slope * self._predictor(features(one)))

    def _predictor(self, row: Sequence[float]) -> float:
        scaled = zip(row, self.means, self.scales, self.weights[1:], strict=True)
        return self.weights[0] + math.fsum(weight * (value - mean) / scale for value, mean, scale, weight in scaled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of learning: how many suggestions there were of each kind, and the scorer where it is of use.

    Brier scores are of suggestions that were held out, 0 is best; None where there are too few to learn from.
    """

    accepted: int
    rejected: int
    brier: float | None = None
    brier_of_base_rate: float | None = None
    scorer: Scorer | None = None


def learn(past: Sequence[Reviewed]) -> Learned:
    """Learn from reviewed suggestions, in the order in which they were reviewed."""
    past = past[-MOST_LEARNED:]
    labels = [float(one.accepted) for one in past]
    accepted = sum(one.accepted for one in past)
    told = Learned(accepted=accepted, rejected=len(past) - accepted)
    if min(told.accepted, told.rejected) < LEAST_OF_BOTH:
        return told
    rows = [features(one.suggested) for one in past]
    folds = _folds(past)
    held_out = [0.0] * len(past)
    base = [0.0] * len(past)
    for fold in range(_FOLDS):
        learned = [n for n, of in enumerate(folds) if of != fold]
        if len({labels[n] for n in learned}) < 2:
            return told
        part = _fitted([rows[n] for n in learned], [labels[n] for n in learned])
        rate = fmean(labels[n] for n in learned)
        for n in _of_fold(folds, fold):
            held_out[n], base[n] = part._predictor(rows[n]), rate
    # Each fold is calibrated by the others, so that what is held out stays so.
    chances = [0.0] * len(past)
    for fold in range(_FOLDS):
        others = [n for n, of in enumerate(folds) if of != fold]
        offset, slope = _calibration([held_out[n] for n in others], [labels[n] for n in others])
        for n in _of_fold(folds, fold):
            chances[n] = chance_of(offset + slope * held_out[n])
    of_model = [(chance - label) ** 2 for chance, label in zip(chances, labels, strict=True)]
    of_base = [(rate - label) ** 2 for rate, label in zip(base, labels, strict=True)]
    gains = [before - after for before, after in zip(of_base, of_model, strict=True)]
    better = fmean(gains) > _ONE_SIDED * stdev(gains) / math.sqrt(len(gains))
    offset, slope = _calibration(held_out, labels)
    return Learned(
        accepted=told.accepted,
        rejected=told.rejected,
        brier=round(fmean(of_model), 4),
        brier_of_base_rate=round(fmean(of_base), 4),
        scorer=_fitted(rows, labels, offset=offset, slope=slope) if better else None,
    )


def _folds(past: Sequence[Reviewed]) -> list[int]:
    """Return the fold of each; suggestions about the same thing are in the same one."""
    place: dict[str, int] = {}
    return [place.setdefault(one.subject, len(place)) % _FOLDS for one in past]


def _of_fold(folds: Sequence[int], fold: int) -> Iterator[int]:
    return (n for n, of in enumerate(folds) if of == fold)


def _fitted(
    rows: Sequence[Sequence[float]], labels: Sequence[float], *, offset: float = 0.0, slope: float = 1.0
) -> Scorer:
    columns = list(zip(*rows, strict=True))
    means = tuple(fmean(column) for column in columns)
    scales = tuple(pstdev(column, mean) or 1.0 for column, mean in zip(columns, means, strict=True))
    scaled = [[(v - m) / s for v, m, s in zip(row, means, scales, strict=True)] for row in rows]
    return Scorer(means=means, scales=scales, weights=tuple(fit(scaled, labels)), offset=offset, slope=slope)


def _calibration(predictors: Sequence[float], labels: Sequence[float]) -> tuple[float, float]:
    """Return offset and slope of Platt's calibration, whose labels keep a little doubt where there are few."""
    positive = sum(labels)
    high, low = (positive + 1) / (positive + 2), 1 / (len(labels) - positive + 2)
    offset, slope = fit([[one] for one in predictors], [high if one else low for one in labels], ridge=_LITTLE_RIDGE)
    return offset, max(0.0, slope)
