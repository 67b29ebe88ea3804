"""Trials on event logs, as the API takes and shows them: how right forecasts are, and what a blueprint would change."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Body, View


class LogBacktestBody(Body):
    """A blueprint that later cases are run through, or a patch (RFC 6902) of it or of the one that the log shows."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"patch": [{"op": "replace", "path": "/process_steps/0/sla/target_hours", "value": 8}]}]
        },
    )

    blueprint: dict[str, Any] | None = None
    patch: list[dict[str, Any]] | None = None
    min_occurrences: Annotated[
        int, Field(ge=1, le=100_000, strict=True, description="Stages with fewer decisions are left out of the log.")
    ] = 10


class LeftOutView(View):
    """How many cases go another way than the blueprint of the log, by the kind of their first deviation."""

    kind: str
    count: int


class ScoreView(View):
    """How right forecasts were: the share of the ranges that held, the median width of these and the median error of
    what was expected, in hours, and the Brier score of the chances to miss a deadline (null without deadlines).
    """

    forecast: Literal["placet", "median_of_stage", "median_of_all"]
    coverage: float
    width_hours: float | None
    error_hours: float
    brier: float | None


class LogForecastsView(View):
    """How right forecasts are about the `held_out` latest cases of a log, each looked at several `moments`.

    With too few cases `state` is `too_few`, and nothing is said. `every` says that each so-manieth case was looked at.
    """

    state: Literal["ok", "too_few"]
    cases: int
    every: int
    left_out: list[LeftOutView]
    learned_from: int | None = None
    calibrated_on: int | None = None
    held_out: int | None = None
    moments: int | None = None
    deadlines: int | None = None
    scores: tuple[ScoreView, ...] = ()


class LogBacktestView(View):
    """What a blueprint would have changed in the later cases of a log: totals, and some of the cases, changed first.

    `rule` says how the cases are run; `left_out` counts those that the blueprint of the log does not reproduce.
    """

    rule: str
    totals: dict[str, Any]
    rows: list[dict[str, Any]]
    seconds: float
    version: str
    later_cases: int
    replayed: int
    left_out: list[LeftOutView]
