"""What a scorer knows of a suggestion: nothing but what its page shows to whoever decides about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, get_args

from insight.mining.suggestion import Kind

KINDS: Final[tuple[str, ...]] = get_args(Kind)
_NEARLY_SURE = 1e-3  # a bound of 1 counts as one of 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """A suggestion when it was made, as numbers.

    `age_days` are the days since its newest occurrence. `compared` are the past requests of its backtest; without any,
    the three figures of it are 0: the share of them that would have ended differently, the change of the median
    duration as a share of it (negative is faster), and the change of the share that is late.
    """

    kind: str
    confidence: float
    count: int
    age_days: float
    compared: int
    outcome_changed: float
    duration_changed: float
    overdue_changed: float
    faults: int
    operations: int


def features(one: Suggested) -> tuple[float, ...]:
    """Return the features, in an order that is the same for all."""
    return (
        *(float(one.kind == kind) for kind in KINDS),
        -math.log10(1 - one.confidence + _NEARLY_SURE),
        math.log1p(max(0, one.count)),
        math.log1p(max(0.0, one.age_days)),
        float(one.compared > 0),
        one.outcome_changed,
        max(-1.0, min(1.0, one.duration_changed)),
        max(-1.0, min(1.0, one.overdue_changed)),
        float(one.faults > 0),
        math.log1p(one.operations),
    )
