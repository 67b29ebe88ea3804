"""Recall: past requests with actions, waits, events and sub-processes go as they went, in backtests and replays."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from simulation.modes.backtest import BacktestRow, Candidate, Case
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.costs import parse_prices
from simulation.report.result import SimulationResult
from simulation.scenario.prepared_scenario import PreparedScenario
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from simulation.world.recorded_results import output_from, recorded_results_of
from tests.past_waits import waits
from tests.unit.core import START, blueprint, graph, office, spec

HOUR_MS = 3_600_000
VARIABLES = [{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}]
CATALOG = {"look": spec("look", output_schema={"type": "object"}), "pay": spec("pay", output_schema={"type": "object"})}
INNER = blueprint({"stage_name": "Inner"}, variables=[{"name": "amount", "type": "decimal"}], name="Inner")


def process(**look: Any) -> dict[str, Any]:
    """Return a process that looks something up, waits for an event, runs a sub-process, asks, and pays."""
    given = {"amount": {"expr": "amount"}}
    nodes: dict[str, dict[str, Any]] = {
        "look": {"type": "action", "action": "look", "input": {}, "output": {"note": "/found/note"}, **look},
        "go": {"type": "wait", "event": "go", "timeout_hours": 24, "output": {"amount": "amount"}},
        "inner": {"type": "subprocess", "template": "Inner", "input": given, "output": {"amount": "amount"}},
        "ask": {"step": "Stage 1"},
        "pay": {"type": "action", "action": "pay", "input": {}},
    }  # fmt: skip
    edges = ("start -> look", "look -> go", "go -> inner", "inner -> ask", "ask -> pay on approved", "pay -> approved")
    drawn = graph(*edges, "ask -> rejected on rejected", nodes=nodes)
    return blueprint({"sla_hours": 48}, variables=VARIABLES, graph_spec=drawn)


def surroundings(start: datetime = START) -> dict[str, Any]:
    """Return the catalog and the sub-process."""
    inner = compile_plan(parse_definition(INNER), start=start)
    return {"actions": CATALOG, "children": {"Inner": Child(template_id="inner", plan=inner)}}


def ask(raw: dict[str, Any], **more: Any) -> Scenario:
    """Ask about a request of rita's."""
    known = {"people": office(), "requester": "rita", "start": START, "given": {"amount": "5"}, **surroundings()}
    return Scenario(blueprint=raw, **{**known, **more})


SCRIPT: list[dict[str, Any]] = [
    {"do": "answer", "on": "look", "output": {"found": {"note": "seen"}}, "after_hours": 2},
    {"do": "happen", "on": "go", "output": {"amount": "77"}, "after_hours": 5},
    {"on": "Stage 1", "decision": "approve", "after_hours": 3},
    {"do": "fail", "on": "pay", "comment": "no funds", "after_hours": 1},
]


@pytest.fixture
def past() -> Case:
    """Return a request whose look took two hours, whose event came after five, and whose payment failed."""
    trace = PreparedScenario(ask(process(), script=parse_script(SCRIPT))).run()
    return Case(
        id="simulation",
        requester="rita",
        given={"amount": "5"},
        status=trace.state.status,
        outcome=trace.state.outcome,
        started_at=START,
        ended_at=trace.state.ended_at,
        entries=trace.entries,
    )


def put(raw: dict[str, Any], case: Case, *, until: datetime | None = None) -> BacktestRow:
    """Put a past request through a candidate."""
    return Candidate.of(raw, office(), **surroundings()).run(case, until=until)


def replayed(raw: dict[str, Any], case: Case, *, now: datetime = START, **more: Any) -> SimulationResult:
    """Drive a past request again."""
    checked = HistoryCheck(ok=None, why="none")
    return what_if(ask(raw, given=case.given, **more), case, history_check=checked, now=now, unchanged=False)


def running(case: Case, hours: float) -> Case:
    """Return the request as it was so many hours after it began."""
    end = START + timedelta(hours=hours)
    return replace(
        case, status="pending", outcome=None, ended_at=None, entries=[e for e in case.entries if e.at <= end]
    )


