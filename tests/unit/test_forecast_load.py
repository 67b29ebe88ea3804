"""What load and absences do to forecasts: fitted where the past shows it, and nobody decides while they are away."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from insight.forecast.delays import Delays, Pace, Wait
from insight.forecast.futures import Around, Draw, Futures, left_of
from insight.forecast.load import LEAST_WAITS, LoadedWait, LoadEffect, Loads
from insight.forecast.past_task import PastTask
from insight.forecast.survival import Survival
from service.forecasts.virtual import run
from tests.past import HOUR, ran, truth
from tests.unit.core import START, office, plan_of

PROCESS = {
    "name": "Expense",
    "version": "1.0.0",
    "owner": "user:olivia",
    "process_steps": [{"stage_name": "Manager"}, {"stage_name": "CFO", "approvers": ["role:cfo"]}],
}


def loaded(power: float, count: int = 1_000, *, seed: int = 1) -> list[LoadedWait]:
    draw = random.Random(seed)
    found: list[LoadedWait] = []
    for number in range(count):
        load = draw.randrange(20)
        person, own = (("quick", 1.0), ("slow", 20.0))[number % 2]
        seconds = own * 3600 * (1 + load) ** power * draw.lognormvariate(0, 0.7)
        found.append(LoadedWait(person, seconds, load))
    return found


@pytest.mark.parametrize("power", [0.3, 0.7])
def test_the_power_of_the_load_is_found_again(power: float) -> None:
    assert LoadEffect.of(loaded(power)).power == pytest.approx(power, abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_where_load_does_nothing_nothing_is_found(seed: int) -> None:
    assert LoadEffect.of(loaded(0.0, seed=seed)) == LoadEffect()


def test_slow_people_with_much_to_do_are_no_evidence() -> None:
    draw = random.Random(3)
    waits = [LoadedWait("quick", 3600 * draw.lognormvariate(0, 0.5), draw.randrange(3)) for _ in range(500)]
    waits += [LoadedWait("slow", 90_000 * draw.lognormvariate(0, 0.5), 20 + draw.randrange(3)) for _ in range(500)]
    assert LoadEffect.of(waits).power == 0.0


def test_a_few_waits_say_nothing() -> None:
    assert LoadEffect.of(loaded(0.7, LEAST_WAITS - 1)) == LoadEffect()


def test_a_wait_is_as_long_as_with_the_typical_load_where_the_load_is_not_known() -> None:
    effect = LoadEffect(power=0.5, typical=3)
    assert effect.factor(None) == effect.factor(3) == 1.0
    assert effect.factor(15) == 2.0
    assert effect.factor(0) == 0.5
    assert effect.factor(10_000) == 4.0, "no more is said than the past can show"


def test_loads_count_what_was_open_then_and_nothing_that_came_later() -> None:
    def task(opened: int, closed: int | None) -> PastTask:
        return PastTask(
            stage="Manager",
            person="mo",
            opened_at=START + opened * timedelta(hours=1),
            closed_at=None if closed is None else START + closed * timedelta(hours=1),
            decision="approve",
        )

    loads = Loads.of([task(0, 4), task(1, 2), task(1, None)])
    at = [loads.at("mo", START + hours * timedelta(hours=1)) for hours in (0, 1, 1.5, 2, 4, 9)]
    assert at == [0, 1, 3, 2, 1, 1]
    assert loads.at("nobody", START) == 0


def test_waits_grow_with_the_load_and_are_learned_as_with_the_typical_one() -> None:
    waits = [
        Wait(stage="Manager", person=one.person, seconds=one.seconds, decision="approve", load=one.load)
        for one in loaded(0.7)
        if one.person == "quick"
    ]
    delays = Delays.of(waits)
    idle, busy = (delays.wait_in("Manager", "quick", load).remaining(0.0, 0.5) for load in (1, 15))
    assert busy / idle == pytest.approx(8**0.7, rel=0.25)
    unknown = delays.wait_in("Manager").remaining(0.0, 0.5)
    assert idle < unknown < busy


def test_whoever_would_have_decided_before_they_are_back_takes_their_time_from_then_on() -> None:
    pace = Pace(waits=Survival.of([10.0, 20.0, 30.0, 40.0]))
    assert left_of(pace, 0.0, 0.0, 0.3) == 20.0
    assert left_of(pace, 0.0, 15.0, 0.3) == 20.0, "they decide after they are back anyway"
    assert left_of(pace, 0.0, 25.0, 0.3) == 45.0


def futures() -> Futures:
    return Futures(delays=truth({"Manager": (6, 0.5), "CFO": (6, 0.5)}, {"approve": 1.0}), run=run)


def test_nobody_decides_while_they_are_away_and_the_end_comes_later() -> None:
    plan = plan_of(PROCESS)
    now = START + timedelta(seconds=1)
    (state,) = ran(plan, office(), futures().delays, [("r", START, {})], now)
    (task,) = state.open_tasks
    assert task.assignee is not None
    back = now + 500 * timedelta(hours=1)
    there = futures().of(plan, state, now)
    away = futures().of(plan, state, now, Around(away={task.assignee: back}))
    assert max(there.closing) < 500 * HOUR
    assert min(away.closing) >= 500 * HOUR
    assert min(away.ending) >= 500 * HOUR
    assert sorted(away.closing) == pytest.approx(sorted(one + 500 * HOUR for one in there.closing), rel=0.01)


def test_others_who_may_decide_do_not_wait_for_who_is_away() -> None:
    plan = plan_of(PROCESS)
    now = START + timedelta(seconds=1)
    (state,) = ran(plan, office(), futures().delays, [("r", START, {})], now)
    (task,) = state.open_tasks
    assert task.assignee is not None
    back = now + timedelta(days=30)
    around = Around(away={task.assignee: back})
    assert around.free_at(task) == back
    assert around.free_at(replace(task, delegates=("dora",))) is None
    assert around.free_at(replace(task, assignee=None, candidates=("dora",))) is None
    soon = now + timedelta(hours=2)
    assert around.free_at(replace(task, escalate_at=soon)) == soon
    assert Around(away={"somebody": back}).free_at(task) is None


def test_a_draw_of_the_whole_process_holds_what_is_open_until_somebody_is_back() -> None:
    plan = plan_of(PROCESS)
    now = START + timedelta(hours=1)
    (state,) = ran(plan, office(), futures().delays, [("r", START, {})], START + timedelta(seconds=1))
    (task,) = state.open_tasks
    draw = Draw(delays=futures().delays, seed="1", waited={task.id: HOUR}, held={task.id: 900 * HOUR})
    future = run(plan, state, now, draw)
    assert future.closed_at[task.id] >= START + timedelta(hours=900)
