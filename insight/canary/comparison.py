"""Compare the two versions of a canary: what each measure is in either, how they differ, and whether that is harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from insight.canary.bounds import Interval, differences, interval, shares

Verdict = Literal["harm", "no_harm", "open", "not_guarded"]
"""`harm` and `no_harm`: the whole interval of the difference is beyond, or within, the margin. `open`: neither yet."""
ALPHA: Final = 0.05
"""The chance, at most, that a canary which does no harm is ever reverted, where none is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is compared: values from 0 to `most`, of which greater ones are worse; `either` where any difference is.

    `margin` is the difference from which on it is harm, in the unit of the values; None where it is only shown.
    """

    name: str
    most: float
    margin: float | None = None
    either: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was measured of one request, by the names of the measures; `new` says that it has the new version."""

    new: bool
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One version: how many requests, their mean (None without any), and where the true mean is."""

    count: int
    mean: float | None
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure, in its unit; `difference` is where the new version's mean less the old one's is."""

    measure: Measure
    new: Arm
    old: Arm
    difference: Interval
    verdict: Verdict


def compare(
    measures: Sequence[Measure], observations: Iterable[Observation], *, chance: float, alpha: float = ALPHA
) -> tuple[Compared, ...]:
    """Compare the versions by each measure; `observations` are in the order in which the requests began.

    `chance` is that of a request to be given the new version. The intervals of all differences hold together, at all
    times at once, with a chance of at least 1 - `alpha`: each has its part of it. So no more than that is the chance
    of a verdict of `harm` on a version whose differences are within the margins.
    """
    given = list(observations)
    return tuple(_compared(measure, given, chance, alpha / len(measures)) for measure in measures)


def _compared(measure: Measure, observations: Sequence[Observation], chance: float, level: float) -> Compared:
    values = [
        (one.new, min(max(one.values[measure.name] / measure.most, 0.0), 1.0))
        for one in observations
        if measure.name in one.values
    ]
    scores = differences(values, chance)
    found = interval(scores, level=level, least=-1.0, most=1.0, first_variance=0.25 / (chance * (1 - chance)))
    difference = _in_units(found, measure)
    return Compared(
        measure=measure,
        new=_arm([value for new, value in values if new], measure, level),
        old=_arm([value for new, value in values if not new], measure, level),
        difference=difference,
        verdict=_verdict(measure, difference),
    )


def _arm(values: Sequence[float], measure: Measure, level: float) -> Arm:
    found = interval(shares(values), level=level, least=0.0, most=1.0)
    mean = sum(values) / len(values) * measure.most if values else None
    return Arm(count=len(values), mean=mean, interval=_in_units(found, measure))


def _in_units(found: Interval, measure: Measure) -> Interval:
    return Interval(low=found.low * measure.most, high=found.high * measure.most)


def _verdict(measure: Measure, difference: Interval) -> Verdict:
    margin = measure.margin
    if margin is None:
        return "not_guarded"
    if difference.low > margin or (measure.either and difference.high < -margin):
        return "harm"
    if difference.high <= margin and (not measure.either or difference.low >= -margin):
        return "no_harm"
    return "open"
