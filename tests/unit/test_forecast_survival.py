"""How long waits last, where some are not over yet: against published values, and what holds of every estimate."""

from __future__ import annotations

import random
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.forecast.delays import LEAST_OF_PERSON, LEAST_OF_STAGE, Delays, Wait
from insight.forecast.survival import Survival

SECONDS = st.floats(min_value=0, max_value=1e7, allow_nan=False)
SHARES = st.floats(min_value=0.001, max_value=0.999)
# Weeks of remission with 6-mercaptopurine (Freireich and others, 1963), the example of every textbook.
ENDED = (6, 6, 6, 7, 10, 13, 16, 22, 23)
CENSORED = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)


@pytest.mark.parametrize(
    ("week", "share"),
    [(0, 1.0), (5.9, 1.0), (6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (22, 0.538), (23, 0.448)],
)
def test_the_estimate_is_the_published_one(week: float, share: float) -> None:
    assert Survival.of(ENDED, CENSORED).beyond(week) == pytest.approx(share, abs=0.0005)


def test_waits_that_are_not_over_make_the_median_longer() -> None:
    assert Survival.of(ENDED).quantile(0.5) == 10
    assert Survival.of(ENDED, CENSORED).quantile(0.5) == 23


def test_without_open_waits_it_is_the_share_of_those_that_lasted_longer() -> None:
    survival = Survival.of([1, 2, 3, 4])
    assert [survival.beyond(time) for time in (0.5, 1, 2, 3, 3.5)] == pytest.approx([1, 0.75, 0.5, 0.25, 0.25])


def test_what_was_waited_already_counts() -> None:
    # Of 1, 2, 3 and 10, whoever has waited 2 is one of the two that take 3 and 10.
    survival = Survival.of([1, 2, 3, 10])
    assert survival.remaining(2, 0.49) == 1
    assert survival.remaining(2, 0.51) == 8
    assert survival.remaining(0, 0.49) == 2


def test_whoever_has_waited_longest_waits_on_for_an_average_that_the_past_gives() -> None:
    survival = Survival.of([10, 30], [60])
    assert survival.tail == 50, "100 seconds were waited for two ends"
    assert survival.remaining(100, 1 - exp(-1)) == pytest.approx(50)


def test_the_share_that_outlasts_every_end_goes_on_beyond_the_last_one() -> None:
    survival = Survival.of([10], [20])  # a half ends at 10; 30 seconds were waited for it
    assert survival.beyond(10) == pytest.approx(0.5)
    assert survival.quantile(1 - 0.5 * exp(-1)) == pytest.approx(10 + 30)


def test_nothing_is_said_where_nothing_ended() -> None:
    with pytest.raises(ValueError, match="no wait has ended"):
        Survival.of([], [1.0])


@given(st.lists(SECONDS, min_size=1, max_size=40), st.lists(SECONDS, max_size=40), SECONDS, SHARES, SHARES)
def test_shares_fall_and_times_rise(
    ended: list[float], censored: list[float], waited: float, one: float, other: float
) -> None:
    survival = Survival.of(ended, censored)
    assert all(0 <= share <= 1 for share in survival.surviving)
    assert list(survival.surviving) == sorted(survival.surviving, reverse=True)
    low, high = sorted((one, other))
    assert 0 <= survival.remaining(waited, low) <= survival.remaining(waited, high)
    assert survival.beyond(waited) >= survival.beyond(waited + 1)


@given(st.lists(SECONDS, min_size=1, max_size=40), st.lists(SECONDS, max_size=40))
def test_open_waits_never_make_waits_seem_shorter(ended: list[float], censored: list[float]) -> None:
    longest = [max(ended) for _ in censored]
    assert Survival.of(ended, longest).beyond(max(ended) / 2) >= Survival.of(ended).beyond(max(ended) / 2) - 1e-9


def test_an_even_draw_gives_the_distribution_back() -> None:
    draw = random.Random(1)
    past = [draw.expovariate(1 / 3600) for _ in range(3_000)]
    survival = Survival.of(past)
    drawn = sorted(survival.remaining(0, (n + 0.5) / 1_000) for n in range(1_000))
    assert drawn[500] == pytest.approx(sorted(past)[1_500], rel=0.02)


def waits(stage: str, person: str, seconds: float, count: int) -> list[Wait]:
    return [Wait(stage=stage, person=person, seconds=seconds, decision="approve") for _ in range(count)]


def test_an_approver_has_a_distribution_of_their_own_with_enough_decisions_and_a_stage_too() -> None:
    known = waits("A", "slow", 900, LEAST_OF_PERSON) + waits("A", "rare", 10, LEAST_OF_PERSON - 1)
    delays = Delays.of([*known, *waits("B", "slow", 5, LEAST_OF_STAGE - 1)])
    assert delays.wait_in("A", "slow").waits.times == (900,)
    assert delays.wait_in("A", "rare").waits is delays.wait_in("A").waits is delays.stages["A"]
    assert delays.wait_in("B").waits is delays.everywhere
    assert delays.wait_in("never seen").waits is delays.everywhere


def test_decisions_come_in_the_shares_of_the_past() -> None:
    known = waits("A", "x", 1, 8)
    known += [Wait(stage="A", person="x", seconds=1, decision="reject") for _ in range(2)]
    delays = Delays.of([*known, Wait(stage="A", person="x", seconds=1, decision=None)])
    drawn = [delays.decision_in("A", (n + 0.5) / 10) for n in range(10)]
    assert drawn.count("approve") == 8
    assert drawn.count("reject") == 2
