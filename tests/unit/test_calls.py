"""Actions and sub-processes: what they are called with, what their results set, and their failures."""

from __future__ import annotations

from typing import Any

import pytest

from placet.audit.reasons import why_of
from placet.engine.events import ActionDone, Actor, Resubmit, Withdraw
from placet.engine.flow import MOST_VISITS
from placet.errors import BlueprintInvalid, InputInvalid
from tests.unit.core import Case, blueprint, case, graph, office, plan_of
from tests.unit.test_nodes import AMOUNT, ANN, BEN


def acting(node: dict[str, Any], *more: str, **fields: Any) -> Case:
    nodes = {"act": {"type": "action", "action": "look", **node}}
    spec = graph("start -> act", *(more or ("act -> approved",)), nodes=nodes)
    given = fields.pop("input", {"amount": "10"})
    variables = [AMOUNT, {"name": "score", "type": "integer", "maximum": 9}, {"name": "day", "type": "date"}]
    raw = blueprint(graph_spec=spec, variables=variables, **fields)
    return Case(plan=plan_of(raw), org=office(), input=given, twice=True)


def test_an_action_is_called_with_what_its_input_computes() -> None:
    node = {
        "input": {
            "double": {"expr": "amount * 2"},
            "fixed": 7,
            "absent": {"expr": "score"},
            "deep": {"list": [{"expr": "amount"}, "amount"], "when": {"expr": 'date("2026-01-31")'}},
        }
    }
    request = acting(node)
    [call] = request.steps[-1].actions
    assert call.input == {"double": "20", "fixed": 7, "deep": {"list": ["10", "amount"], "when": "2026-01-31"}}
    assert (call.key, call.action) == ("r:act:1", "look")


def test_what_an_action_returns_sets_variables_with_before_and_after_on_record() -> None:
    request = acting({"output": {"score": "risk", "amount": "/price/net"}})
    request.done("act", {"risk": 3, "price": {"net": 99.5}})
    assert request.state.input == {"amount": "99.5", "score": 3}
    assert request.of_kind("action_run")[0].detail["before"] == {"score": None, "amount": "10"}
    assert request.of_kind("action_run")[0].detail["after"] == {"score": 3, "amount": "99.5"}
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(
    ("output", "error"), [({"risk": 10}, None), ({"risk": "high"}, None), ({}, "the server is away")]
)
def test_an_action_that_fails_or_returns_what_does_not_fit_takes_its_failed_way(
    output: dict[str, Any], error: str | None
) -> None:
    request = acting({"output": {"score": "risk"}}, "act -> approved on done", "act -> rejected on failed")
    request.done("act", output, error=error)
    assert request.state.outcome == "rejected"
    assert "score" not in request.state.input
    assert request.of_kind("action_failed")


def test_a_failure_without_a_way_fails_the_request() -> None:
    request = acting({})
    request.done("act", error="the server is away")
    assert request.state.status == "failed"
    assert "the server is away" in why_of(request.of_kind("failed")[0].detail)


def test_an_input_that_cannot_be_computed_fails_the_action_before_it_runs() -> None:
    node = {"input": {"x": {"expr": "amount / 0.0"}}}
    request = acting(node, "act -> approved", "act -> rejected on failed")
    assert request.state.outcome == "rejected"
    assert not any(step.actions for step in request.steps)


def test_a_result_that_comes_twice_counts_once() -> None:
    nodes = {"act": {"type": "action", "action": "look"}, "a": {"step": "Stage 1"}}
    request = case(ANN, graph_spec=graph("start -> act", "act -> a", "a -> approved", nodes=nodes))
    [call] = request.state.actions
    event = ActionDone(node="act", visit=1, key=call.key, ok=True)
    assert request.do(event)
    assert request.do(event) == []


def test_the_result_of_an_action_whose_branch_has_ended_is_on_record_and_changes_nothing() -> None:
    nodes = {
        "f": {"type": "fork"},
        "act": {"type": "action", "action": "pay"},
        "a": {"step": "Stage 1"},
        "j": {"type": "join", "need": "any"},
        "b": {"step": "Stage 2"},
    }
    spec = graph("start -> f", "f -> act", "f -> a", "act -> j", "a -> j", "j -> b", "b -> approved", nodes=nodes)
    request = case(ANN, BEN, graph_spec=spec, twice=True)
    [call] = request.state.actions
    request.decide("ann")
    assert [e.detail["node"] for e in request.of_kind("branch_ended")] == ["act"]
    entries = request.do(ActionDone(node="act", visit=call.visit, key=call.key, ok=True))
    assert [e.kind for e in entries] == ["action_ignored"]
    assert request.asked == ["ben"]


def test_after_the_end_the_result_of_an_action_changes_nothing() -> None:
    request = acting({})
    [call] = request.state.actions
    request.do(Withdraw(by=Actor(person="rita")))
    assert request.of_kind("branch_ended")
    assert request.do(ActionDone(node="act", visit=1, key=call.key, ok=True)) == []


