"""Payloads that break an action's schemas stand among the validation errors, by their place in the blueprint."""

from __future__ import annotations

from typing import Any

import pytest

from placet.definition.action_spec import ActionSpec
from placet.plan.plan import Child
from simulation.modes.explore import explore
from simulation.pool_functions import with_proofs
from simulation.report.result import SimulationResult
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.unit.core import START, blueprint, graph, office, plan_of, spec

VARIABLES = [{"name": "amount", "type": "integer"}, {"name": "code", "type": "string"}]
FEW = {"type": "integer", "maximum": 100}
PAYS = {"type": "object", "properties": {"sum": FEW, "to": {"type": "array", "items": FEW}}, "required": ["sum"]}
GIVES = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}}, "required": ["code"]}
ACTIONS = {"pay": spec("pay", input_schema=PAYS), "look": spec("look", output_schema=GIVES)}


def acting(action: str, *, variables: list[dict[str, Any]] | None = None, **node: Any) -> dict[str, Any]:
    """Return a process of one action, which stands at `/graph_spec/nodes/3`."""
    edges = ("start -> act", "act -> approved", "act -> rejected on failed")
    drawn = graph(*edges, nodes={"act": {"type": "action", "action": action, **node}})
    return blueprint(variables=variables or VARIABLES, graph_spec=drawn)


def ask(raw: dict[str, Any], *script: dict[str, Any], **more: Any) -> Scenario:
    known: dict[str, Any] = {"given": {"amount": 7, "code": "x"}, "actions": ACTIONS, "people": office()}
    lines = parse_script(list(script))
    return Scenario(blueprint=raw, requester="rita", start=START, script=lines, **{**known, **more})


def errors(found: SimulationResult) -> list[tuple[str, str]]:
    return [(e["code"], e["pointer"]) for e in found.validation_errors]


def sample_warnings(found: SimulationResult) -> list[str]:
    return [warning for warning in found.warnings if "no sample output fits" in warning]


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"sum": 700}, "/input/sum"),
        ({"sum": {"expr": "amount * 100"}}, "/input/sum/expr"),
        ({"sum": 1, "to": [1, {"expr": "amount * 100"}]}, "/input/to/1/expr"),
        ({"sum": {"expr": "amount > 1"}}, "/input/sum/expr"),
    ],
)
def test_an_input_that_breaks_its_schema_is_an_error_where_the_blueprint_passes_it_on(
    given: dict[str, Any], pointer: str
) -> None:
    found = explore(ask(acting("pay", input=given)))
    assert errors(found) == [("action_input", f"/graph_spec/nodes/3{pointer}")]
    [error] = found.validation_errors
    assert error["witness"] == {"amount": 7, "code": "x"}
    assert "input_schema" in error["message"]
    assert (found.failed, found.outcome) == (False, "rejected")


def test_an_output_of_the_script_that_breaks_its_schema_fails_as_the_worker_would_have_it() -> None:
    raw = acting("look", output={"code": "code"})
    found = explore(ask(raw, {"on": "look", "do": "answer", "output": {"code": "ab"}, "after_hours": 2}))
    assert errors(found) == [("action_output", "/script/0/output/code")]
    failed = next(s for s in found.execution_path if s.kind == "action_failed")
    assert failed.detail["why"].startswith("The action's output breaks its output_schema: /output/code: ")
    assert (failed.after_ms, found.outcome) == (2 * 3_600_000, "rejected")
    right = explore(ask(raw, {"on": "act", "do": "answer", "output": {"code": "ABC"}}))
    assert (errors(right), right.outcome) == ([], "approved")


def test_an_output_without_a_fitting_sample_is_a_warning_that_asks_for_a_script() -> None:
    found = explore(ask(acting("look")))
    assert (errors(found), found.outcome) == ([], "approved"), "that nothing fits is the fault of what made it up"
    [warning] = sample_warnings(found)
    assert warning.startswith("/graph_spec/nodes/3: ")
    assert '"do": "answer"' in warning
    assert sample_warnings(explore(ask(acting("look"), {"on": "look", "do": "fail"}))) == []
    exemplary = {"look": spec("look", output_schema=GIVES | {"examples": [{"code": "ABC"}]})}
    assert sample_warnings(explore(ask(acting("look"), actions=exemplary))) == []


def test_an_error_on_another_branch_has_the_input_that_leads_there() -> None:
    nodes = {
        "d": {"type": "decision"},
        "act": {"type": "action", "action": "pay", "input": {"sum": {"expr": "amount"}}},
    }
    drawn = graph("start -> d", "act -> approved", nodes=nodes)
    drawn["edges"] += [{"from": "d", "to": "act", "condition": "amount > 500"}, {"from": "d", "to": "approved"}]
    drawn["edges"][-1]["default"] = True
    found = explore(ask(blueprint(variables=VARIABLES, graph_spec=drawn)))
    assert errors(found) == [("action_input", "/graph_spec/nodes/4/input/sum/expr")]
    assert found.validation_errors[0]["witness"]["amount"] > 500


def test_an_error_in_a_sub_process_is_at_its_node() -> None:
    inner = acting("pay", input={"sum": 700})
    plan = plan_of(inner, actions=ACTIONS)
    sub = {"type": "subprocess", "template": "Inner"}
    raw = blueprint(variables=VARIABLES, graph_spec=graph("start -> sub", "sub -> approved", nodes={"sub": sub}))
    found = explore(ask(raw, children={"Inner": Child(template_id="inner", plan=plan)}))
    assert errors(found) == [("action_input", "/graph_spec/nodes/3")]
    assert "sub-process, at its node 'act'" in found.validation_errors[0]["message"]


def test_a_place_that_the_proofs_name_too_is_listed_once() -> None:
    scenario = ask(acting("pay", input={"sum": 700}))
    told = with_proofs(scenario, explore(scenario))["validation_errors"]
    assert [e["pointer"] for e in told] == ["/graph_spec/nodes/3/input/sum"]
    scenario = ask(acting("pay", input={"sum": 700}), {"on": "act", "do": "fail"})
    assert [e["code"] for e in with_proofs(scenario, explore(scenario))["validation_errors"]] == ["action_input"]


def test_an_action_that_breaks_its_schema_each_time_is_listed_once() -> None:
    wanted: dict[str, ActionSpec] = {"pay": spec("pay", input_schema=PAYS)}
    nodes = {
        "act": {"type": "action", "action": "pay", "input": {"sum": 700}},
        "w": {"type": "wait", "hours": 1},
        "d": {"type": "decision"},
    }
    drawn = graph("start -> act", "act -> w", "act -> w on failed", "w -> d", nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": "amount > 100"},
        {"from": "d", "to": "act", "default": True},
    ]
    found = explore(ask(blueprint(variables=VARIABLES, graph_spec=drawn), actions=wanted, most_entries=500))
    assert errors(found) == [("action_input", "/graph_spec/nodes/3/input/sum")]
