"""Sampled approvers: the same seed draws the same, and shares are what was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from placet.errors import InputInvalid
from simulation.modes.explore import explore
from simulation.report.result import SimulationResult
from simulation.scenario.approver_model import Sample
from simulation.scenario.prepared_scenario import prepare
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from simulation.scenario.spec import parse_spec
from tests.past_waits import waits
from tests.unit.core import START, office

EXPENSE = json.loads((Path(__file__).parents[2] / "blueprints" / "expense.json").read_text())
HOUR_MS = 3_600_000


def scenario_of(seed: int, approve: float = 0.5, **more: Any) -> Scenario:
    known = {"blueprint": EXPENSE, "people": office(), "requester": "rita", "start": START}
    drawn = {"given": {"amount": "9000", "department": "it"}, "sample": Sample(seed=seed, approve=approve)}
    return Scenario(**(known | drawn | more))


def sampled(seed: int, **more: Any) -> SimulationResult:
    return explore(scenario_of(seed, **more))


def outcome(seed: int, approve: float, **more: Any) -> str | None:
    """Return how the request alone ends: an exploration also predicts from a hundred others."""
    prepared, _ = prepare(scenario_of(seed, approve, **more))
    assert prepared is not None
    return prepared.run().state.outcome


def test_the_same_seed_draws_the_same_request_whatever_its_id() -> None:
    first, again = sampled(3), sampled(3, request_id="another")
    assert [(s.kind, s.after_ms) for s in first.execution_path] == [(s.kind, s.after_ms) for s in again.execution_path]
    assert len({sampled(seed).execution_path[-1].after_ms for seed in range(10)}) == 10


@pytest.mark.parametrize(("approve", "outcomes"), [(1.0, {"approved"}), (0.0, {"rejected"})])
def test_everybody_or_nobody_approves_with_a_share_of_one_or_zero(approve: float, outcomes: set[str]) -> None:
    assert {outcome(seed, approve) for seed in range(20)} == outcomes


def test_the_share_of_approvals_is_about_the_given_one() -> None:
    # Both the manager and the CFO have to approve: 0.8 of 0.8.
    approved = sum(outcome(seed, 0.8) == "approved" for seed in range(200))
    assert 0.54 < approved / 200 < 0.74


def test_times_are_drawn_from_the_past_of_a_stage_where_there_is_one() -> None:
    past = waits({"Manager Approval": [3600.0 * n for n in (1, 2, 3, 4, 5)] * 2})
    found = [sampled(seed, approve=1.0, past=past) for seed in range(20)]
    decided = {next(s.after_ms for s in one.execution_path if s.kind == "decided") for one in found}
    assert decided <= {n * HOUR_MS for n in (1, 2, 3, 4, 5)}
    assert len(decided) > 2


def test_decisions_of_a_script_are_not_sampled() -> None:
    script = parse_script([{"on": "Manager Approval", "decision": "reject", "comment": "no", "after_hours": 2}])
    assert {outcome(seed, 1.0, script=script) for seed in range(5)} == {"rejected"}


def test_the_predicted_time_is_a_distribution_over_seeds() -> None:
    predicted = sampled(0).predicted_duration
    assert predicted is not None
    assert (predicted.source, predicted.samples) == ("sampled", 100)
    assert predicted.p50_ms is not None
    assert predicted.p90_ms is not None
    assert predicted.p50_ms < predicted.p90_ms


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({"template": "Expense approval", "sample": {"approve": 1.5}}, "/sample/approve"),
        ({"template": "Expense approval", "sample": {"seed": -1}}, "/sample/seed"),
        ({"template": "Expense approval", "sample": {"share": 1}}, "/sample/share"),
        ({"mode": "backtest", "template": "Expense approval", "sample": {}}, "/sample"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused_by_its_place(raw: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        parse_spec(raw)
    assert [problem.pointer for problem in caught.value.problems] == [pointer]
