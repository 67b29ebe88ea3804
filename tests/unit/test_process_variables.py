"""What a process sets itself is not asked of whoever makes a request, unless their value can count."""

from __future__ import annotations

from typing import Any

import pytest

from placet.definition.model import parse_definition
from placet.proofs.values.process_variables import process_variables
from tests.unit.core import blueprint, graph

STEP = {"stage_name": "Board", "approvers": ["user:bob"]}
FORM = {"type": "object", "properties": {"y": {"type": "integer"}}}
ASK: dict[str, Any] = {"type": "approval", "step": "Board"}
SETTERS: dict[str, dict[str, Any]] = {
    "an action": {"type": "action", "action": "set_variables", "input": {"y": {"expr": "x"}}, "output": {"y": "y"}},
    "an event": {"type": "wait", "event": "counted", "output": {"y": "y"}},
    "a sub-process": {"type": "subprocess", "template": "Other", "input": {}, "output": {"y": "y"}},
}


def left_out(
    *edges: str, nodes: dict[str, Any], step: dict[str, Any] = STEP, chosen: Any = (), **y: Any
) -> frozenset[str]:
    """Return what is left out; `chosen` are the edges of a decision."""
    variables = [
        {"name": "x", "type": "integer", "required": True},
        {"name": "y", "type": "integer", **y},
        {"name": "note", "type": "string"},
    ]
    drawn = graph(*edges, nodes=nodes)
    drawn["edges"] += chosen
    return process_variables(parse_definition(blueprint(step, variables=variables, graph_spec=drawn)))


BEFORE = ("start -> s", "s -> b", "b -> approved on approved", "b -> rejected on rejected")


@pytest.mark.parametrize("setter", SETTERS.values(), ids=SETTERS.keys())
def test_what_a_node_sets_is_left_out_whatever_it_is_called(setter: dict[str, Any]) -> None:
    assert left_out(*BEFORE, nodes={"s": setter, "b": ASK}) == {"y"}


def test_what_the_form_of_a_decision_sets_is_left_out() -> None:
    node, step = ASK | {"output": {"y": "y"}}, STEP | {"form": FORM}
    assert left_out("start -> b", *BEFORE[2:], nodes={"b": node}, step=step) == {"y"}


def test_what_is_required_is_asked_although_it_is_set_later() -> None:
    assert left_out(*BEFORE, nodes={"s": SETTERS["an action"], "b": ASK}, required=True) == frozenset()


def test_what_is_read_before_it_can_be_set_is_asked() -> None:
    chosen = [{"from": "d", "to": "s", "condition": "y > 3"}, {"from": "d", "to": "b", "default": True}]
    nodes = {"d": {"type": "decision"}, "s": SETTERS["an action"], "b": ASK}
    assert left_out("start -> d", *BEFORE[1:], nodes=nodes, chosen=chosen) == frozenset()


def test_what_is_read_in_a_loop_after_it_was_set_is_left_out() -> None:
    edges = ("start -> s", "s -> b", "b -> d on approved", "b -> rejected on rejected")
    chosen = [{"from": "d", "to": "s", "condition": "y < 3"}, {"from": "d", "to": "approved", "default": True}]
    nodes = {"d": {"type": "decision"}, "s": SETTERS["an action"], "b": ASK}
    assert left_out(*edges, nodes=nodes, chosen=chosen) == {"y"}


@pytest.mark.parametrize("before", [True, False])
def test_a_variable_that_names_an_approver_is_asked_unless_it_is_set_before(before: bool) -> None:
    edges = BEFORE if before else ("start -> b", "b -> s on approved", "b -> rejected on rejected", "s -> approved")
    step = STEP | {"approvers": ["input:y"]}
    found = left_out(*edges, nodes={"s": SETTERS["an event"], "b": ASK}, step=step, type="string")
    assert found == ({"y"} if before else frozenset())


def test_a_process_without_a_drawing_asks_for_everything() -> None:
    raw = blueprint(STEP, variables=[{"name": "y", "type": "integer"}])
    assert process_variables(parse_definition(raw)) == frozenset()
