"""Pure actions: every simulation computes them with the production code, and reports what it assumes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from activities.actions.builtin import BUILT_IN
from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from simulation.modes.backtest import BacktestRow, Candidate, Case
from simulation.modes.explore import explore
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.result import SimulationResult
from simulation.scenario.prepared_scenario import PreparedScenario
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from simulation.world.assumptions import rests_on_assumptions
from tests.unit.core import START, blueprint, graph, office, spec

CATALOG = {action.name: action for action in BUILT_IN} | {
    "score": spec("score", output_schema={"type": "object"}),
    "narrow": spec(
        "narrow",
        executor="set_variables",
        output_schema={"type": "object", "properties": {"total": {"type": "string", "maxLength": 2}}},
    ),
}
VARIABLES = [{"name": "amount", "type": "decimal", "required": True}, {"name": "total", "type": "decimal"}]


def computing(formula: str = "amount * 2.0", *, limit: str = "100", action: str = "set_variables") -> dict[str, Any]:
    """Return a process that computes a total, and approves by itself what is above the limit."""
    total = {"type": "action", "action": action, "input": {"total": {"expr": formula}}, "output": {"total": "total"}}
    drawn = graph("start -> s", "s -> d", nodes={"s": total, "d": {"type": "decision"}})
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": f"total > {limit}"},
        {"from": "d", "to": "rejected", "default": True},
    ]
    return {**blueprint(variables=VARIABLES), "process_steps": [], "graph_spec": drawn}


def ask(raw: dict[str, Any], *script: dict[str, Any], **more: Any) -> Scenario:
    """Ask about a request of rita's for 60."""
    known: dict[str, Any] = {"people": office(), "requester": "rita", "start": START, "actions": CATALOG}
    return Scenario(blueprint=raw, **{**known, "given": {"amount": "60"}, "script": parse_script(list(script)), **more})