def test_results_of_nodes_are_read_with_their_times_and_values(past: Case) -> None:
    came = recorded_results_of(past.entries)
    assert {node: [one.result for one in visits] for node, visits in came.items()} == {
        "look": ["done"], "go": ["event"], "inner": ["approved"], "pay": ["failed"]
    }  # fmt: skip
    assert (came["look"][0].took, came["look"][0].values) == (timedelta(hours=2), {"note": "seen"})
    assert (came["go"][0].took, came["go"][0].payload) == (timedelta(hours=5), {"amount": "77"})


def test_the_same_process_has_the_recorded_results(past: Case) -> None:
    row = put(process(), past)
    assert (row.changed, row.unknown) == ((), None)
    same = replayed(process(), past)
    assert [r for r in same.extra["timelines"] if not r["same"]] == []
    assert same.predicted_duration_ms == row.before.duration_ms


def test_another_deadline_keeps_the_results_of_actions_and_events(past: Case) -> None:
    shorter = process()
    shorter["process_steps"][0]["sla_hours"] = 1
    row = put(shorter, past)
    assert row.after is not None
    assert (row.changed, row.after.sla_state, row.after.outcome) == (("sla_state",), "breached", row.before.outcome)


def test_a_script_replaces_the_recorded_result_of_an_action(past: Case) -> None:
    paid = replayed(process(), past, script=parse_script([{"do": "answer", "on": "pay", "output": {}}]))
    assert (past.outcome, paid.outcome) == (None, "approved")


def test_what_had_not_ended_is_unknown_to_a_shadow_and_forecast_by_a_replay(past: Case) -> None:
    early = running(past, 4)  # the event has been waited for since two hours
    row = put(process(), early, until=START + timedelta(hours=4))
    assert row.unknown == "the request waits for a result that is not recorded yet"
    found = replayed(process(), early, now=START + timedelta(hours=4))
    received = next(step for step in found.execution_path if step.kind == "event_received")
    assert received.after_ms == (2 + 12) * HOUR_MS  # half of the timeout, as in any simulation
    late = replayed(process(), running(past, 6), now=START + timedelta(hours=16))
    received = next(step for step in late.execution_path if step.kind == "event_received")
    assert received.after_ms == 16 * HOUR_MS  # not before now, for it has not come yet


def test_a_forecast_is_drawn_from_how_long_others_took(past: Case) -> None:
    asked = running(past, 9)  # its last decision is open
    past = waits({"Stage 1": [HOUR_MS / 1000 * n for n in (10, 20, 30, 40, 50)] * 2})
    found = replayed(process(), asked, now=START + timedelta(hours=9), past=past)
    predicted = found.predicted_duration
    assert predicted is not None
    assert (predicted.source, predicted.samples) == ("history", 100)
    assert predicted.rule.startswith("people act as recorded; what is not recorded is drawn from 10 past decisions")
    assert predicted.p50_ms is not None
    assert predicted.p90_ms is not None
    assert 9 * HOUR_MS < predicted.p50_ms < predicted.p90_ms


def test_values_are_put_where_their_variables_are_read_from() -> None:
    output = {"a": "/x/y", "b": "/x/z", "c": "plain", "d": "gone"}
    assert output_from(output, {"a": 1, "b": 2, "c": 3, "d": None}) == {"x": {"y": 1, "z": 2}, "plain": 3}


def test_both_sides_are_priced_with_the_actions_that_they_ran(past: Case) -> None:
    actions = {"look": 2, "pay": 5}
    prices = parse_prices({"approver_hour": 60, "minutes_per_decision": 30, "delay_hour": "0.5", "actions": actions})
    row = Candidate.of(process(), office(), prices, **surroundings()).run(past)
    hours = row.before.duration_ms / HOUR_MS
    assert float(row.before.cost) == pytest.approx(30 + 2 + 5 + hours / 2, abs=0.01)
    found = replayed(process(), past, prices=prices)
    assert found.extra["before"]["cost"] == found.extra["after"]["cost"]
    assert found.extra["before"]["cost"]["actions"] == "7.00"
