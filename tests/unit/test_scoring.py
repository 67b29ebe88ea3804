"""The scorer of suggestions: it learns what is accepted here, says so with calibrated chances, and else nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight.scoring.features import KINDS, Suggested, features
from insight.scoring.logistic import chance_of, fit
from insight.scoring.scorer import LEAST_OF_BOTH, UNLIKELY, Reviewed, learn


def drawn(draw: random.Random, kind: str | None = None) -> Suggested:
    """Return some suggestion."""
    compared = draw.choice((0, 40, 300))
    return Suggested(
        kind=kind or draw.choice(KINDS),
        confidence=draw.uniform(0.5, 0.999),
        count=draw.randrange(10, 3_000),
        age_days=draw.uniform(0, 20),
        compared=compared,
        outcome_changed=draw.uniform(0, 0.1) if compared else 0.0,
        duration_changed=draw.uniform(-0.5, 0.5) if compared else 0.0,
        overdue_changed=draw.uniform(-0.2, 0.2) if compared else 0.0,
        faults=0,
        operations=draw.randrange(1, 5),
    )


def reviewed(count: int, chance: Callable[[Suggested], float], seed: int = 0) -> list[Reviewed]:
    """Return suggestions of which people accept each with a chance."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        one = drawn(draw)
        found.append(Reviewed(suggested=one, accepted=draw.random() < chance(one), subject=str(number)))
    return found


def by_kind(one: Suggested) -> float:
    """People who like to leave stages out, and who mind every other deadline."""
    return {"auto_approval": 0.95, "sla_target": 0.03}.get(one.kind, 0.4)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([0.0, 0.1, 0.9, 1.0])), min_size=3, max_size=30
    ),
    st.sampled_from([0.1, 1.0, 10.0]),
)
def test_a_fit_is_where_likelihood_and_penalty_balance(points: list[tuple[float, float, float]], ridge: float) -> None:
    rows, labels = [point[:2] for point in points], [point[2] for point in points]
    if len({*labels}) == 1 and labels[0] in {0.0, 1.0}:
        return  # of one kind alone, nothing can be learned: the intercept has no end
    intercept, *weights = fit(rows, labels, ridge=ridge)
    misses = [
        label - chance_of(intercept + sum(w * x for w, x in zip(weights, row, strict=True)))
        for row, label in zip(rows, labels, strict=True)
    ]
    assert sum(misses) == pytest.approx(0, abs=1e-5)
    for n, weight in enumerate(weights):
        pull = sum(miss * row[n] for miss, row in zip(misses, rows, strict=True))
        assert pull == pytest.approx(ridge * weight, abs=1e-5)


@pytest.mark.parametrize(("accepted", "rejected"), [(LEAST_OF_BOTH - 1, 500), (500, LEAST_OF_BOTH - 1), (0, 0)])
def test_too_few_of_either_kind_teach_nothing(accepted: int, rejected: int) -> None:
    draw = random.Random(1)
    past = [
        Reviewed(suggested=drawn(draw, KINDS[number < accepted]), accepted=number < accepted, subject=str(number))
        for number in range(accepted + rejected)
    ]
    learned = learn(past)
    assert (learned.accepted, learned.rejected) == (accepted, rejected)
    assert learned.scorer is learned.brier is None


def test_where_people_decide_by_a_coin_no_scorer_is_used() -> None:
    used = [learn(reviewed(150, lambda _: 0.5, seed)).scorer is not None for seed in range(40)]
    assert sum(used) <= 4, "one in twenty may seem better by chance"


def test_what_people_prefer_is_learned_and_chances_are_as_often_right_as_they_say() -> None:
    learned = learn(reviewed(400, by_kind))
    assert learned.scorer is not None
    assert learned.brier is not None
    assert learned.brier_of_base_rate is not None
    assert learned.brier < learned.brier_of_base_rate
    others = reviewed(4_000, by_kind, seed=7)
    said = [(learned.scorer.chance(one.suggested), one.accepted) for one in others]
    for low, high in ((0.0, 0.2), (0.2, 0.6), (0.6, 1.0)):
        inside = [pair for pair in said if low <= pair[0] < high]
        assert len(inside) > 100
        mean = sum(chance for chance, _ in inside) / len(inside)
        assert mean == pytest.approx(sum(accepted for _, accepted in inside) / len(inside), abs=0.12)
    brier = sum((chance - accepted) ** 2 for chance, accepted in said) / len(said)
    assert brier == pytest.approx(learned.brier, abs=0.04), "what is told of held-out ones holds for others"
    draw = random.Random(3)
    liked, minded = drawn(draw, "auto_approval"), drawn(draw, "sla_target")
    assert learned.scorer.chance(liked) > 0.8
    assert learned.scorer.chance(minded) < 2 * UNLIKELY


def test_learning_again_gives_the_same_scorer() -> None:
    past = reviewed(120, by_kind)
    assert learn(past) == learn(list(past))


def test_the_same_thing_suggested_again_and_again_does_not_make_a_scorer_look_good() -> None:
    draw = random.Random(5)
    past = []
    for subject in range(12):  # each decided by a coin, and then the same way ten times
        one, accepted = drawn(draw, KINDS[0]), draw.random() < 0.5
        past += [
            Reviewed(suggested=replace(one, count=one.count + again), accepted=accepted, subject=str(subject))
            for again in range(10)
        ]
    assert learn(past).scorer is None


def test_features_are_the_same_numbers_for_all_and_finite_at_the_ends() -> None:
    draw = random.Random(2)
    one = drawn(draw)
    ends = [
        replace(one, confidence=1.0, count=0, age_days=0.0),
        replace(one, confidence=0.0, count=10**9, duration_changed=99.0, overdue_changed=-99.0, faults=3),
        replace(one, kind="something new"),
    ]
    rows = [features(end) for end in ends]
    assert {len(row) for row in rows} == {len(features(one))}
    assert all(abs(value) < 50 for row in rows for value in row)
    assert sum(rows[2][: len(KINDS)]) == 0
