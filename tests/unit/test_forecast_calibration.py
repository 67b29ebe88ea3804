"""What draws say of a time, and what ranks of later requests make of it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.forecast.calibration import Calibration, brier
from insight.forecast.distribution import Distribution

TIMES = st.lists(st.floats(min_value=0, max_value=1e6, allow_nan=False), min_size=1, max_size=60)


def test_between_draws_it_is_linear_and_beyond_the_last_it_falls_off() -> None:
    likely = Distribution.of([10, 20, 30])
    assert [likely.rank(time) for time in (0, 5, 10, 15, 30)] == pytest.approx([0, 0.125, 0.25, 0.375, 0.75])
    assert 0.75 < likely.rank(40) < likely.rank(1e4) <= 1
    assert likely.time(0.375) == pytest.approx(15)


@given(TIMES, st.floats(min_value=0, max_value=0.9999))
def test_each_rank_has_a_time_that_has_no_lower_rank(draws: list[float], rank: float) -> None:
    likely = Distribution.of(draws)
    time = likely.time(rank)
    assert time >= 0
    assert likely.rank(time * (1 + 1e-9) + 1e-6) >= rank - 1e-6


@pytest.mark.parametrize(
    ("count", "coverage", "bounds"),
    [
        (9, 0.8, (0.1, 0.9)),  # the first and the last of nine: one in ten lies beyond each
        (19, 0.9, (0.05, 0.95)),
        (19, 0.8, (0.1, 0.9)),
        (8, 0.8, (0.0, 1.0)),  # too few to leave a tenth out on each side
        (0, 0.8, (0.0, 1.0)),
    ],
)
def test_bounds_are_the_ranks_that_leave_half_of_the_rest_on_each_side(
    count: int, coverage: float, bounds: tuple[float, float]
) -> None:
    calibration = Calibration.of([(n + 1) / (count + 1)] for n in range(count))
    assert calibration.bounds(coverage) == pytest.approx(bounds)


@pytest.mark.parametrize("wrong_by", [0.4, 1.0, 3.0])
def test_the_coverage_holds_however_wrong_the_forecast_is(wrong_by: float) -> None:
    draw = random.Random(7)
    likely = Distribution.of(draw.expovariate(1.0) * wrong_by for _ in range(100))
    inside = []
    for _ in range(400):
        calibration = Calibration.of([likely.rank(draw.expovariate(1.0))] for _ in range(40))
        low, high = calibration.bounds(0.8)
        inside.append(low <= likely.rank(draw.expovariate(1.0)) <= high)
    assert sum(inside) / len(inside) == pytest.approx(0.8 + 0.02, abs=0.05)


def test_a_chance_is_what_became_of_later_requests_of_that_rank() -> None:
    calibration = Calibration.of([*[[0.9]] * 9, [0.2]])
    assert calibration.chance_below(0.5) == pytest.approx(1.5 / 11)
    assert calibration.chance_below(0.95) == pytest.approx(10.5 / 11)


def test_the_middle_moves_as_far_as_past_requests_were_off_by_more_than_chance() -> None:
    assert Calibration.of([]).middle == 0.5
    assert Calibration.of([[0.9]]).middle == 0.5, "one request says nothing"
    assert Calibration.of([[0.9] * 9, [0.2], [0.4], [0.6]]).middle == 0.5, "however often it was looked at"
    few, many = (Calibration.of([*[[0.9]] * (9 * times), *[[0.2]] * times]).middle for times in (1, 50))
    assert 0.6 < few < 0.7
    assert many == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(("bias", "moved"), [(1.0, 0.06), (2.0, 0.95)])
def test_chance_alone_moves_the_middle_seldom_and_a_wrong_forecast_nearly_always(bias: float, moved: float) -> None:
    draw = random.Random(5)
    shares = 0
    for _ in range(400):
        requests = []
        for _ in range(80):
            rank = draw.random() ** bias  # of which later looks at the same request say nearly the same
            requests.append([min(1.0, max(0.0, rank + draw.gauss(0, 0.02))) for _ in range(draw.randint(1, 4))])
        shares += Calibration.of(requests).middle != 0.5
    assert shares / 400 == pytest.approx(moved, abs=0.04)


def test_the_brier_score_is_the_mean_squared_difference() -> None:
    assert brier([1.0, 0.0, 0.5, 0.8], [True, False, True, False]) == pytest.approx((0 + 0 + 0.25 + 0.64) / 4)
    with pytest.raises(ValueError, match="needs a forecast"):
        brier([], [])
