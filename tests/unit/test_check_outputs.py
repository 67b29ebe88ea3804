"""Computed outputs: the check holds them to the declarations of what they set, with an input that fails."""

from __future__ import annotations

from typing import Any

import pytest

from activities.actions.builtin import BUILT_IN
from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from placet.proofs import Finding, check
from simulation.modes.explore import explore
from simulation.scenario.scenario import Scenario
from tests.unit.core import START, blueprint, graph, office

CATALOG = {action.name: action for action in BUILT_IN}
X = {"name": "x", "type": "integer", "required": True}


def setting(value: Any, *, failed: bool = False, x: dict[str, Any] = X, **variable: Any) -> dict[str, Any]:
    """Return a process that sets `y` to a value."""
    node = {"type": "action", "action": "set_variables", "input": {"y": value}, "output": {"y": "y"}}
    edges = ["start -> s", "s -> approved on done", *(["s -> rejected on failed"] if failed else [])]
    drawn = graph(*edges, nodes={"s": node}, ends=("approved", "rejected") if failed else ("approved",))
    declared = {"name": "y", "type": "integer", **variable}
    return {**blueprint(variables=[x, declared], graph_spec=drawn), "process_steps": []}


def unfit(raw: dict[str, Any], **more: Any) -> list[Finding]:
    found = check(raw, actions=CATALOG, **more).findings
    return [finding for finding in found if finding.code in {"value_unfit", "not_proven"}]


FREE = {"name": "x", "type": "string", "required": True}
LONG = {**FREE, "min_length": 5}
CASES = {
    "a constant outside of its enum": setting("c", type="string", enum=["a", "b"]),
    "a constant above its maximum": setting(11, maximum=10),
    "a constant of another type": setting("eleven"),
    "below the minimum": setting({"expr": "x - 1"}, minimum=0, x={**X, "minimum": 0}),
    "above the maximum": setting({"expr": "x * 2"}, maximum=100, x={**X, "minimum": 0, "maximum": 51}),
    "outside of the enum": setting({"expr": "x > 3 ? 'a' : 'c'"}, type="string", enum=["a", "b"]),
    "an enum of numbers": setting({"expr": "x"}, enum=[1, 2, 3]),
    "a text without the pattern": setting({"expr": "x > 3 ? 'A1' : 'B'"}, type="string", pattern="^[A-Z][0-9]$"),
    "a text that is too long": setting({"expr": "x + x"}, type="string", max_length=9, x=LONG),
    "a longer variable": setting({"expr": "x"}, type="string", max_length=140, x={**FREE, "max_length": 200}),
    "a shorter variable": setting({"expr": "x"}, type="string", min_length=3, x=FREE),
    "digits after the point": setting(
        {"expr": "x * 0.333"}, type="decimal", scale=2, x={"name": "x", "type": "decimal", "required": True, "scale": 2}
    ),
    "a number into a whole one": setting({"expr": "x * 1.5"}),
    "a text into a date": setting({"expr": "x"}, type="date", x=FREE),
    "a boolean into a text": setting({"expr": "x > 3"}, type="string"),
    "a date below the minimum": setting(
        {"expr": "x"}, type="date", minimum="2026-01-01", x={"name": "x", "type": "date", "required": True}
    ),
    "a list that is too long": setting(
        {"expr": "x + x"},
        type="list",
        items={"type": "integer"},
        max_length=1,
        x={"name": "x", "type": "list", "items": {"type": "integer"}, "min_length": 1, "required": True},
    ),
    "what is not there and is required": setting({"expr": "x"}, required=True, x={**X, "required": False}),
}


@pytest.mark.parametrize("raw", CASES.values(), ids=CASES.keys())
def test_a_value_that_breaks_its_declaration_is_an_error_with_an_input_that_fails(raw: dict[str, Any]) -> None:
    (found,) = unfit(raw)
    assert (found.code, found.severity) == ("value_unfit", "error")
    assert found.pointer.startswith("/graph_spec/nodes/2/input/y")
    assert found.witness is not None
    scenario = Scenario(
        blueprint=raw, people=office(), requester="rita", start=START, given=found.witness, actions=CATALOG
    )
    assert explore(scenario).end == "failed"


FINE = {
    "a constant of its enum": setting("a", type="string", enum=["a", "b"]),
    "within the minimum": setting({"expr": "x - 1"}, minimum=0, x={**X, "minimum": 1}),
    "within the enum": setting({"expr": "x > 3 ? 'a' : 'b'"}, type="string", enum=["a", "b"]),
    "of the pattern": setting({"expr": "'A1'"}, type="string", pattern="^[A-Z][0-9]$"),
    "within the scale": setting(
        {"expr": "x * 0.5"}, type="decimal", scale=3, x={"name": "x", "type": "decimal", "required": True, "scale": 2}
    ),
    "a variable declared alike": setting({"expr": "x"}),
    "a whole number into a decimal": setting({"expr": "x"}, type="decimal"),
    "a number into a text": setting({"expr": "x * 0.5"}, type="string"),
    "left out": setting({"expr": "x"}, x={**X, "required": False}),
}


@pytest.mark.parametrize("raw", FINE.values(), ids=FINE.keys())
def test_a_value_that_keeps_its_declaration_is_proven_to(raw: dict[str, Any]) -> None:
    assert unfit(raw) == []


def test_where_a_failure_leads_on_it_is_a_warning() -> None:
    (found,) = unfit(setting({"expr": "x - 1"}, minimum=0, failed=True))
    assert (found.code, found.severity) == ("value_unfit", "warning")


def test_what_a_guard_has_excluded_breaks_nothing() -> None:
    raw = setting({"expr": "x - 1"}, minimum=0)
    raw["graph_spec"]["nodes"].append({"id": "d", "type": "decision"})
    raw["graph_spec"]["edges"][0]["to"] = "d"
    raw["graph_spec"]["edges"] += [
        {"from": "d", "to": "s", "condition": "x > 0"},
        {"from": "d", "to": "approved", "default": True},
    ]
    assert unfit(raw) == []


def test_what_a_sub_process_is_given_is_held_to_its_variables() -> None:
    inner = blueprint({}, name="Inner", variables=[{"name": "n", "type": "integer", "maximum": 10}])
    node = {"type": "subprocess", "template": "Inner", "input": {"n": {"expr": "x"}}}
    drawn = graph("start -> in", "in -> approved", nodes={"in": node}, ends=("approved",))
    raw = {**blueprint(variables=[X], graph_spec=drawn), "process_steps": []}
    children = {"Inner": Child(template_id="inner", plan=compile_plan(parse_definition(inner), start=START))}
    (found,) = unfit(raw, children=children)
    assert (found.code, found.pointer) == ("value_unfit", "/graph_spec/nodes/2/input/n/expr")
    assert found.witness is not None
    assert found.witness["x"] > 10


def test_without_a_catalog_the_built_in_action_is_held_to_it_too() -> None:
    found = check(setting({"expr": "x - 1"}, minimum=0)).findings
    assert "value_unfit" in {finding.code for finding in found}