def inside(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a process that runs this one as a sub-process, and decides by its outcome."""
    nodes: dict[str, dict[str, Any]] = {
        "in": {
            "type": "subprocess",
            "template": raw["name"],
            "input": {"amount": {"expr": "amount"}},
            "output": {"total": "total"},
        },
        "d": {"type": "decision"},
    }
    drawn = graph("start -> in", "in -> d on approved", "in -> d on rejected", nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": "total > 100"},
        {"from": "d", "to": "rejected", "default": True},
    ]
    return {**blueprint(variables=VARIABLES, name="Outer"), "process_steps": [], "graph_spec": drawn}


def children(raw: dict[str, Any]) -> dict[str, Child]:
    plan = compile_plan(parse_definition(raw), start=START, actions=CATALOG)
    return {raw["name"]: Child(template_id="inner", plan=plan)}


def past(raw: dict[str, Any], *script: dict[str, Any], **more: Any) -> Case:
    """Return a request as it went by a process."""
    trace = PreparedScenario(ask(raw, *script, **more)).run()
    return Case(
        id="simulation",
        requester="rita",
        given={"amount": "60"},
        status=trace.state.status,
        outcome=trace.state.outcome,
        started_at=START,
        ended_at=trace.state.ended_at,
        entries=trace.entries,
    )


def put(raw: dict[str, Any], case: Case, **more: Any) -> BacktestRow:
    """Put a past request through a candidate."""
    return Candidate.of(raw, office(), actions=CATALOG, **more).run(case)


def assumption_warnings(found: SimulationResult) -> list[str]:
    return [warning for warning in found.warnings if "assumed" in warning]


def test_a_computed_total_is_the_productions_and_nothing_is_made_up() -> None:
    found = explore(ask(computing()))
    assert (found.outcome, found.warnings) == ("approved", ())
    done = next(step for step in found.execution_path if step.kind == "action_run")
    assert done.detail["after"] == {"total": "120"}


def test_each_branch_behind_a_computation_has_an_input_that_takes_it() -> None:
    found = explore(ask(computing(limit="100.5")))
    taken = {b.outcome: b for b in found.branch_explorations}
    assert taken.keys() == {"approved", "rejected"}
    for outcome, branch in taken.items():
        again = explore(ask(computing(limit="100.5"), given=branch.witness))
        assert again.outcome == outcome


def test_the_gallerys_order_of_a_hundred_million_goes_to_manager_procurement_and_cfo() -> None:
    raw = json.loads((Path(__file__).parents[2] / "blueprints" / "purchase-order.json").read_text())
    given = {"supplier": "x", "quantity": 100_000, "unit_price": "1000.00"}
    found = explore(ask(raw, given=given))
    assert found.outcome == "approved"
    assert [link.stage for link in found.approval_chain] == ["Manager", "Procurement of a large order", "CFO"]
    done = next(step for step in found.execution_path if step.kind == "action_run")
    assert done.detail["after"] == {"total": "100000000"}


def test_what_is_computed_in_a_sub_process_is_the_productions_too() -> None:
    raw = computing()
    assert explore(ask(inside(raw), children=children(raw))).outcome == "approved"


def test_a_pure_action_fails_where_the_worker_would_fail_it() -> None:
    found = explore(ask(computing(action="narrow")))
    assert any("output_schema" in warning and "fails" in warning for warning in found.warnings)


def test_a_failure_that_no_input_brings_about_is_no_branch() -> None:
    raw = computing()
    raw["graph_spec"]["edges"][1]["on"] = "done"
    raw["graph_spec"]["edges"].append({"from": "s", "to": "rejected", "on": "failed"})
    edges = {branch.route for branch in explore(ask(raw)).branch_explorations}
    assert edges == {("start", "s", "d", "approved"), ("start", "s", "d", "rejected")}
    raw["variables"][1] = {"name": "total", "type": "decimal", "maximum": 1000}
    edges = {branch.route: branch.witness for branch in explore(ask(raw)).branch_explorations}
    assert float(edges["start", "s", "rejected"]["amount"]) > 500


def test_an_assumption_is_reported_with_its_node_its_field_its_value_and_the_line_that_sets_it() -> None:
    found = explore(ask(computing(action="score")))
    (told,) = [warning for warning in assumption_warnings(found) if "'s'" in warning]
    assert "'total'" in told
    assert 'assumed to be "1"' in told
    line = json.loads(told.rpartition("of the script: ")[2])
    assert (line["do"], line["on"]) == ("answer", "s")
    again = explore(ask(computing(action="score"), {**line, "output": {"total": 120}}))
    assert again.outcome == "approved"
    assert not [warning for warning in assumption_warnings(again) if "'s'" in warning]


def test_a_branch_that_hangs_on_what_is_made_up_takes_what_it_needs_and_says_so() -> None:
    found = explore(ask(computing(action="score")))
    assert {branch.outcome for branch in found.branch_explorations} == {"approved", "rejected"}
    assert any("branches" in warning and "s: total" in warning for warning in found.warnings)


def test_a_payload_and_a_form_that_are_made_up_are_told() -> None:
    form = {"type": "object", "properties": {"grade": {"type": "integer", "minimum": 3}}, "required": ["grade"]}
    nodes: dict[str, dict[str, Any]] = {
        "w": {"type": "wait", "event": "go", "output": {"total": "/sum/total"}},
        "a": {"step": "Stage 1"},
    }
    drawn = graph("start -> w", "w -> a on event", "a -> approved", "a -> rejected on rejected", nodes=nodes)
    raw = blueprint({"form": form}, variables=VARIABLES, graph_spec=drawn)
    told = assumption_warnings(explore(ask(raw)))
    assert any("'w'" in warning and '"happen"' in warning and "/sum/total" in warning for warning in told)
    assert any("'a'" in warning and "form/grade" in warning and "3" in warning for warning in told)


@pytest.mark.parametrize(
    ("raw", "rests"),
    [(computing(), False), (computing(action="score"), True), (inside(computing(action="score")), True)],
    ids=["computed", "assumed", "assumed inside"],
)
def test_agreement_is_said_to_prove_nothing_only_where_the_way_rests_on_what_is_made_up(
    raw: dict[str, Any], rests: bool
) -> None:
    scenario = ask(raw, children=children(computing(action="score")))
    assert rests_on_assumptions(PreparedScenario(scenario).simulate()) is rests


def test_a_backtest_of_a_changed_formula_computes_it_anew() -> None:
    case = past(computing())
    assert put(computing(), case).changed == ()
    row = put(computing("amount * 1.0"), case)
    assert (row.unknown, row.after and row.after.outcome) == (None, "rejected")
    assert "outcome" in row.changed


def test_an_action_with_another_input_is_unknown_unless_it_is_pure() -> None:
    answer = {"do": "answer", "on": "s", "output": {"total": 120}}
    case = past(computing(action="score"), answer)
    assert put(computing(action="score"), case).unknown is None
    assert "another input" in (put(computing("amount * 1.0", action="score"), case).unknown or "")


def test_an_action_that_never_ran_is_unknown_where_the_way_hangs_on_what_it_sets() -> None:
    assert "never ran" in (put(computing(action="score"), past(computing())).unknown or "")


def test_a_sub_process_with_another_input_is_unknown() -> None:
    raw = computing()
    case = past(inside(raw), children=children(raw))
    assert put(inside(raw), case, children=children(raw)).unknown is None
    changed = inside(raw)
    changed["graph_spec"]["nodes"][3]["input"] = {"amount": {"expr": "amount * 3.0"}}
    assert "another input" in (put(changed, case, children=children(raw)).unknown or "")


def test_a_replay_warns_where_a_recorded_result_is_used_for_another_input() -> None:
    case = past(computing(action="score"), {"do": "answer", "on": "s", "output": {"total": 120}})
    scenario = ask(computing("amount * 1.0", action="score"))
    found = what_if(scenario, case, history_check=HistoryCheck(ok=None), now=START, unchanged=False)
    assert found.outcome == "approved"
    assert any("input differs" in warning and "s" in warning for warning in found.warnings)


def test_a_branch_that_hangs_on_a_form_is_filled_in_as_it_needs() -> None:
    form = {"type": "object", "properties": {"risk": {"type": "integer"}}, "required": ["risk"]}
    nodes: dict[str, dict[str, Any]] = {
        "a": {"step": "Stage 1", "output": {"risk": "risk"}},
        "d": {"type": "decision"},
    }
    drawn = graph(
        "start -> a", "a -> d", "a -> rejected on rejected", nodes=nodes, ends=("approved", "rejected", "high")
    )
    drawn["edges"] += [
        {"from": "d", "to": "high", "condition": "risk > 7"},
        {"from": "d", "to": "approved", "default": True},
    ]
    raw = blueprint({"form": form}, variables=[{"name": "risk", "type": "integer"}], graph_spec=drawn)
    scenario = ask(raw, given={})
    assert {branch.outcome for branch in explore(scenario).branch_explorations} == {"high", "approved", "rejected"}
    assert rests_on_assumptions(PreparedScenario(scenario).simulate())
    scripted = ask(raw, {"on": "Stage 1", "decision": "approve", "form": {"risk": 9}}, given={})
    assert explore(scripted).outcome == "high"
    assert not rests_on_assumptions(PreparedScenario(scripted).simulate(), scripted.script)


def test_a_long_chain_of_computations_is_explored_in_time() -> None:
    names = [f"s{n}" for n in range(90)]
    doubled = {"type": "action", "action": "set_variables", "input": {"t": {"expr": "total + total"}}}
    nodes: dict[str, dict[str, Any]] = {name: {**doubled, "output": {"total": "t"}} for name in names}
    nodes["d"] = {"type": "decision"}
    edges = [f"{one} -> {other}" for one, other in pairwise(["start", *names, "d"])]
    drawn = graph(*edges, nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": "total > 100"},
        {"from": "d", "to": "rejected", "default": True},
    ]
    variables = [{"name": "total", "type": "decimal", "default": "1"}]
    raw = {**blueprint(variables=variables, graph_spec=drawn), "process_steps": []}
    began = process_time()
    found = explore(ask(raw, given={}, seconds=5.0))
    assert process_time() - began < 30
    assert found.outcome == "approved"
