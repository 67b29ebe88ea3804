"""The end of an SLO's window, from what is counted, what is open, and what is still to begin."""

from __future__ import annotations

import random
from typing import Any

import pytest

from insight.forecast.forecaster import TOO_FEW
from insight.forecast.window import LEAST_EXECUTIONS, Chances, Past, WindowForecast, end_of_window

QUIET = Past(total=200, missed=10, days=100)


def said(**more: Any) -> WindowForecast:
    given: dict[str, Any] = {
        "kept": 90, "missed": 10, "open_chances": (), "past": QUIET, "days_left": 0.0, "target": 85.0,
    }  # fmt: skip
    found = end_of_window(**{**given, **more})
    assert found != TOO_FEW
    return found


def test_a_window_in_which_nothing_more_happens_is_as_it_is() -> None:
    assert said() == WindowForecast(
        expected=90.0, low=90.0, high=90.0, coverage=0.8, breach_probability=0.0, draws=2_000
    )
    assert said(target=95.0).breach_probability == 1.0


def test_one_open_execution_decides_with_its_own_chance() -> None:
    found = said(kept=9, missed=0, open_chances=(Chances(missed=0.3, kept=0.7),), target=95.0)
    assert found.breach_probability == pytest.approx(0.3, abs=0.03)


def test_two_open_executions_add_up_as_independent_ones() -> None:
    # Both have to miss: 0.5 of 0.5.
    found = said(kept=18, missed=0, open_chances=(Chances(missed=0.5, kept=0.5),) * 2, target=92.0)
    assert found.breach_probability == pytest.approx(0.25, abs=0.03)


def test_what_is_still_to_begin_pulls_to_the_share_of_the_past() -> None:
    found = said(kept=0, missed=0, days_left=1_000.0, target=90.0)
    assert found.expected == pytest.approx(95, abs=2)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 95 < found.high, "the share of 200 is not known exactly"


@pytest.mark.parametrize("total", [0, LEAST_EXECUTIONS - 1])
def test_with_too_few_executions_of_the_past_nothing_is_said(total: int) -> None:
    past = Past(total=total, missed=0, days=10)
    found = end_of_window(kept=50, missed=0, open_chances=(), past=past, days_left=1, target=99)
    assert found == TOO_FEW


def test_a_window_that_may_be_empty_has_no_figures() -> None:
    assert said(kept=0, missed=0).expected is None
    assert said(kept=0, missed=0).breach_probability is None


def test_the_range_covers_as_often_as_it_says() -> None:
    draw = random.Random(3)
    inside = 0
    for n in range(150):
        rate = draw.uniform(0.02, 0.3)
        missed = sum(draw.random() < rate for _ in range(200))
        found = said(kept=0, missed=0, past=Past(total=200, missed=missed, days=100), days_left=50.0, seed=n, draws=300)
        later = [draw.random() < rate for _ in range(draw.randrange(90, 111))]
        share = 100 * (1 - sum(later) / len(later))
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= share <= found.high
    assert inside / 150 == pytest.approx(0.8, abs=0.1)


def test_many_open_executions_are_drawn_as_each_would_be() -> None:
    few = said(kept=0, missed=0, open_chances=[Chances(missed=0.2, kept=0.5)] * 200)
    many = said(kept=0, missed=0, open_chances=[Chances(missed=0.2, kept=0.5)] * 201)
    for one, other in ((few.low, many.low), (few.expected, many.expected), (few.high, many.high)):
        assert one == pytest.approx(other, abs=1.0)
    assert few.expected == pytest.approx(100 * 5 / 7, abs=1.0)


def test_what_begins_too_late_to_be_known_by_the_end_is_not_counted() -> None:
    found = said(kept=0, missed=0, days_left=1_000.0, coming=Chances(missed=0.0, kept=1.0))
    assert found.expected == 100.0, "none of those that will miss is known by then"
