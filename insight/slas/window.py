"""The figures of an SLO over its window, from exact counts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

State = Literal["ok", "at_risk", "breached", "unknown"]
LEAST_EXECUTIONS: Final = 10
"""Alerts, and the state `at_risk`, need so many executions in the window: of fewer, one says too little."""
AT_RISK: Final = Fraction(1, 4)
"""The share of the error budget from which on, downwards, an SLO is at risk."""
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a window; all are None without data.

    `current_slo` is 0 to 100. `error_budget_remaining` is 1 where nothing has missed its target, 0 where as many have
    as the SLO allows, and negative beyond. `burn_rate` is the used share of the budget, which is 1 where exactly all is
    used; None where the SLO allows none (100 %) and some have.
    """

    total: int
    breached: int
    current_slo: float | None
    error_budget_remaining: float | None
    burn_rate: float | None
    state: State


def figures(total: int, breached: int, target_slo: float) -> Figures:
    """Return the figures of so many executions, of which so many have missed their target; raises ValueError."""
    if not 0 <= breached <= total:
        raise ValueError(f"{breached} of {total} executions cannot have missed a target")
    if total == 0:
        return Figures(
            total=0, breached=0, current_slo=None, error_budget_remaining=None, burn_rate=None, state="unknown"
        )
    target = Fraction(str(target_slo))
    current = Fraction(100 * (total - breached), total)
    allowed = (100 - target) / 100
    burnt = Fraction(breached, total) / allowed if allowed else (None if breached else Fraction(0))
    remaining = Fraction(0) if burnt is None else 1 - burnt
    state: State = "ok"
    if current < target:
        state = "breached"
    elif total >= LEAST_EXECUTIONS and breached and remaining <= AT_RISK:
        state = "at_risk"
    return Figures(
        total=total,
        breached=breached,
        current_slo=_number(current),
        error_budget_remaining=_number(remaining),
        burn_rate=None if burnt is None else _number(burnt),
        state=state,
    )


def _number(exact: Fraction) -> float:
    return round(float(exact), _DIGITS)
