"""Forecasts for open requests, as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Shown, View
from insight.forecast.forecaster import Forecast
from insight.forecast.slo import SloForecast
from storage.tables.slas import WorkflowSla

_EXAMPLE: dict[str, Any] = {
    "state": "ok",
    "finish": {
        "expected": "2026-03-04T10:12:00.000000Z",
        "low": "2026-03-03T09:40:00.000000Z",
        "high": "2026-03-09T15:05:00.000000Z",
        "coverage": 0.8,
    },
    "task_id": "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7.1",
    "deadline": "2026-03-04T09:00:00.000000Z",
    "miss_probability": 0.21,
    "draws": 100,
    "cases": 640,
    "held_out": {"cases": 122, "coverage": 0.811, "deadlines": 118, "brier": 0.094},
}

_SLO: dict[str, Any] = {
    "state": "ok",
    "sla_id": "sla_3f0c",
    "window_start": "2026-03-04T09:00:00.000000Z",
    "window_end": "2026-03-11T09:00:00.000000Z",
    "target_slo": 95,
    "expected_slo": 96.4,
    "low": 94.1,
    "high": 98.2,
    "coverage": 0.8,
    "breach_probability": 0.17,
    "open_executions": 12,
    "past_executions": 640,
    "draws": 2000,
    "held_out": {"windows": 20, "coverage": 0.85, "brier": 0.11},
}


class FinishView(View):
    """When a request is finished: as likely before `expected` as after it, and with a chance of `coverage` between
    `low` and `high` (null: beyond all calendars).
    """

    expected: Shown
    low: Shown
    high: Shown | None
    coverage: float


class HeldOutView(View):
    """How right forecasts were about `cases` later requests of which nothing was known, each at several moments.

    `coverage` is the share that finished within the interval; `brier` the mean squared error of `deadlines` chances to
    miss a deadline (0 is best), null without deadlines.
    """

    cases: int
    coverage: float
    deadlines: int
    brier: float | None


class ForecastView(View):
    """What is forecast for an open request, from `cases` finished ones and `draws` runs of the process.

    `finish` is null where the end depends on something whose end is not known, such as a sub-process. `deadline` is
    that of the open task `task_id`, which falls due first, and `miss_probability` the chance that it is open then; both
    are null without a deadline.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    state: Literal["ok"]
    finish: FinishView | None
    task_id: str | None
    deadline: Shown | None
    miss_probability: float | None = Field(ge=0, le=1)
    draws: int
    cases: int
    held_out: HeldOutView

    @classmethod
    def of(cls, found: Forecast) -> ForecastView:
        """Show a forecast."""
        finish, held_out = found.finish, found.held_out
        return cls(
            state="ok",
            finish=None
            if finish is None
            else FinishView(expected=finish.expected, low=finish.low, high=finish.high, coverage=finish.coverage),
            task_id=found.task_id,
            deadline=found.deadline,
            miss_probability=found.miss_probability,
            draws=found.draws,
            cases=found.cases,
            held_out=HeldOutView(
                cases=held_out.cases,
                coverage=held_out.coverage,
                deadlines=held_out.deadlines,
                brier=held_out.brier,
            ),
        )


class TooFewView(View):
    """Too few requests of this version have finished to forecast anything."""

    state: Literal["too_few"]


class WindowsHeldOutView(View):
    """How right forecasts of `windows` earlier moments were: the share whose SLO came to lie between `low` and `high`,
    and the mean squared error of the chances to be below the target (0 is best).
    """

    windows: int
    coverage: float
    brier: float


class SloForecastView(View):
    """What the window of an SLO may be at its end, from open executions and `past_executions` that are known.

    `expected_slo`, `low` and `high` are 0 to 100: as likely less as more than expected, and with a chance of `coverage`
    between the others. `breach_probability` is the chance that the SLO is below its target then. They are null where
    the window may well be empty.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_SLO]})

    state: Literal["ok"]
    sla_id: str
    window_start: Shown
    window_end: Shown
    target_slo: float
    expected_slo: float | None
    low: float | None
    high: float | None
    coverage: float
    breach_probability: float | None = Field(ge=0, le=1)
    open_executions: int
    past_executions: int
    draws: int
    held_out: WindowsHeldOutView

    @classmethod
    def of(cls, sla: WorkflowSla, found: SloForecast) -> SloForecastView:
        """Show a forecast of an SLO."""
        window, held_out = found.window, found.held_out
        return cls(
            state="ok",
            sla_id=sla.id,
            window_start=found.start,
            window_end=found.end,
            target_slo=sla.slo_target_percentage,
            expected_slo=window.expected,
            low=window.low,
            high=window.high,
            coverage=window.coverage,
            breach_probability=window.breach_probability,
            open_executions=found.open,
            past_executions=found.past,
            draws=window.draws,
            held_out=WindowsHeldOutView(windows=held_out.windows, coverage=held_out.coverage, brier=held_out.brier),
        )
