"""Actions in simulations: what a machine asks for is approved, claimed and expires in virtual time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from placet.errors import InputInvalid
from simulation.modes.backtest import Case
from simulation.modes.explore import explore
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.result import SimulationResult
from simulation.scenario.asked_action import AskedAction
from simulation.scenario.prepared_scenario import PreparedScenario
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from simulation.scenario.spec import parse_spec
from tests.unit.core import START, blueprint, office

ACTION = {"type": "payment", "target": "DE02", "parameters": {"amount": 82000}, "expires_after_hours": 30}
APPROVES = {"on": "Stage 1", "decision": "approve", "after_hours": 10}
HOUR_MS = 3_600_000


def scenario(*lines: dict[str, Any], **more: Any) -> Scenario:
    """Give a request for the payment, which Mo decides after ten hours unless the lines say otherwise."""
    action = AskedAction.model_validate(ACTION)
    known = {"blueprint": blueprint({}), "people": office(), "requester": "rita", "start": START, "action": action}
    return Scenario(**{**known, "script": parse_script([*lines, APPROVES]), **more})


def after_the_decision(found: SimulationResult) -> list[tuple[int, str, str]]:
    """List what came after the decision: hours after the start, kind and actor."""
    kinds = [step.kind for step in found.execution_path]
    later = found.execution_path[kinds.index("completed") :]
    return [(step.after_ms // HOUR_MS, step.kind, step.actor) for step in later]


def test_an_approved_action_is_claimed_once_and_only_as_it_was_approved() -> None:
    other = {"do": "claim_action", "after_hours": 1, "parameters": {"amount": 820000}}
    found = explore(scenario(other, {"do": "claim_action", "after_hours": 2}, {"do": "claim_action", "after_hours": 3}))
    assert after_the_decision(found) == [
        (10, "completed", "system"),
        (11, "claim_refused", "user:rita"),
        (12, "claimed", "user:rita"),
    ]
    assert (found.outcome, found.predicted_duration_ms) == ("approved", 10 * HOUR_MS), "people had to wait till then"
    unused = [warning for warning in found.warnings if "was not used" in warning]
    assert unused == [
        "line 3 of the script was not used: the request was not approved, or its action was claimed before"
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"at_hours": 9}, "not approved"),  # before the approval
        ({"after_hours": 1, "by": "ann"}, "Only the requester"),
    ],
)
def test_a_claim_that_the_core_refuses_is_listed_and_the_action_expires(line: dict[str, Any], why: str) -> None:
    found = explore(scenario({"do": "claim_action", **line}))
    assert [(one["what"], why in one["why"]) for one in found.refused] == [("claimaction", True)]
    assert after_the_decision(found) == [(10, "completed", "system"), (30, "claim_expired", "system")]


def test_a_request_that_is_not_approved_has_nothing_to_claim() -> None:
    rejects = {"on": "Stage 1", "decision": "reject", "comment": "No."}
    found = explore(scenario(rejects, {"do": "claim_action", "after_hours": 1}))
    assert found.outcome == "rejected"
    assert "claim" not in {step.kind.partition("_")[0] for step in found.execution_path}


def test_a_simulation_that_ends_before_the_claim_does_has_an_outcome_all_the_same() -> None:
    found = explore(scenario(horizon=timedelta(hours=20)))
    assert (found.outcome, found.stopped) == ("approved", None)
    assert after_the_decision(found) == [(10, "completed", "system")]


def test_a_replay_of_a_request_whose_action_was_claimed_differs_in_nothing() -> None:
    asked = scenario({"do": "claim_action", "after_hours": 2})
    trace = PreparedScenario(asked).run()
    assert trace.entries[-1].kind == "claimed"
    case = Case(
        id="r", requester="rita", given={}, status="completed", outcome="approved", started_at=START,
        ended_at=trace.state.ended_at, entries=trace.entries,
    )  # fmt: skip
    checked = HistoryCheck(ok=None, why="there is none")
    again = scenario(action=None, script=())
    found = what_if(again, case, history_check=checked, now=START + timedelta(days=9), unchanged=True)
    assert found.extra["timelines_differ"] == 0, found.extra["timelines"]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"parameters": {"amount": 2**53 + 1}}, "/action/parameters/amount"),
        ({"target": "DE02\u202e"}, "/action/target"),
        ({"expires_after_hours": 0}, "/action/expires_after_hours"),
        ({"expires_at": "2026-03-02T09:00:00Z"}, "/action/expires_at"),
    ],
)
def test_an_action_that_nobody_could_approve_exactly_is_refused_with_its_place(
    changed: dict[str, Any], place: str
) -> None:
    with pytest.raises(InputInvalid) as refused:
        parse_spec({"template": "Payments", "action": {**ACTION, **changed}})
    assert [problem.pointer for problem in refused.value.problems] == [place]


def test_a_claim_needs_an_action_and_parameters_need_a_claim() -> None:
    with pytest.raises(InputInvalid, match="asks for no action") as refused:
        PreparedScenario(scenario({"do": "claim_action"}, action=None))
    assert refused.value.problems[0].pointer == "/script/0/do"
    with pytest.raises(InputInvalid) as refused:
        parse_script([{"do": "decide", "decision": "approve", "parameters": {}}])
    assert '"claim_action"' in refused.value.problems[0].message
    with pytest.raises(InputInvalid) as refused:
        PreparedScenario(scenario({"do": "claim_action", "parameters": {"amount": 2**53 + 1}}))
    assert refused.value.problems[0].pointer == "/script/0/parameters/amount"
