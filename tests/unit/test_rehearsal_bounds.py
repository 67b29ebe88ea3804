"""Bounds: a rehearsal follows a loop without end for some rounds, and everything that ends to its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from placet.engine.flow import MOST_VISITS
from placet.engine.run import MOST_TASKS
from placet.plan.plan import Child
from simulation.run.bounds import MOST_MOMENTS, MOST_ROUNDS, Bound, bound_of
from simulation.scenario.prepared_scenario import PreparedScenario
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.unit.core import ACTIONS, START, blueprint, graph, office, plan_of

AMOUNT = [{"name": "amount", "type": "decimal"}]
ANN = {"approvers": ["user:ann"]}
DAY = timedelta(days=1)


def circling(node: dict[str, Any], condition: str = "amount > 100.0") -> dict[str, Any]:
    """Return a process that enters a node again until the condition is met."""
    drawn = graph("start -> n", "n -> d", nodes={"n": node, "d": {"type": "decision"}})
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": condition},
        {"from": "d", "to": "n", "default": True},
    ]
    return blueprint(variables=AMOUNT, graph_spec=drawn)


def prepared(raw: dict[str, Any], *script: dict[str, Any], **more: Any) -> PreparedScenario:
    given = {"amount": "5"} if "variables" in raw else {}
    known = {"people": office(), "given": given, "actions": ACTIONS, "script": parse_script(list(script))}
    return PreparedScenario(Scenario(blueprint=raw, requester="rita", start=START, **{**known, **more}))


def bound(raw: dict[str, Any], *script: dict[str, Any], **more: Any) -> Bound | None:
    return bound_of(prepared(raw, *script, **more).simulate())


REJECTED = graph("start -> a", "a -> approved on approved", "a -> a on rejected", nodes={"a": {"step": "Stage 1"}})
AGAIN = blueprint(ANN, graph_spec=REJECTED)


@pytest.mark.parametrize(
    ("raw", "script", "limit"),
    [
        (circling({"type": "wait", "hours": 24}), [], DAY * MOST_ROUNDS),  # open at the horizon
        (
            circling({"type": "wait", "hours": 0.01}),
            [],
            timedelta(hours=0.01) * MOST_ROUNDS,
        ),  # fails in the end
        (circling({"type": "action", "action": "pay"}), [], timedelta(seconds=0.5) * MOST_ROUNDS),
        (AGAIN, [{"on": "Stage 1", "decision": "reject", "after_hours": 24}], DAY * (MOST_ROUNDS + 1)),
    ],
)
def test_a_loop_without_end_is_followed_for_some_rounds(
    raw: dict[str, Any], script: list[dict[str, Any]], limit: timedelta
) -> None:
    found = bound(raw, *script)
    assert found is not None
    assert (found.stopped, found.limit) == ("loop", limit)
    assert "endless loop" in found.why


def test_a_loop_inside_a_sub_process_counts_from_where_that_begins() -> None:
    nodes = {"w": {"type": "wait", "hours": 24}, "sub": {"type": "subprocess", "template": "Inner"}}
    nodes["sub"]["input"] = {"amount": {"expr": "amount"}}
    raw = blueprint(variables=AMOUNT, graph_spec=graph("start -> w", "w -> sub", "sub -> approved", nodes=nodes))
    inner = Child(template_id="inner", plan=plan_of(circling({"type": "wait", "hours": 24})))
    found = bound(raw, children={"Inner": inner})
    assert found is not None
    assert (found.stopped, found.limit) == ("loop", DAY * (MOST_ROUNDS + 1))


def test_what_ends_or_only_reminds_for_a_year_is_not_cut() -> None:
    daily = blueprint(ANN | {"sla_hours": 24, "reminders": {"every_hours": 24}})
    assert bound(daily, {"on": "Stage 1", "do": "wait"}) is None
    assert bound(daily, {"on": "Stage 1", "decision": "approve", "after_hours": 24 * 365}) is None
    line = {"on": "Stage 1", "decision": "reject", "times": MOST_ROUNDS * 3}
    assert bound(AGAIN, line, {"on": "Stage 1", "decision": "approve"}) is None, "a long loop that ends"


def test_more_moments_than_an_engine_takes_in_a_minute_are_cut() -> None:
    hourly = blueprint(ANN | {"sla_hours": 1, "reminders": {"every_hours": 1}})
    found = bound(hourly, {"on": "Stage 1", "do": "wait"})
    assert found is not None
    assert found.stopped == "moments"
    assert found.limit < timedelta(hours=MOST_MOMENTS + 2)


def test_a_stage_that_is_come_to_for_ever_fails_by_the_bound_of_visits_that_every_request_has() -> None:
    trace = prepared(AGAIN, {"on": "Stage 1", "decision": "reject"}).run()
    assert trace.state.status == "failed"
    assert trace.state.opened == MOST_VISITS


def test_a_stage_without_that_bound_is_given_up_before_it_takes_minutes() -> None:
    trace = prepared({**AGAIN, "format": 1}, {"on": "Stage 1", "decision": "reject"}).run()
    assert trace.stopped == "entries"
    assert len(trace.state.tasks) <= MOST_TASKS + 1
