"""The forecast of an SLO: its window at a later moment, from past executions and those that are open now.

How an open execution may fare is read from how long past ones took (Kaplan and Meier), given how long it has taken.
Beside the forecast stands how right such ones were at earlier moments, each made of what was known then alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Final, Literal

from insight.forecast.calibration import brier
from insight.forecast.forecaster import TOO_FEW
from insight.forecast.survival import Survival
from insight.forecast.window import LEAST_EXECUTIONS, Chances, Past, WindowForecast, end_of_window
from placet.plan.calendar import Calendar, working_seconds

MOMENTS: Final = 20
"""Earlier moments at which a forecast is held to what came."""
_DRAWS_THEN: Final = 500
_PARTS: Final = 100  # of a distribution that is averaged over
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastExecution:
    """An execution of which it is known whether it `missed` its target, since `known_at`.

    `seconds` is how long it took until its end, or has taken by now where it is not over (`ended` is false).
    """

    began_at: datetime
    known_at: datetime
    seconds: float
    ended: bool
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What an SLO asks: `share` (0 to 100) of the executions of its window take `target` seconds by its clock.

    Of what lies before `whole_since` some is no longer known (None: everything is), so no window that reaches there is
    one that forecasts are held to.
    """

    target: float
    share: float
    window: timedelta
    clock: Calendar
    whole_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsHeldOut:
    """How right forecasts of `windows` earlier moments were: the share of the ranges that held, and the Brier score of
    the chances to be below the target.
    """

    windows: int
    coverage: float
    brier: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SloForecast:
    """The window of an SLO that ends at `end`, from `open` executions and `past` ones, and what that is worth."""

    start: datetime
    end: datetime
    window: WindowForecast
    open: int
    past: int
    held_out: WindowsHeldOut


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNow:
    """How long open executions have taken, in seconds by the SLO's clock: of `count`, as many as were looked at."""

    seconds: Sequence[float]
    count: int


def forecast_slo(
    objective: Objective, past: Sequence[PastExecution], open_now: OpenNow, now: datetime, ahead: timedelta
) -> SloForecast | Literal["too_few"]:
    """Forecast the window that ends `ahead` of now; TOO_FEW where there are too few executions or earlier moments."""
    if len(past) < LEAST_EXECUTIONS:
        return TOO_FEW
    ordered = sorted(past, key=lambda one: one.known_at)
    found = _forecast(objective, ordered, open_now, now, ahead)
    held_out = _held_to(objective, ordered, now, ahead)
    if found == TOO_FEW or held_out is None:
        return TOO_FEW
    end = now + ahead
    return SloForecast(
        start=end - objective.window,
        end=end,
        window=found,
        open=open_now.count,
        past=len(ordered),
        held_out=held_out,
    )


def _forecast(
    objective: Objective,
    past: Sequence[PastExecution],
    open_now: OpenNow,
    now: datetime,
    ahead: timedelta,
    **more: int,
) -> WindowForecast | Literal["too_few"]:
    ended = [one.seconds for one in past if one.ended]
    if not ended:
        return TOO_FEW
    took = Survival.of(ended, (one.seconds for one in past if not one.ended))
    left = max(working_seconds(objective.clock, now, now + ahead), 0.0)
    chances = [chances_of(took, objective.target, seconds, left) for seconds in open_now.seconds]
    start = now + ahead - objective.window
    inside = [one for one in past if start < one.known_at <= now]
    missed = sum(one.missed for one in inside)
    return end_of_window(
        kept=len(inside) - missed,
        missed=missed,
        # Of very many only some were looked at, who speak for the others.
        open_chances=list(islice(cycle(chances), open_now.count)) if chances else (),
        past=Past(total=len(past), missed=sum(one.missed for one in past), days=(now - past[0].known_at) / _DAY),
        days_left=ahead / _DAY,
        target=objective.share,
        coming=_coming(took, objective.target, left),
        **more,
    )


def chances_of(took: Survival, target: float, seconds: float, left: float) -> Chances:
    """Return how an execution that is open after `seconds`, and has not missed its target, fares in the next `left`.

    All in seconds of the same clock.
    """
    open_now = took.beyond(seconds)
    if open_now <= 0:
        return Chances(missed=0.0, kept=0.0) if seconds + left < target else Chances(missed=1.0, kept=0.0)
    if seconds + left <= target:  # it cannot be late by then
        return Chances(missed=0.0, kept=1 - took.beyond(seconds + left) / open_now)
    late = min(took.beyond(target) / open_now, 1.0)
    return Chances(missed=late, kept=1 - late)


def _coming(took: Survival, target: float, left: float) -> Chances:
    """Return how likely one that begins within `left` seconds is known at their end, if it misses and if it keeps."""
    if left <= 0:
        return Chances(missed=0.0, kept=0.0)
    within = 1 - took.beyond(target)
    parts = [took.quantile(within * (n + 0.5) / _PARTS) for n in range(_PARTS)] if within > 0 else []
    kept = sum(max(left - part, 0.0) for part in parts) / len(parts) / left if parts else 0.0
    return Chances(missed=max(left - target, 0.0) / left, kept=kept)


def _held_to(
    objective: Objective, past: Sequence[PastExecution], now: datetime, ahead: timedelta
) -> WindowsHeldOut | None:
    """Return how right forecasts of earlier moments were; None where the past is too short for one."""
    first, last = past[LEAST_EXECUTIONS - 1].known_at, now - ahead
    if objective.whole_since is not None:
        first = max(first, objective.whole_since + objective.window - ahead)
    if first >= last:
        return None
    held: list[bool] = []
    chances: list[float] = []
    came: list[bool] = []
    for number in range(MOMENTS):
        moment = first + (last - first) * (number + 0.5) / MOMENTS
        share = _share(past, moment + ahead - objective.window, moment + ahead)
        found = _forecast_then(objective, past, moment, ahead)
        if share is None or found == TOO_FEW:
            continue
        if found.low is None or found.high is None or found.breach_probability is None:
            continue
        held.append(found.low <= share <= found.high)
        chances.append(found.breach_probability)
        came.append(share < objective.share)
    if not held:
        return None
    return WindowsHeldOut(windows=len(held), coverage=sum(held) / len(held), brier=brier(chances, came))


def _forecast_then(
    objective: Objective, past: Sequence[PastExecution], moment: datetime, ahead: timedelta
) -> WindowForecast | Literal["too_few"]:
    """Forecast as at an earlier moment, of what was known then."""
    known = [_as_known(one, moment, objective) for one in past if one.known_at <= moment]
    waited = [
        max(working_seconds(objective.clock, one.began_at, moment), 0.0)
        for one in past
        if one.began_at <= moment < one.known_at
    ]
    return _forecast(objective, known, OpenNow(seconds=waited, count=len(waited)), moment, ahead, draws=_DRAWS_THEN)


def _as_known(one: PastExecution, moment: datetime, objective: Objective) -> PastExecution:
    """Return an execution as it was known at a moment: one that had missed its target may have been open still."""
    if not one.missed:
        return one
    waited = max(working_seconds(objective.clock, one.began_at, moment), 0.0)
    if one.ended and one.seconds <= waited:
        return one
    return PastExecution(began_at=one.began_at, known_at=one.known_at, seconds=waited, ended=False, missed=True)


def _share(past: Sequence[PastExecution], start: datetime, end: datetime) -> float | None:
    inside = [one.missed for one in past if start < one.known_at <= end]
    return 100 * (len(inside) - sum(inside)) / len(inside) if inside else None
