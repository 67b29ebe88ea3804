"""The forecast of an SLO, on executions that begin at random and take as long as is given."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from insight.forecast.forecaster import TOO_FEW
from insight.forecast.slo import Objective, OpenNow, PastExecution, SloForecast, chances_of, forecast_slo
from insight.forecast.survival import Survival
from insight.forecast.window import LEAST_EXECUTIONS, Chances
from insight.slas.judgement import AROUND_THE_CLOCK
from tests.unit.core import START

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ALWAYS = Objective(target=8 * 3600.0, share=85.0, window=DAY, clock=AROUND_THE_CLOCK)
NOBODY = OpenNow(seconds=(), count=0)


def executions(days: int, *, seed: int = 1, gap: float = 0.5) -> list[PastExecution]:
    """Return executions that begin every `gap` hours on average, and mostly take an hour or several."""
    draw = random.Random(seed)
    found: list[PastExecution] = []
    began = START
    while began < START + days * DAY:
        began += draw.expovariate(1 / gap) * HOUR
        seconds = draw.lognormvariate(0, 1) * 3 * 3600
        missed = seconds > ALWAYS.target
        known = began + timedelta(seconds=min(seconds, ALWAYS.target))
        found.append(PastExecution(began_at=began, known_at=known, seconds=seconds, ended=True, missed=missed))
    return [one for one in found if one.known_at <= START + days * DAY]


def said(past: list[PastExecution], days: int, open_now: OpenNow = NOBODY, **more: Any) -> SloForecast:
    now, ahead = START + days * DAY, more.pop("ahead", DAY)
    found = forecast_slo(ALWAYS, past, open_now, now, ahead)
    assert found != TOO_FEW
    return found


def test_below_a_number_of_executions_it_says_too_few_and_nothing_else() -> None:
    past = executions(20, gap=12)
    now = START + 20 * DAY
    assert forecast_slo(ALWAYS, past[: LEAST_EXECUTIONS - 1], NOBODY, now, DAY) == TOO_FEW
    assert len(past) >= LEAST_EXECUTIONS
    assert forecast_slo(ALWAYS, past, NOBODY, now, DAY) != TOO_FEW
    assert forecast_slo(ALWAYS, past, NOBODY, now, 30 * DAY) == TOO_FEW, "no moment is long enough ago"


def test_the_window_lies_ahead_and_ranges_of_earlier_moments_held() -> None:
    found = said(executions(30), 30)
    assert (found.start, found.end) == (START + 30 * DAY, START + 31 * DAY)
    assert found.window.low is not None
    assert found.window.high is not None
    assert found.window.low < 84 < found.window.high, "of a lognormal wait, 16 % take longer than the target"
    assert found.held_out.windows == 20
    assert found.held_out.coverage >= 0.6
    assert found.held_out.brier <= 0.3


def test_what_is_in_the_window_already_stays_as_long_as_the_window_reaches_back() -> None:
    past = executions(30)
    soon, later = said(past, 30, ahead=HOUR), said(past, 30)
    for one, other in ((soon.window, later.window),):
        assert one.low is not None
        assert one.high is not None
        assert other.low is not None
        assert other.high is not None
        assert one.high - one.low < other.high - other.low


def test_open_executions_that_are_late_already_for_their_kind_lower_what_is_expected() -> None:
    past = executions(30)
    fresh = said(past, 30, OpenNow(seconds=[60.0] * 100, count=100)).window
    late = said(past, 30, OpenNow(seconds=[7.5 * 3600.0] * 100, count=100)).window
    assert fresh.expected is not None
    assert late.expected is not None
    assert late.expected < fresh.expected - 10
    assert (late.breach_probability or 0) > (fresh.breach_probability or 0)


def test_of_many_open_executions_some_speak_for_the_others() -> None:
    past = executions(30)
    some = said(past, 30, OpenNow(seconds=[7.5 * 3600.0] * 10, count=100))
    each = said(past, 30, OpenNow(seconds=[7.5 * 3600.0] * 100, count=100))
    assert some == each


@pytest.mark.parametrize(
    ("seconds", "left", "missed", "kept"),
    [
        (0.0, 100.0, 0.25, 0.75),  # one of four takes longer than the target
        (2.5, 100.0, 0.5, 0.5),  # of the two that last longer than 2.5 seconds
        (0.0, 1.5, 0.0, 0.25),  # one has ended by then, and none can be late
        (2.5, 0.0, 0.0, 0.0),
    ],
)
def test_the_chances_of_an_open_execution_come_from_those_that_took_as_long(
    seconds: float, left: float, missed: float, kept: float
) -> None:
    took = Survival.of([1.0, 2.0, 3.0, 4.0])
    found = chances_of(took, 3.5, seconds, left)
    assert found == pytest.approx(Chances(missed=missed, kept=kept))


def test_forecasts_are_held_to_windows_alone_of_which_everything_is_known() -> None:
    past, now = executions(30), START + 30 * DAY
    whole = forecast_slo(ALWAYS, past, NOBODY, now, DAY / 24)
    kept = [one for one in past if one.known_at > START + 20 * DAY]
    found = forecast_slo(replace(ALWAYS, whole_since=START + 20 * DAY), kept, NOBODY, now, DAY / 24)
    assert whole != TOO_FEW
    assert found != TOO_FEW
    assert found.window.expected == pytest.approx(whole.window.expected, abs=3), "the window itself is known"
    without = replace(ALWAYS, whole_since=START + 29 * DAY)
    assert forecast_slo(without, kept, NOBODY, now, DAY / 24) == TOO_FEW, "no earlier window is whole"
