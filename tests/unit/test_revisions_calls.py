"""What a change of the request means for actions and sub-processes that have run or still run."""

from __future__ import annotations

from typing import Any

import pytest

from placet.engine.events import ActionDone
from tests.unit.core import Case, blueprint, graph
from tests.unit.test_revisions import AMOUNT, CFO, PAYS, acting, chain, resubmit


def paid(request: Case) -> None:
    """Let mo approve, the action come to 120, and the CFO ask for changes."""
    request.decide("mo")
    request.done("act", {"total": "120"})
    assert request.state.input["total"] == "120"
    request.decide("cfo", "request_changes")


def test_an_action_that_is_asked_for_the_same_is_not_run_again_and_its_result_stands() -> None:
    request = acting(PAYS)
    paid(request)
    resubmit(request, input={"amount": "100", "note": "chair"})
    assert "total" not in request.state.input
    request.decide("mo")
    assert request.state.actions == ()
    assert request.state.input["total"] == "120"
    assert [e.detail["action"] for e in request.of_kind("action_kept")] == ["work"]
    assert len(request.of_kind("action_started")) == 1
    request.decide("cfo")
    assert request.state.outcome == "approved"


def test_what_must_not_be_done_twice_asks_the_owner_before_it_is_done_with_another_input() -> None:
    request = acting(PAYS)
    paid(request)
    resubmit(request, input={"amount": "60"})
    request.decide("mo")
    assert request.asked == ["olivia"]
    assert request.task.stage == "Run work again"
    request.decide("olivia")
    (call,) = request.state.actions
    assert call.input == {"amount": "60"}
    request.done("act", {"total": "72"})
    assert request.state.input["total"] == "72"
    request.decide("cfo")
    assert request.state.outcome == "approved"


def test_an_owner_who_says_no_lets_the_earlier_result_stand() -> None:
    request = acting(PAYS)
    paid(request)
    resubmit(request, input={"amount": "60"})
    request.decide("mo")
    request.decide("olivia", "reject")
    assert request.state.input["total"] == "120"
    assert request.asked == ["cfo"]


@pytest.mark.parametrize("more", [{"rerun": True}, {"is_idempotent": True}])
def test_what_may_be_done_again_is_done_without_asking(more: dict[str, Any]) -> None:
    node = {"rerun": more.pop("rerun")} if "rerun" in more else {}
    request = acting(PAYS | node, **more)
    paid(request)
    resubmit(request, input={"amount": "60"})
    request.decide("mo")
    assert [call.input for call in request.state.actions] == [{"amount": "60"}]


def test_an_action_that_still_runs_is_taken_up_where_it_is_asked_for_again() -> None:
    request = acting(PAYS, beside=True)
    (first,) = request.state.actions
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "100", "note": "chair"})
    assert request.state.actions == (first,)
    assert [call for step in request.steps for call in step.actions] == [first]
    request.done("act", {"total": "120"})
    request.decide("mo")
    assert request.asked == ["cfo"]


@pytest.mark.parametrize("change", [{}, {"input": {"amount": "100", "note": "chair"}}])
def test_what_ends_while_the_request_is_returned_counts_when_it_goes_on(change: dict[str, Any]) -> None:
    request = acting(PAYS, beside=True)
    request.decide("mo", "request_changes")
    request.done("act", {"total": "120"})
    assert "total" not in request.state.input
    resubmit(request, **change)
    assert request.state.input["total"] == "120"
    assert request.asked == ["mo"]
    request.decide("mo")
    assert request.asked == ["cfo"]


def test_what_ends_for_a_void_revision_is_on_record_and_counts_where_the_same_is_asked_for_later() -> None:
    request = acting(PAYS, beside=True)
    (first,) = request.state.actions
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "60"})
    assert request.asked == ["mo", "olivia"]  # the owner says whether it is done again with another amount
    request.do(ActionDone(node="act", visit=first.visit, key=first.key, ok=True, output={"total": "120"}))
    assert len(request.of_kind("action_ignored")) == 1
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "100"})
    assert request.state.input["total"] == "120"
    assert request.state.actions == ()


def children(**settings: Any) -> Case:
    nodes: dict[str, dict[str, Any]] = {
        "sub": {"type": "subprocess", "template": "Child", "input": {"amount": {"expr": "amount"}}},
        "last": {"step": "Stage 1"},
    }
    drawn = graph("start -> sub", "sub -> last on approved", "last -> approved on approved", nodes=nodes)
    child = blueprint({"approvers": ["user:ben"]}, name="Child", variables=AMOUNT[:1])
    return chain(CFO, graph_spec=drawn, children={"Child": child}, settings=settings)


def test_a_sub_process_that_came_to_an_end_with_the_same_input_keeps_its_result() -> None:
    request = children()
    request.ended("sub", "approved")
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "100", "note": "chair"})
    assert request.asked == ["cfo"]
    assert len(request.of_kind("child_started")) == 1
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "60", "note": "chair"})
    assert len(request.state.children) == 1
