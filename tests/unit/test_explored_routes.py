"""Explored routes: a branch is what its own simulation came to, also behind sub-processes that set what decides."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.actions.builtin import BUILT_IN
from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from simulation.modes.explore import explore
from simulation.report.result import SimulationResult
from simulation.scenario.scenario import Scenario
from tests.unit.core import START, blueprint, graph, office, spec

LEAVE = json.loads((Path(__file__).parents[2] / "blueprints" / "leave.json").read_text())
CATALOG = {action.name: action for action in BUILT_IN}
DECIMALS = [{"name": "amount", "type": "decimal", "required": True}, {"name": "res", "type": "decimal"}]
COMPUTES: dict[str, Any] = {
    "x": {
        "type": "action",
        "action": "set_variables",
        "input": {"res": {"expr": "amount * 2.0"}},
        "output": {"res": "res"},
    }
}
COMPUTING = blueprint(
    {},
    name="Inner",
    variables=DECIMALS,
    graph_spec=graph(
        "start -> x",
        "x -> s1",
        "s1 -> approved on approved",
        "s1 -> rejected on rejected",
        nodes=COMPUTES | {"s1": {"step": "Stage 1"}},
    ),
)
ASKING = blueprint(
    {"form": {"type": "object", "properties": {"v": {"type": "number"}}, "required": ["v"]}},
    name="Inner",
    variables=DECIMALS,
    graph_spec=graph(
        "start -> s1",
        "s1 -> approved on approved",
        "s1 -> rejected on rejected",
        nodes={"s1": {"step": "Stage 1", "output": {"res": "v"}}},
    ),
)
# It computes only above a limit, so that no expression says what it hands back.
CHOOSING = blueprint(name="Inner", variables=DECIMALS)
CHOOSING["process_steps"] = []
CHOOSING["graph_spec"] = graph("start -> d", "x -> approved", nodes=COMPUTES | {"d": {"type": "decision"}})
CHOOSING["graph_spec"]["edges"] += [
    {"from": "d", "to": "x", "condition": "amount > 1"},
    {"from": "d", "to": "rejected", "default": True},
]


def found(raw: Any, **more: Any) -> SimulationResult:
    return explore(Scenario(**{"blueprint": raw, "people": office(), "requester": "rita", "start": START, **more}))


def outer(inner: dict[str, Any], amount: str, *, rejected: str = "rejected") -> SimulationResult:
    """Explore a process that asks a stage where its sub-process sets `res` above ten; `rejected` follows else."""
    nodes: dict[str, dict[str, Any]] = {
        "p": {
            "type": "subprocess",
            "template": "Inner",
            "input": {"amount": {"expr": "amount"}},
            "output": {"res": "res"},
        },
        "d": {"type": "decision"},
        "m": {"step": "Stage 1"},
    }
    edges = ("start -> p", "p -> d on approved", f"p -> {rejected} on rejected", "m -> approved on approved")
    drawn = graph(*edges, "m -> rejected on rejected", nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "m", "condition": "res > 10"},
        {"from": "d", "to": "approved", "default": True},
    ]
    plan = compile_plan(parse_definition(inner), start=START, actions=CATALOG)
    raw = blueprint({}, name="Outer", variables=DECIMALS, graph_spec=drawn)
    children = {"Inner": Child(template_id="inner", plan=plan)}
    return found(raw, given={"amount": amount}, children=children, actions=CATALOG)


def branches(simulation: SimulationResult) -> set[tuple[str, str | None, tuple[str, ...]]]:
    """Return the condition, the outcome and the asked stages of each branch, none of which may be there twice."""
    told = [
        (b.path_condition, b.outcome, tuple(link.stage for link in b.approval_chain))
        for b in simulation.branch_explorations
    ]
    assert len(set(told)) == len(told)
    return set(told)


EVERY = {
    ("(res > 10)", "approved", ("Stage 1",)),
    ("(res > 10)", "rejected", ("Stage 1",)),
    ("!(res > 10)", "approved", ()),
    ("true", "rejected", ()),
}


@pytest.mark.parametrize("amount", ["1", "60"])
@pytest.mark.parametrize("inner", [COMPUTING, ASKING], ids=["computing", "asking"])
def test_what_a_sub_process_sets_is_as_each_branch_needs_it(inner: dict[str, Any], amount: str) -> None:
    simulation = outer(inner, amount)
    assert branches(simulation) == EVERY
    assert not [w for w in simulation.warnings if "cannot occur" in w or "could not" in w]


def test_the_witness_of_a_branch_behind_a_computing_sub_process_takes_it() -> None:
    for branch in outer(COMPUTING, "60").branch_explorations:
        if branch.path_condition != "true":
            again = outer(COMPUTING, branch.witness["amount"])
            asked = [link.stage for link in again.approval_chain]
            assert asked == (["Stage 1"] if branch.path_condition == "(res > 10)" else [])


def test_a_route_that_its_simulation_does_not_take_is_no_branch_and_is_counted() -> None:
    simulation = outer(CHOOSING, "60")
    assert branches(simulation) == EVERY - {("!(res > 10)", "approved", ())}
    assert [w for w in simulation.warnings if w.startswith("1 routes could not be simulated: with the values")]
    assert not [w for w in simulation.warnings if "cannot occur" in w], "an amount of two takes it"


def test_what_a_rejected_sub_process_sets_is_as_the_branch_needs_it() -> None:
    after = [
        (b.path_condition, b.outcome)
        for b in outer(COMPUTING, "60", rejected="d").branch_explorations
        if {"node": "p", "result": "rejected"} in b.results
    ]
    assert sorted(after, key=str) == [
        ("!(res > 10)", "approved"),
        ("(res > 10)", "approved"),
        ("(res > 10)", "rejected"),
    ]


def test_a_route_whose_form_is_refused_is_no_branch_and_the_warning_says_why() -> None:
    form = {"type": "object", "properties": {"v": {"type": "string", "not": {"const": "sample"}}}, "required": ["v"]}
    simulation = found(blueprint({"form": form}))
    assert [b.outcome for b in simulation.branch_explorations] == ["rejected"]
    assert any("1 routes could not be simulated" in w and "The form does not fit" in w for w in simulation.warnings)


def test_a_branch_that_fails_on_its_way_ends_at_the_node_where_it_failed() -> None:
    small = {"type": "object", "properties": {"sum": {"type": "integer", "maximum": 100}}, "required": ["sum"]}
    pay = {"type": "action", "action": "pay", "input": {"sum": {"expr": "n * 100"}}}
    edges = ("start -> act", "act -> s1", "s1 -> approved on approved", "s1 -> rejected on rejected")
    drawn = graph(*edges, nodes={"act": pay, "s1": {"step": "Stage 1"}})
    raw = blueprint({}, variables=[{"name": "n", "type": "integer", "required": True}], graph_spec=drawn)
    simulation = found(raw, given={"n": 9}, actions={"pay": spec("pay", input_schema=small)})
    assert [(b.route, b.outcome, b.outcomes) for b in simulation.branch_explorations] == [
        (("start", "act"), simulation.outcome, ())
    ]


def test_without_an_input_dates_lie_after_the_start_so_that_the_gallerys_leave_can_be_approved() -> None:
    for start in (START, START + timedelta(days=900)):
        simulation = found(LEAVE, people=Directory(), start=start)
        assert simulation.outcome == "approved"
        assert {b.outcome for b in simulation.branch_explorations} == {"approved", "rejected", "expired"}
        assert not [w for w in simulation.warnings if "cannot occur" in w]


def test_an_input_whose_date_has_passed_makes_no_outcome_impossible() -> None:
    given = {"kind": "holiday", "days": 3, "first_day": "2026-01-01"}
    simulation = found(LEAVE, people=Directory(), given=given)
    assert {b.outcome for b in simulation.branch_explorations} == {"expired"}
    assert [w for w in simulation.warnings if "could not be simulated" in w]
    assert not [w for w in simulation.warnings if "cannot occur" in w], "with another date they do"