def test_people_whom_an_action_names_are_looked_up_when_they_are_needed() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "act": {"type": "action", "action": "look", "output": {"boss": "who"}},
        "a": {"step": "Stage 1"},
    }
    spec = graph("start -> act", "act -> a", "a -> approved", nodes=nodes)
    request = case({"approvers": ["input:boss"]}, variables=[{"name": "boss", "type": "string"}], graph_spec=spec)
    request.done("act", {"who": "user:cid"})
    assert request.asked == ["cid"]
    assert request.state.directory_given == {"boss": "user:cid"}


def test_a_resubmission_does_not_undo_what_the_process_has_set() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "act": {"type": "action", "action": "look", "output": {"score": "risk"}},
        "a": {"step": "Stage 1"},
    }
    spec = graph("start -> act", "act -> a", "a -> approved", nodes=nodes)
    request = case(
        ANN, graph_spec=spec, variables=[AMOUNT, {"name": "score", "type": "integer"}], input={"amount": "1"}
    )
    request.done("act", {"risk": 3})
    request.decide("ann", "request_changes")
    with pytest.raises(InputInvalid) as refused:
        request.do(Resubmit(by=Actor(person="rita"), input={"amount": "2", "score": 0}))
    assert [p.pointer for p in refused.value.problems] == ["/input/score"]
    request.do(Resubmit(by=Actor(person="rita"), input={"amount": "2", "score": 3}))
    assert request.state.input == {"amount": "2", "score": 3}
    request.decide("ann", "request_changes")
    request.do(Resubmit(by=Actor(person="rita"), input={"amount": "4"}))
    assert request.state.input == {"amount": "4", "score": 3}


def test_a_loop_of_actions_ends_after_a_thousand_visits() -> None:
    request = acting({}, "act -> act on failed", "act -> approved")
    request.twice = False
    for _ in range(MOST_VISITS):
        assert request.state.status == "pending"
        request.done("act", error="again")
    assert request.state.status == "failed"


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        ({"action": "lok"}, "/action"),
        ({"input": {"x": {"expr": "amout"}}}, "/input/x/expr"),
        ({"input": {"x": [{"y": {"expr": "1 +"}}]}}, "/input/x/0/y/expr"),
        ({"output": {"scor": "risk"}}, "/output/scor"),
    ],
)
def test_a_fault_in_an_action_is_named_at_its_place(node: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        acting(node)
    assert [p.pointer for p in refused.value.problems] == [f"/graph_spec/nodes/3{pointer}"]


CHILD = blueprint(ANN, variables=[{"name": "sum", "type": "decimal", "required": True}])


def parent(*more: str, node: dict[str, Any] | None = None, amount: str | None = "5") -> Case:
    full = {
        "type": "subprocess",
        "template": "Child",
        "input": {"sum": {"expr": "amount"}},
        "output": {"amount": "sum"},
    }
    spec = graph("start -> sub", *(more or ("sub -> approved",)), nodes={"sub": {**full, **(node or {})}})
    raw = blueprint(graph_spec=spec, variables=[AMOUNT])
    return Case(
        plan=plan_of(raw, {"Child": CHILD}), org=office(), input={"amount": amount} if amount else {}, twice=True
    )


def test_a_sub_process_is_started_as_a_request_of_its_own_and_its_variables_come_back() -> None:
    request = parent()
    [call] = request.steps[-1].children
    assert (call.request_id, call.child, call.input) == ("r~1", "Child", {"sum": "5"})
    assert request.plan.children["Child"].plan.name == "Test"
    request.ended("sub", "approved", {"sum": "6"})
    assert (request.state.outcome, request.state.input) == ("approved", {"amount": "6"})
    assert request.steps[-1].ended_children == ()


@pytest.mark.parametrize(
    ("outcome", "more", "status", "ends"),
    [
        ("rejected", ("sub -> approved", "sub -> rejected on rejected"), "completed", "rejected"),
        ("on_hold", ("sub -> approved", "sub -> rejected on on_hold"), "completed", "rejected"),
        ("on_hold", (), "completed", "on_hold"),  # no edge: the request ends with it
        ("failed", ("sub -> approved", "sub -> rejected on failed"), "completed", "rejected"),
        ("failed", (), "failed", None),
        ("cancelled", (), "failed", None),
        ("withdrawn", (), "failed", None),
    ],
)
def test_the_outcome_of_a_sub_process_decides_the_way_on(
    outcome: str, more: tuple[str, ...], status: str, ends: str | None
) -> None:
    request = parent(*more)
    request.ended("sub", outcome, {"sum": "5"})
    assert (request.state.status, request.state.outcome) == (status, ends)


def test_a_sub_process_whose_input_does_not_fit_fails_before_it_begins() -> None:
    request = parent(amount=None)
    assert request.state.status == "failed"
    assert not any(step.children for step in request.steps)


def test_withdrawing_a_request_ends_its_sub_processes() -> None:
    request = parent()
    request.do(Withdraw(by=Actor(person="rita")))
    assert request.steps[-1].ended_children == ("r~1",)


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        ({"template": "Nobody"}, "/template"),
        ({"version": "9.9.9"}, "/template"),
        ({"input": {"summ": 1}}, "/input/summ"),
        ({"output": {"amount": "summ"}}, "/output/amount"),
    ],
)
def test_a_fault_in_a_sub_process_is_named_at_its_place(node: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        parent(node=node)
    assert [p.pointer for p in refused.value.problems] == [f"/graph_spec/nodes/3{pointer}"]
