"""Agents in the core: they ask and withdraw for a person, decide nothing, and their principal may be kept from it."""

from __future__ import annotations

from typing import Any

import pytest

from placet.engine import machine
from placet.engine.events import (
    Actor,
    AddApprover,
    Claim,
    Comment,
    Decide,
    Delegate,
    Event,
    Migrate,
    Opening,
    Reassign,
    Release,
    Undo,
    Withdraw,
)
from placet.errors import NotPermitted
from placet.frozen import evolve
from tests.unit.core import START, blueprint, case, office, plan_of

MO = {"approvers": ["user:mo"]}
AGENT = Actor(person="mo", type="agent", principal="dh", admin=True)


@pytest.mark.parametrize(
    "event",
    [
        *(Decide(by=AGENT, task_id="r.1", decision=one) for one in ("approve", "reject", "request_changes", "abstain")),
        Undo(by=AGENT, task_id="r.1"),
        Reassign(by=AGENT, task_id="r.1", to="user:dh"),
        Delegate(by=AGENT, task_id="r.1", to="user:dh"),
        AddApprover(by=AGENT, task_id="r.1", to="user:dh", reason="More eyes."),
        Claim(by=AGENT, task_id="r.1"),
        Release(by=AGENT, task_id="r.1"),
        Migrate(by=AGENT, plan=plan_of(blueprint(MO)), template_id="t"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_agent_decides_nothing_and_gives_no_task_to_anybody_whatever_its_access_is(event: Event) -> None:
    request = case(MO)
    with pytest.raises(NotPermitted, match="An agent decides nothing"):
        request.do(event)


def test_a_request_of_before_goes_on_by_its_rules() -> None:
    earlier = case(MO)
    earlier.state = evolve(earlier.state, rules=5)  # so that its history replays
    step = machine.apply(earlier.plan, earlier.state, Decide(by=AGENT, task_id="r.1", decision="approve"), earlier.now)
    assert step.state.outcome == "approved"


def begun(plan: Any, *, principal: str | None) -> Any:
    opening = Opening(
        request_id="r",
        requester="rita",
        title="A request",
        input={},
        directory=office(),
        directory_at=START,
        secret="secret",
        titled=True,
        actor_type="agent",
        principal=principal,
    )
    return machine.begin(plan, opening, machine.opening_state(plan, opening, START), START)


def test_an_agent_withdraws_its_request_and_can_end_it_in_no_other_way() -> None:
    request = case(MO)
    bot = Actor(person="rita", type="agent", principal="mo", admin=True)
    with pytest.raises(NotPermitted):
        request.do(Decide(by=bot, task_id="r.1", decision="reject"))
    with pytest.raises(NotPermitted):
        request.do(Withdraw(by=bot, how="cancelled"))
    request.do(Withdraw(by=bot))
    assert (request.state.status, request.state.outcome) == ("cancelled", "withdrawn")
    entry = request.entries[-1]
    assert (entry.actor, entry.detail["actor_type"], entry.detail["principal"]) == ("user:rita", "agent", "user:mo")


def test_entries_say_the_agent_and_whom_it_acts_for() -> None:
    step = begun(plan_of(blueprint(MO)), principal="cfo")
    assert step.entries[0].actor == "user:rita"
    assert (step.entries[0].detail["actor_type"], step.entries[0].detail["principal"]) == ("agent", "user:cfo")
    request = case(MO)
    (entry,) = request.do(Comment(by=Actor(person="rita", type="agent", principal="cfo"), text="Please."))
    assert (entry.detail["actor_type"], entry.detail["principal"]) == ("agent", "user:cfo")


@pytest.mark.parametrize(
    ("where", "rule", "asked"),
    [
        ("process", "allow", "mo"),
        ("process", "forbid", "dh"),
        ("stage", "forbid", "dh"),
    ],
)
def test_whom_an_agent_acts_for_is_no_approver_where_the_process_says_so(where: str, rule: str, asked: str) -> None:
    duties = {"separation_of_duties": {"agent_principal": rule}}
    step = {"approvers": ["user:mo"], "escalation_to": "department_head", **(duties if where == "stage" else {})}
    plan = plan_of(blueprint(step, **(duties if where == "process" else {})))
    state = begun(plan, principal="mo").state
    assert [task.assignee for task in state.open_tasks] == [asked]
    if rule == "forbid":
        by = Actor(person="olivia")
        with pytest.raises(Exception, match="forbids deciding for one's own agent"):
            machine.apply(plan, state, Reassign(by=by, task_id="r.1", to="user:mo"), START)
    else:
        machine.apply(plan, state, Decide(by=Actor(person="mo"), task_id="r.1", decision="approve"), START)


def test_the_principal_of_another_agent_decides() -> None:
    duties = {"separation_of_duties": {"agent_principal": "forbid"}}
    state = begun(plan_of(blueprint(MO, **duties)), principal="cfo").state
    assert [task.assignee for task in state.open_tasks] == ["mo"]
