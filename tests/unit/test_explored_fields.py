"""Explored fields: forms and results that set variables have values that their schemas and the variables accept."""

from __future__ import annotations

from typing import Any

import pytest

from placet.directory import Directory
from simulation.modes.explore import explore
from simulation.report.result import SimulationResult
from simulation.scenario.fields import with_fields
from simulation.scenario.scenario import Scenario
from tests.unit.core import START, blueprint, graph, office, plan_of, spec

ENDS = ("approved", "rejected")


def deciding(variable: dict[str, Any], condition: str, *, field: Any = None, action: Any = None) -> dict[str, Any]:
    """Return a process in which a form or an action sets `v`, which decides whether the second stage is asked."""
    nodes: dict[str, dict[str, Any]] = {"c": {"step": "Stage 2"}, "d": {"type": "decision"}}
    if action is None:
        nodes["m"] = {"step": "Stage 1", "output": {"v": "value"}}
        edges = ["start -> m", "m -> d on approved", "m -> rejected on rejected"]
    else:
        nodes["m"] = {"type": "action", "action": action, "output": {"v": "value"}}
        edges = ["start -> m", "m -> d"]
    drawn = graph(*edges, "c -> approved on approved", "c -> rejected on rejected", nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "c", "condition": condition},
        {"from": "d", "to": "approved", "default": True},
    ]
    form = {"type": "object", "properties": {"value": field or {}}, "required": ["value"]}
    return blueprint({"form": form}, {}, variables=[{"name": "v", **variable}], graph_spec=drawn)


def found(raw: dict[str, Any], **more: Any) -> SimulationResult:
    known: dict[str, Any] = {"people": office(), "requester": "rita", "start": START, "given": {}}
    return explore(Scenario(blueprint=raw, **{**known, **more}))


def branches(simulation: SimulationResult) -> list[tuple[str, str | None, int]]:
    """Return the condition of each branch, its outcome, and how many were asked."""
    return sorted((b.path_condition, b.outcome, len(b.approval_chain)) for b in simulation.branch_explorations)


def both(condition: str, *, first: bool = True) -> list[tuple[str, str | None, int]]:
    """Return the branches of a process of two stages whose second one is asked where the condition holds."""
    rejected = [("true", "rejected", 1)] if first else []
    asked = int(first)
    return sorted(
        [
            (f"!({condition})", "approved", asked),
            (f"({condition})", "approved", asked + 1),
            (f"({condition})", "rejected", asked + 1),
            *rejected,
        ]
    )


@pytest.mark.parametrize("given", [{}, None])
@pytest.mark.parametrize(
    ("variable", "condition", "field"),
    [
        ({"type": "decimal"}, "v > 100", {"type": "number"}),
        ({"type": "decimal"}, "v > 100", {"type": "number", "minimum": 0, "maximum": 1000}),
        ({"type": "decimal"}, "v > 100.5", {"type": "number", "multipleOf": 0.01}),
        # a field of whole numbers, with a limit between two of them
        ({"type": "decimal"}, "v > 100.5", {"type": "integer"}),
        # money as text, and as text with two digits after the point
        ({"type": "decimal"}, "v > 100", {"type": "string"}),
        ({"type": "decimal"}, "v > 100", {"type": "string", "pattern": r"^[0-9]+\.[0-9]{2}$"}),
        ({"type": "decimal", "scale": 2}, "v > 100", {"type": ["number", "string"]}),
        # choices of the field alone: both ways are open to one of them
        ({"type": "string"}, 'v == "b"', {"type": "string", "enum": ["a", "b"]}),
        ({"type": "string"}, 'v == "b"', {"type": "string", "enum": ["b", "c"]}),
        ({"type": "decimal"}, "v > 100", {"type": "number", "enum": [50, 500]}),
        ({"type": "integer"}, "v > 100", {"type": "integer", "exclusiveMinimum": 99, "maximum": 101}),
        ({"type": "string"}, 'v == "ABC"', {"type": "string", "pattern": "^[A-Z]{3}$"}),
        ({"type": "boolean"}, "v", {"type": "boolean"}),
        ({"type": "date"}, 'v > date("2026-06-01")', {"type": "string", "format": "date"}),
    ],
)
def test_a_form_that_sets_a_variable_is_filled_in_as_each_branch_needs_it(
    variable: dict[str, Any], condition: str, field: dict[str, Any], given: dict[str, Any] | None
) -> None:
    simulation = found(deciding(variable, condition, field=field), given=given)
    assert branches(simulation) == both(condition)
    assert simulation.outcome == "approved", "the given request gets a form that the stage accepts"
    assert not [w for w in simulation.warnings if "cannot" in w or "could not" in w or "waits forever" in w]


@pytest.mark.parametrize("kind", ["string", "number"])
def test_a_result_that_sets_a_variable_has_the_type_of_its_schema(kind: str) -> None:
    total = {"type": "object", "properties": {"value": {"type": kind}}, "required": ["value"]}
    raw = deciding({"type": "decimal"}, "v > 100", action="total")
    simulation = found(raw, actions={"total": spec("total", output_schema=total)})
    assert branches(simulation) == both("v > 100", first=False)
    assert simulation.outcome == "approved"
    assert not [w for w in simulation.warnings if "the process fails" in w or "no sample output fits" in w]


def test_a_way_that_no_value_of_a_field_takes_is_no_branch() -> None:
    field = {"type": "number", "maximum": 50}
    simulation = found(deciding({"type": "decimal"}, "v > 100", field=field))
    assert branches(simulation) == [("!(v > 100)", "approved", 1), ("true", "rejected", 1)]
    assert simulation.statistics["infeasible"] == 1


def test_what_no_field_takes_stays_as_the_schema_has_it() -> None:
    [variable] = plan_of(blueprint({}, variables=[{"name": "v", "type": "integer"}])).variables
    text = {"type": "object", "properties": {"value": {"type": "string"}}}
    assert with_fields(text, {"value": "sample"}, {"v": "value"}, (variable,), {"v": 7}) == {"value": "sample"}


def test_a_field_may_lie_deeper_and_beside_fields_without_a_sample() -> None:
    [variable] = plan_of(blueprint({}, variables=[{"name": "v", "type": "decimal"}])).variables
    inner = {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}
    other = {"type": "string", "not": {"const": "sample"}}
    schema = {"type": "object", "properties": {"in": inner, "other": other}, "required": ["in", "other"]}
    filled = with_fields(schema, {"in": {"value": 0}, "other": "sample"}, {"v": "/in/value"}, (variable,), {"v": "7.5"})
    assert filled == {"in": {"value": 7.5}, "other": "sample"}


def test_without_an_organisation_too() -> None:
    raw = deciding({"type": "decimal"}, "v > 100", field={"type": "number"})
    assert branches(found(raw, people=Directory())) == both("v > 100")
