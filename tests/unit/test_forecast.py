"""Forecasts for open requests, on a past that the core made with people whose waits are given."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import pytest

from insight.forecast import forecaster as forecasts
from insight.forecast.forecaster import LEAST_CASES, TOO_FEW, Forecast, Forecaster
from insight.forecast.futures import due_first, position
from insight.forecast.past_task import PastTask
from placet.engine.state import State
from service.forecasts.learning import learn_from
from tests.past import ran, row_of, spread, truth
from tests.unit.core import HOUR, START, graph, office, plan_of

WEEK = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
NODES = {"manager": {"step": "Manager"}, "cfo": {"step": "CFO"}, "large": {"type": "decision"}}
DRAWN = graph(
    "start -> manager",
    "manager -> large on approved",
    "manager -> rejected on rejected",
    "cfo -> approved on approved",
    "cfo -> rejected on rejected",
    nodes=NODES,
)
RAW: dict[str, Any] = {
    "name": "Expense",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal", "required": True, "minimum": 0}],
    "settings": {"timezone": "Europe/Berlin", "calendar": {"hours": WEEK}},
    "process_steps": [
        {"stage_name": "Manager", "sla_hours": 8},
        {"stage_name": "CFO", "approvers": ["role:cfo"], "sla_hours": 40},
    ],
    "graph_spec": {
        **DRAWN,
        "edges": [
            *DRAWN["edges"],
            {"from": "large", "to": "cfo", "condition": "amount > 5000"},
            {"from": "large", "to": "approved", "default": True},
        ],
    },
}
PLAN = plan_of(RAW)
TRUTH = truth({"Manager": (6, 1.0), "CFO": (16, 0.8)}, {"approve": 0.85, "reject": 0.1, "request_changes": 0.05})
GAP = timedelta(minutes=37)


@lru_cache(maxsize=1)
def past(count: int = 900) -> tuple[list[State], datetime]:
    now = START + count * GAP
    return ran(PLAN, office(), TRUTH, spread(count, START, GAP), now), now


@lru_cache(maxsize=1)
def learned() -> Forecaster:
    states, _ = past()
    found = learn_from(PLAN, [row_of(state) for state in states], office())
    assert found != TOO_FEW
    return found


def test_below_a_number_of_finished_requests_it_says_too_few_and_nothing_else() -> None:
    states, _ = past()
    finished = [row_of(state) for state in states if state.status == "completed"]
    still_open = [row_of(state) for state in states if state.status == "pending"]
    assert learn_from(PLAN, finished[: LEAST_CASES - 1] + still_open, office()) == TOO_FEW
    assert learn_from(PLAN, finished[:LEAST_CASES], office()) != TOO_FEW
    assert learn_from(PLAN, [], office()) == TOO_FEW


def test_withdrawn_requests_are_no_finished_ones() -> None:
    states, _ = past()
    finished = [row_of(state) for state in states if state.status == "completed"][:LEAST_CASES]
    withdrawn = [replace(finished[0], status="cancelled"), *finished[1:]]
    assert learn_from(PLAN, withdrawn, office()) == TOO_FEW


def test_the_stated_coverage_holds_for_what_is_open_now() -> None:
    states, now = past()
    later = {
        state.request_id: state for state in ran(PLAN, office(), TRUTH, spread(900, START, GAP), now + 9_000 * HOUR)
    }
    inside: list[bool] = []
    for state in states:
        if state.status != "pending":
            continue
        finish = learned().of(PLAN, state, now).finish
        ended_at = later[state.request_id].ended_at
        assert finish is not None
        assert finish.high is not None
        assert ended_at is not None
        assert finish.low <= finish.expected <= finish.high
        inside.append(finish.low <= ended_at <= finish.high)
    assert len(inside) > 80
    # Three standard deviations of as many tosses.
    assert sum(inside) / len(inside) == pytest.approx(0.8, abs=3 * (0.8 * 0.2 / len(inside)) ** 0.5)


def test_what_was_held_out_says_how_right_it_was() -> None:
    held_out = learned().held_out
    assert held_out.cases > 100
    assert held_out.coverage == pytest.approx(0.8, abs=0.12)
    assert held_out.deadlines > 100
    assert held_out.brier is not None
    assert held_out.brier < 0.2, "always saying the share that misses would be about 0.22"


def manager_has_it() -> tuple[State, datetime]:
    states, _ = past()
    state = next(one for one in reversed(states) if one.status == "pending" and one.stage == "Manager")
    return state, state.tasks[0].opened_at


def said(state: State, at: datetime) -> Forecast:
    return learned().of(PLAN, state, at)


def test_the_longer_a_task_waits_the_likelier_it_misses_its_deadline() -> None:
    state, opened = manager_has_it()
    task = due_first(state)
    assert task is not None
    assert task.due_at is not None
    chances = [said(state, opened + part * (task.due_at - opened)).miss_probability for part in (0.0, 0.9, 1.0)]
    assert all(chance is not None for chance in chances)
    first, late, at_deadline = (chance or 0.0 for chance in chances)
    assert first < late < at_deadline == 1.0
    assert said(state, opened).deadline == task.due_at
    assert said(state, opened).task_id == task.id


def test_a_large_amount_takes_the_cfos_time_as_well() -> None:
    state, opened = manager_has_it()
    small, large = (replace(state, input={"amount": amount}) for amount in ("100", "9000"))
    finishes = [said(one, opened).finish for one in (small, large)]
    assert finishes[0] is not None
    assert finishes[1] is not None
    assert finishes[0].expected < finishes[1].expected


def test_nothing_finishes_outside_of_working_time() -> None:
    states, now = past()
    for state in [one for one in states if one.status == "pending"][:30]:
        finish = said(state, now).finish
        assert finish is not None
        assert finish.expected.weekday() < 5


def test_the_same_seed_says_the_same_also_in_another_process() -> None:
    state, opened = manager_has_it()
    rows = [row_of(one) for one in past()[0]]
    again = learn_from(PLAN, rows, office())
    assert again != TOO_FEW
    copied = pickle.loads(pickle.dumps(again))
    assert copied.of(PLAN, state, opened) == learned().of(PLAN, state, opened)


def test_requests_in_the_same_position_share_their_draws() -> None:
    states, _ = past()
    places = {position(PLAN, state) for state in states if state.status == "pending" and state.round == 1}
    # The manager or the CFO, below or above 5,000; a returned request has none.
    assert len(places - {None}) <= 3


def test_the_share_of_a_position_agrees_with_a_requests_own_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    state, opened = manager_has_it()
    shared = learned().calibrated.futures.of(PLAN, state, opened)
    monkeypatch.setattr("insight.forecast.futures.position", lambda *_: None)
    own = replace(learned().calibrated.futures, draws=400).of(PLAN, state, opened)
    for one, other in ((shared.ending, own.ending), (shared.closing, own.closing)):
        assert sum(one) / len(one) == pytest.approx(sum(other) / len(other), rel=0.25)


def test_where_the_end_depends_on_what_nobody_knows_only_the_task_is_forecast() -> None:
    raw = {
        **RAW,
        "graph_spec": graph(
            "start -> manager",
            "manager -> waits on approved",
            "manager -> rejected on rejected",
            "waits -> approved on done",
            nodes={"manager": {"step": "Manager"}, "waits": {"type": "subprocess", "template": "Other"}},
        ),
        "process_steps": RAW["process_steps"][:1],
    }
    other = {"name": "Other", "version": "1.0.0", "owner": "user:olivia", "process_steps": [{"stage_name": "X"}]}
    plan = plan_of(raw, children={"Other": other})
    (state,) = ran(plan, office(), TRUTH, [("r", START, {"amount": "1"})], START + timedelta(seconds=1))
    forecast = learned().of(plan, state, START + timedelta(seconds=1))
    assert forecast.finish is None
    assert forecast.miss_probability is None or 0 < forecast.miss_probability < 1


def test_what_is_open_at_the_moment_of_learning_counts_as_a_wait_that_lasted_at_least_so_long() -> None:
    state, _ = manager_has_it()
    rows = [row_of(one) for one in past()[0]]
    cases = [forecasts.PastCase(id=row.id, finished_at=row.ended_at, tasks=()) for row in rows]
    task = state.tasks[0]
    seen = PastTask(
        stage=task.stage,
        person="mo",
        opened_at=task.opened_at,
        closed_at=task.opened_at + 30 * 24 * HOUR,
        decision="approve",
    )
    quick = replace(seen, closed_at=task.opened_at + HOUR)
    cases[0] = replace(cases[0], tasks=(seen, *[quick] * 9))
    delays = forecasts.delays_at(cases, task.opened_at + 24 * HOUR, PLAN.calendar)
    assert delays is not None
    assert (delays.everywhere.ended, delays.everywhere.censored) == (9, 1)
