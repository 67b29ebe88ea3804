"""Tails are exact, bounds hold as often as they say, and many tests together find little that is not there."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.mining.statistics import (
    at_least,
    at_most,
    drawn_at_least,
    quantile_above,
    significant,
    wilson,
)


def binomial(successes: int, trials: int, share: Fraction) -> float:
    terms = (comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(max(0, successes), trials + 1))
    return float(sum(terms, Fraction()))


def hypergeometric(marked_drawn: int, drawn: int, marked: int, total: int) -> float:
    ways = (
        comb(marked, k) * comb(total - marked, drawn - k)
        for k in range(max(0, marked_drawn, drawn + marked - total), min(drawn, marked) + 1)
    )
    return float(Fraction(sum(ways), comb(total, drawn)))


@given(st.integers(1, 80), st.integers(-1, 81), st.integers(1, 19))
def test_the_binomial_tail_is_exact(trials: int, successes: int, twentieths: int) -> None:
    share = Fraction(twentieths, 20)
    assert at_least(successes, trials, float(share)) == pytest.approx(binomial(successes, trials, share), abs=1e-12)
    below = 1 - binomial(successes + 1, trials, share)
    assert at_most(successes, trials, float(share)) == pytest.approx(below, abs=1e-12)


@given(st.integers(1, 60), st.data())
def test_the_hypergeometric_tail_is_exact(total: int, data: st.DataObject) -> None:
    drawn, marked = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    found = data.draw(st.integers(-1, total + 1))
    expected = hypergeometric(found, drawn, marked, total)
    assert drawn_at_least(found, drawn, marked, total) == pytest.approx(expected, abs=1e-12)


def test_the_tails_of_a_million_add_up_to_one() -> None:
    for successes in (949_000, 950_000, 950_500):
        both = at_least(successes, 10**6, 0.95) + at_most(successes - 1, 10**6, 0.95)
        assert both == pytest.approx(1, abs=1e-7)
    assert 0 < at_least(960_000, 10**6, 0.95) < 1e-300 or at_least(960_000, 10**6, 0.95) == 0


def test_an_interval_of_wilson_covers_the_share_about_as_often_as_it_says() -> None:
    for share in (0.05, 0.5, 0.95):
        weights = [comb(100, k) * share**k * (1 - share) ** (100 - k) for k in range(101)]
        covered = sum(w for k, w in enumerate(weights) if wilson(k, 100)[0] <= share <= wilson(k, 100)[1])
        assert 0.93 < covered < 0.98
    assert wilson(0, 0) == (0, 1)
    assert wilson(10, 10)[1] == pytest.approx(1)


def test_the_bound_of_a_quantile_is_hardly_ever_below_it() -> None:
    rng = random.Random(5)
    below = 0
    for _ in range(1_000):
        bound = quantile_above(sorted(rng.random() for _ in range(80)), 0.9)
        assert bound is not None
        below += bound < 0.9
    assert below <= 40  # 2.5 % are expected
    assert quantile_above([1.0] * 20, 0.9) is None, "too few to say"
    assert quantile_above([], 0.9) is None


def test_what_is_significant_depends_on_how_much_was_looked_at() -> None:
    assert significant([0.04]) == [True]
    assert significant([0.04, 0.5]) == [False, False]
    assert significant([0.9, 0.001, 0.9]) == [False, True, False]
    assert significant([]) == []
    # Three tests: the harmonic number is 11/6, so that the steps are 0.0091, 0.0182 and 0.0273.
    assert significant([0.010, 0.018, 0.5]) == [True, True, False]
    assert significant([0.010, 0.019, 0.5]) == [False, False, False]


def test_a_weight_gives_a_test_more_of_the_share_and_takes_it_from_the_others() -> None:
    assert significant([0.015, 1.0, 1.0]) == [False, False, False]
    assert significant([0.015, 1.0, 1.0], [3, 1, 1]) == [True, False, False]
    assert significant([1.0, 0.008, 1.0], [3, 1, 1]) == [False, False, False]
    assert significant([0.01, 0.02], [2, 2]) == significant([0.01, 0.02])


@given(st.integers(0, 2**32))
def test_of_many_tests_without_any_effect_hardly_one_is_significant(seed: int) -> None:
    # A run without effects finds anything in at most one of twenty cases; here far below.
    rng = random.Random(seed)
    weights = [3.0] * 5 + [1.0] * 45
    runs = [significant([rng.random() for _ in range(50)], weights) for _ in range(40)]
    assert sum(map(any, runs)) <= 4
