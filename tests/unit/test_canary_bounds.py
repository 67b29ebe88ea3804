"""Bounds that hold at all times: they hold while somebody looks after each value, and they find what is planted."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.canary.assignment import Arm, arm_of, chance_of_new, number_of
from insight.canary.bounds import Interval, Score, differences, evidence, interval, shares
from insight.canary.comparison import Compared, Measure, Observation, compare

LEVEL = 0.1
STREAMS = 200
LENGTH = 150
_values = st.lists(st.floats(0, 1), max_size=40)
_draws = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=40)

DRAWS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "rare": (lambda draw: float(draw.random() < 0.02), 0.02),
    "even": (lambda draw: float(draw.random() < 0.5), 0.5),
    "nearly always": (lambda draw: float(draw.random() < 0.97), 0.97),
    "spread": (lambda draw: draw.random(), 0.5),
    "skewed": (lambda draw: draw.betavariate(0.3, 1.2), 0.2),
    "constant": (lambda _: 0.25, 0.25),
}


def refuted(scores: list[Score], mean: float, level: float) -> bool:
    """Whether a mean was ever outside of its interval, which was looked at after each value."""
    mirrored = [score.mirrored() for score in scores]
    most = math.log(2 / level)
    return evidence(scores, mean, level=level / 2) >= most or evidence(mirrored, -mean, level=level / 2) >= most


@pytest.mark.parametrize("name", DRAWS)
def test_a_mean_is_within_its_interval_all_the_time_with_the_stated_chance(name: str) -> None:
    draw, mean = DRAWS[name]
    chance = random.Random(f"coverage {name}")
    missed = sum(refuted(shares([draw(chance) for _ in range(LENGTH)]), mean, LEVEL) for _ in range(STREAMS))
    assert missed <= STREAMS * LEVEL, f"{missed} of {STREAMS} streams left their interval"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_difference_is_within_its_interval_all_the_time_with_the_stated_chance(share: float) -> None:
    chance = random.Random(f"difference {share}")
    missed = 0
    for _ in range(STREAMS):
        drawn = [(chance.random() < share, chance.random()) for _ in range(LENGTH)]
        values = [(new, float(number < (0.5 if new else 0.3))) for new, number in drawn]
        missed += refuted(differences(values, share), 0.2, LEVEL)
    assert missed <= STREAMS * LEVEL


@given(_values, st.floats(0.01, 0.5))
def test_an_interval_lies_around_what_was_never_refuted(values: list[float], level: float) -> None:
    found = interval(shares(values), level=level, least=0, most=1)
    assert 0 <= found.low <= found.high <= 1
    if not values:
        assert found == Interval(low=0, high=1)
    for mean in (0.0, 0.2, 0.5, 0.9, 1.0):
        outside = mean < found.low - 1e-5 or mean > found.high + 1e-5
        assert (
            refuted(shares(values), mean, level) == outside
            or math.isclose(mean, found.low, abs_tol=1e-5)
            or (math.isclose(mean, found.high, abs_tol=1e-5))
        )


@given(_values)
def test_more_values_never_widen_an_interval(values: list[float]) -> None:
    before = Interval(low=0, high=1)
    for end in range(len(values) + 1):
        found = interval(shares(values[:end]), level=LEVEL, least=0, most=1)
        assert found.low >= before.low - 1e-6
        assert found.high <= before.high + 1e-6
        before = found


@given(_draws, st.floats(0.05, 0.95))
def test_each_score_is_between_what_it_could_be(values: list[tuple[bool, float]], chance: float) -> None:
    for score in differences(values, chance):
        assert score.low - 1e-9 <= score.value <= score.high + 1e-9


def test_the_scores_of_a_difference_have_it_as_their_expectation() -> None:
    # Whatever came before: the next request is drawn into either arm, and has the mean of that arm.
    before = [(True, 0.3), (False, 0.9), (True, 0.1)]
    new, old, chance = 0.7, 0.4, 0.2
    first, second = (differences([*before, one], chance)[-1].value for one in ((True, new), (False, old)))
    assert chance * first + (1 - chance) * second == pytest.approx(new - old)


# --- canaries ---


def requests(
    seed: str, count: int, share: float, old: Callable[[float], float], new: Callable[[float], float]
) -> Iterator[Observation]:
    chance = random.Random(seed)
    for _ in range(count):
        is_new, number = chance.random() < share, chance.random()
        yield Observation(new=is_new, values={"outcome": new(number) if is_new else old(number)})


def verdict(observations: list[Observation], measure: Measure, share: float) -> Compared:
    (found,) = compare([measure], observations, chance=share, alpha=0.05)
    return found


OUTCOME = Measure(name="outcome", most=1.0, margin=0.05, either=True)


def reverted_after(observations: list[Observation], measure: Measure, share: float) -> int | None:
    """Return after how many requests harm shows, looking every five."""
    for end in range(5, len(observations) + 1, 5):
        if verdict(observations[:end], measure, share).verdict == "harm":
            return end
    return None


def test_a_version_that_rejects_what_was_approved_is_found_within_twenty_requests() -> None:
    found = [
        reverted_after(list(requests(f"harm {n}", 40, 0.5, lambda _: 1.0, lambda _: 0.0)), OUTCOME, 0.5)
        for n in range(10)
    ]
    assert all(end is not None and end <= 20 for end in found), found


def test_a_planted_harm_shows_also_where_the_share_is_small() -> None:
    late = Measure(name="outcome", most=1.0, margin=0.05)
    found = 0
    for n in range(10):
        given_ = list(requests(f"late {n}", 800, 0.1, lambda x: float(x < 0.1), lambda x: float(x < 0.6)))
        found += verdict(given_, late, 0.1).verdict == "harm"
    assert found >= 9


def test_a_version_that_does_no_harm_is_reverted_no_more_often_than_declared() -> None:
    # As if the guard had looked after each request; it is on the margin itself, where the chance is greatest.
    streams, false = 300, 0
    for n in range(streams):
        given_ = list(requests(f"same {n}", 200, 0.3, lambda x: float(x < 0.7), lambda x: float(x < 0.8)))
        values = [(one.new, one.values["outcome"]) for one in given_]
        false += refuted(differences(values, 0.3), 0.1, LEVEL)
    assert false <= streams * LEVEL


def test_a_slow_week_that_both_versions_have_is_no_harm() -> None:
    # The share that is late rises from 5 % to 90 % for both: what they have in common cancels.
    streams, false = 100, 0
    for n in range(streams):
        chance = random.Random(f"week {n}")
        late = [0.05] * 150 + [0.9] * 150
        values = [(chance.random() < 0.5, float(chance.random() < share)) for share in late]
        false += refuted(differences(values, 0.5), 0.0, LEVEL)
    assert false <= streams * LEVEL


def test_enough_requests_without_a_difference_show_that_there_is_no_harm() -> None:
    same = list(requests("enough", 3000, 0.5, lambda x: float(x < 0.95), lambda x: float(x < 0.95)))
    assert verdict(same, OUTCOME, 0.5).verdict == "no_harm"


def test_a_difference_the_other_way_is_harm_only_where_either_way_is() -> None:
    better = list(requests("better", 60, 0.5, lambda _: 0.0, lambda _: 1.0))
    assert verdict(better, OUTCOME, 0.5).verdict == "harm"  # people rejected what the new version approves
    worse = [Observation(new=not one.new, values=one.values) for one in better]
    one_way = Measure(name="outcome", most=1.0, margin=0.05)
    assert verdict(worse, one_way, 0.5).verdict != "harm"
    assert verdict(better, one_way, 0.5).verdict == "harm"


def test_measures_are_in_their_units_and_share_the_chance_of_an_error() -> None:
    measures = [Measure(name="duration_seconds", most=3600.0, margin=600.0), Measure(name="sla", most=1.0)]
    given_ = [
        Observation(new=n % 2 == 0, values={"duration_seconds": 3600.0 if n % 2 == 0 else 60.0, "sla": 0.0})
        for n in range(60)
    ]
    duration, sla = compare(measures, given_, chance=0.5)
    assert (duration.new.count, duration.new.mean, duration.old.mean) == (30, 3600, 60)
    assert duration.difference.low > 600
    assert duration.verdict == "harm"
    assert sla.verdict == "not_guarded"
    alone = compare(measures[:1], given_, chance=0.5)[0]
    assert alone.difference.low > duration.difference.low


def test_what_was_not_measured_of_a_request_is_left_out_of_that_measure() -> None:
    measures = [Measure(name="sla", most=1.0), Measure(name="cost", most=10.0)]
    sla, cost = compare(measures, [Observation(new=True, values={"sla": 1.0})], chance=0.5)
    assert (sla.new.count, cost.new.count, cost.new.mean) == (1, 0, None)


# --- which request goes where ---


def test_a_request_is_always_given_the_same_version_and_canaries_do_not_agree() -> None:
    assert number_of("c", "r") == number_of("c", "r")
    assert number_of("c", "r") != number_of("d", "r")


@pytest.mark.parametrize(("share", "sample"), [(0.5, 0.0), (0.2, 0.25), (1.0, 0.1)])
def test_requests_are_split_by_the_share_and_the_sample(share: float, sample: float) -> None:
    arms: list[Arm] = [arm_of("canary", f"request {n}", share=share, people_sample=sample) for n in range(20_000)]
    assert arms.count("new") / 20_000 == pytest.approx(chance_of_new(share, sample), abs=0.012)
    assert arms.count("sample") / 20_000 == pytest.approx(share * sample, abs=0.012)
