"""The life of a request in the core: what begins it, what ends it, and how it is driven."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from placet.audit.chain import genesis
from placet.audit.reasons import why_of
from placet.engine import machine
from placet.engine.events import Actor, Comment, Decide, DirectoryRead, Opening, Resubmit, SignalRefused, Withdraw
from placet.errors import AlreadyDecided, Ended, InputInvalid, NotPermitted, Refused, UnknownTask
from tests.unit.core import HOUR, START, Case, blueprint, case, office, plan_of

MANAGER_STEP = {
    "stage_name": "Manager Approval",
    "sla_hours": 24,
    "escalation_enabled": True,
    "escalation_to": "department_head",
}


def opening(**changed: object) -> Opening:
    fields = {
        "request_id": "r",
        "requester": "rita",
        "title": "A request",
        "input": {},
        "directory": office(),
        "directory_at": START,
        "secret": "secret",
        "titled": True,
    } | changed
    return Opening(**fields)  # type: ignore[arg-type] # the fields of a test


def test_the_published_stage_with_nothing_else_in_it_asks_the_manager_and_escalates_to_the_role() -> None:
    request = Case(plan=plan_of({"name": "E2", "version": "1.0.0", "process_steps": [MANAGER_STEP]}), org=office())
    assert request.asked == ["mo"]
    assert request.task.due_at == START + 24 * HOUR
    request.hours(24)
    assert request.asked == ["dh"]
    request.decide("dh")
    assert (request.state.status, request.state.outcome) == ("completed", "approved")
    assert request.kinds() == [
        "started",
        "task_opened",
        "sla_warning",
        "sla_breached",
        "escalated",
        "decided",
        "stage_settled",
        "completed",
    ]


EXPENSE = blueprint(
    {"stage_name": "Manager"},
    {"stage_name": "Director", "approvers": ["department_head"]},
    {"stage_name": "CFO", "approvers": ["role:cfo"]},
    variables=[{"name": "amount", "type": "decimal"}],
    graph_spec={
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "manager", "type": "approval", "step": "Manager"},
            {"id": "size", "type": "decision"},
            {"id": "director", "type": "approval", "step": "Director"},
            {"id": "cfo", "type": "approval", "step": "CFO"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "manager"},
            {"from": "manager", "to": "size", "on": "approved"},
            {"from": "manager", "to": "no", "on": "rejected"},
            {"from": "size", "to": "cfo", "condition": "amount > 10000"},
            {"from": "size", "to": "director", "condition": "amount > 1000"},
            {"from": "size", "to": "yes", "default": True},
            {"from": "director", "to": "yes", "on": "approved"},
            {"from": "director", "to": "no", "on": "rejected"},
            {"from": "cfo", "to": "yes", "on": "approved"},
            {"from": "cfo", "to": "no", "on": "rejected"},
        ],
    },
)


@pytest.mark.parametrize(
    ("amount", "asked"),
    [
        ("1000", []),  # at the bound: not above it
        ("1000.01", ["dh"]),  # a cent above
        ("10000", ["dh"]),
        ("10000.01", ["cfo"]),  # the first condition that holds is taken
    ],
)
def test_the_amount_decides_who_is_asked_next(amount: str, asked: list[str]) -> None:
    request = Case(plan=plan_of(EXPENSE), org=office(), input={"amount": amount})
    request.decide("mo")
    assert request.asked == asked
    if not asked:
        assert request.state.outcome == "approved"


def test_a_rejection_ends_the_request_and_nobody_else_is_asked() -> None:
    request = Case(plan=plan_of(EXPENSE), org=office(), input={"amount": "9"})
    request.decide("mo", "reject", comment="too dear")
    assert (request.state.status, request.state.outcome) == ("completed", "rejected")
    assert request.told("completed") == ["rita"]


def test_input_that_does_not_fit_the_variables_does_not_begin() -> None:
    with pytest.raises(InputInvalid) as refused:
        Case(plan=plan_of(EXPENSE), org=office(), input={"amount": "much"})
    assert refused.value.problems[0].pointer == "/input/amount"


@pytest.mark.parametrize("title", ["", "   ", "NUL \0", "x" * 10_001])
def test_a_title_that_cannot_be_stored_does_not_begin(title: str) -> None:
    with pytest.raises(InputInvalid):
        case({}, title=title)


def test_a_request_begins_once() -> None:
    request = case({})
    again = machine.begin(request.plan, opening(), request.state, START)
    assert again.state is request.state


def test_an_event_before_the_beginning_is_refused_and_leaves_no_trace() -> None:
    plan, state = plan_of(blueprint({})), machine.opening_state(plan_of(blueprint({})), opening(), START)
    with pytest.raises(Refused, match="not begun"):
        machine.apply(plan, state, Comment(by=Actor(person="rita"), text="hurry"), START)


@pytest.mark.parametrize(
    ("late", "needed"),
    [
        (timedelta(0), False),  # the API has just read the directory
        (timedelta(minutes=5), False),
        (timedelta(minutes=-5), False),  # its clock is ahead
        (timedelta(minutes=6), True),  # the request lay in the queue
        (timedelta(days=-1), True),  # a clock that is quite wrong
    ],
)
def test_a_request_that_begins_long_after_its_directory_was_read_has_it_read_again(
    late: timedelta, needed: bool
) -> None:
    plan, asked = plan_of(blueprint({})), opening()
    now = START + late
    step = machine.begin(plan, asked, machine.opening_state(plan, asked, now), now)
    assert step.needs_directory is needed
    if needed:
        read = machine.apply(plan, step.state, DirectoryRead(directory=office(), at=START), now)
        assert not read.entries
        assert machine.begin(plan, asked, read.state, now).state.open_tasks


def test_a_decision_that_opens_a_stage_needs_the_directory_and_one_that_ends_the_request_does_not() -> None:
    plan = plan_of(blueprint({}, {"approvers": ["user:cfo"]}))
    state = machine.begin(plan, opening(), machine.opening_state(plan, opening(), START), START).state
    decision = Decide(by=Actor(person="mo"), task_id="r.1", decision="approve")
    step = machine.apply(plan, state, decision, START + HOUR)
    assert step.needs_directory
    assert step.state is state
    read = DirectoryRead(directory=office(), at=START - HOUR)  # read by a clock that is wrong: it counts as read now
    state = machine.apply(plan, state, read, START + HOUR).state
    state = machine.apply(plan, state, decision, START + HOUR).state
    last = Decide(by=Actor(person="cfo"), task_id="r.2", decision="approve")
    assert machine.apply(plan, state, last, START + 9 * HOUR).state.outcome == "approved"


@pytest.mark.parametrize("kind", ["person", "service", "agent"])
def test_an_entry_says_what_acted_where_it_is_no_human_being(kind: Any) -> None:
    request = case({"approvers": ["user:mo"]})
    entries = request.do(Comment(by=Actor(person="mo", type=kind), text="Seen."))
    expected = {"commented": None if kind == "person" else kind}
    assert {e.kind: e.detail.get("actor_type") for e in entries if e.actor == "user:mo"} == expected
    assert not any("actor_type" in e.detail for e in entries if e.actor == "system")


def test_a_request_that_a_service_entered_says_so() -> None:
    plan, asked = plan_of(blueprint({})), replace(opening(), actor_type="service")
    begun = machine.begin(plan, asked, machine.opening_state(plan, asked, START), START)
    assert begun.entries[0].detail["actor_type"] == "service"
    plain = machine.begin(plan, opening(), machine.opening_state(plan, opening(), START), START)
    assert "actor_type" not in plain.entries[0].detail


def ended() -> Case:
    request = case({"approvers": ["user:mo", "user:dh", "user:ceo"], "quorum": {"at_least": 2}})
    request.decide("mo")
    request.decide("dh", comment="fine")
    return request


@pytest.mark.parametrize(
    ("task", "standing"),
    [
        ("r.1", {"status": "decided", "decision": "approve", "decided_by": "user:mo"}),
        # a task that was closed unanswered names the decision that settled its stage
        ("r.3", {"status": "superseded", "decision": "approve", "decided_by": "user:dh", "result": "approved"}),
    ],
)
def test_a_late_or_repeated_decision_names_the_decision_that_stands(task: str, standing: dict[str, str]) -> None:
    request = ended()
    with pytest.raises(AlreadyDecided) as refused:
        request.decide("ceo", "reject", task=task)
    assert standing.items() <= refused.value.standing.items()
    assert refused.value.standing["outcome"] == "approved"


@pytest.mark.parametrize(
    "event",
    [
        Comment(by=Actor(person="rita"), text="thanks"),
        Withdraw(by=Actor(person="rita")),
        Withdraw(by=Actor(person="olivia"), how="cancelled"),
        Resubmit(by=Actor(person="rita")),
    ],
)
def test_an_ended_request_refuses_what_would_change_it(event: Comment | Withdraw | Resubmit) -> None:
    with pytest.raises(Ended):
        ended().do(event)


@pytest.mark.parametrize("event", [SignalRefused(reason="late"), DirectoryRead(directory=office(mo=None), at=START)])
def test_what_nobody_waits_for_changes_nothing_after_the_end(event: SignalRefused | DirectoryRead) -> None:
    request = ended()
    assert request.do(event) == []


def test_the_tasks_of_a_withdrawn_request_are_cancelled_and_their_people_told() -> None:
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all"})
    request.do(Withdraw(by=Actor(person="rita"), reason="changed my mind"))
    assert (request.state.status, request.state.outcome) == ("cancelled", "withdrawn")
    assert {t.status for t in request.state.tasks} == {"cancelled"}
    assert request.told("withdrawn") == ["rita", "mo", "dh"]
    with pytest.raises(Ended):
        request.decide("mo", task="r.1")


@pytest.mark.parametrize(
    ("by", "how", "allowed"),
    [
        (Actor(person="rita"), "withdrawn", True),
        (Actor(person="mo"), "withdrawn", False),
        (Actor(person="root", admin=True), "withdrawn", False),  # an admin cancels
        (Actor(person="olivia"), "cancelled", True),  # the process owner
        (Actor(person="root", admin=True), "cancelled", True),
        (Actor(person="system", admin=True), "cancelled", True),  # cancelled in the engine
        (Actor(person="rita"), "cancelled", False),
    ],
)
def test_the_requester_withdraws_and_an_operator_cancels(by: Actor, how: str, allowed: bool) -> None:
    request = case({})
    event = Withdraw(by=by, how=how)  # type: ignore[arg-type] # one of the two words
    if allowed:
        (*_, last) = request.do(event)
        assert last.actor == ("system" if by.person == "system" else f"user:{by.person}")
        assert request.state.outcome == how
    else:
        with pytest.raises(NotPermitted):
            request.do(event)


def test_whoever_holds_the_owning_role_operates_the_process() -> None:
    request = case({}, owner="role:cfo")
    with pytest.raises(NotPermitted):
        request.do(Withdraw(by=Actor(person="ann"), how="cancelled"))
    request.now += HOUR  # the directory is read again for it
    request.do(Withdraw(by=Actor(person="cfo"), how="cancelled"))
    assert request.state.outcome == "cancelled"


def test_an_event_with_a_key_that_was_answered_changes_nothing() -> None:
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all"})
    request.decide("mo", key="k")
    before = request.state
    assert request.decide("mo", "reject", task="r.1", key="k") == []
    assert request.state == before


def test_a_refused_event_does_not_use_its_key_up() -> None:
    request = case({})
    with pytest.raises(NotPermitted):
        request.decide("dh", task="r.1", key="k")
    request.decide("mo", key="k")
    assert request.state.outcome == "approved"


def test_only_the_latest_thousand_answers_are_remembered() -> None:
    request = case({})
    state = request.state
    for number in range(1003):
        said = Comment(by=Actor(person="rita"), text="again", key=str(number))
        state = machine.apply(request.plan, state, said, START).state
    assert list(state.answered) == [str(n) for n in range(3, 1003)]


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UnknownTask):
        case({}).decide("mo", task="r.9")


def test_what_an_unverified_signal_claims_is_on_record_as_harmless_text() -> None:
    request = case({})
    (entry,) = request.do(SignalRefused(claimed={"task_id": "r\0.1" + "x" * 500, "odd": "\ud83d"}, reason="forged"))
    assert entry.kind == "signal_refused"
    assert "\0" not in entry.detail["claimed"]["task_id"]
    assert len(entry.detail["claimed"]["task_id"]) == 200
    assert request.state.open_tasks


def test_decisions_that_lead_round_in_a_circle_fail_the_request_and_tell_the_owner() -> None:
    raw = blueprint(
        {},
        graph_spec={
            "nodes": [
                {"id": "start", "type": "trigger"},
                {"id": "a", "type": "decision"},
                {"id": "b", "type": "decision"},
            ],
            "edges": [
                {"from": "start", "to": "a"},
                {"from": "a", "to": "b", "default": True},
                {"from": "b", "to": "a", "default": True},
            ],
        },
    )
    request = Case(plan=plan_of(raw), org=office())
    assert (request.state.status, request.state.outcome) == ("failed", None)
    assert request.told("failed") == ["rita", "olivia"]


def test_a_condition_that_cannot_be_evaluated_fails_the_request_with_the_place() -> None:
    raw = blueprint(
        {},
        variables=[{"name": "n", "type": "integer"}],
        graph_spec={
            "nodes": [
                {"id": "start", "type": "trigger"},
                {"id": "a", "type": "decision"},
                {"id": "yes", "type": "terminator", "outcome": "approved"},
            ],
            "edges": [
                {"from": "start", "to": "a"},
                {"from": "a", "to": "yes", "condition": "10 / n > 1"},
                {"from": "a", "to": "yes", "default": True},
            ],
        },
    )
    request = Case(plan=plan_of(raw), org=office(), input={"n": 0})
    assert request.state.status == "failed"
    assert "decision a could not be made" in why_of(request.of_kind("failed")[0].detail)


def test_a_way_back_opens_the_stage_anew_and_earlier_votes_do_not_count() -> None:
    raw = blueprint(
        {"approvers": ["user:mo"]},
        {"approvers": ["user:dh"]},
        graph_spec={
            "nodes": [
                {"id": "start", "type": "trigger"},
                {"id": "one", "type": "approval", "step": "Stage 1"},
                {"id": "two", "type": "approval", "step": "Stage 2"},
                {"id": "yes", "type": "terminator", "outcome": "approved"},
                {"id": "no", "type": "terminator", "outcome": "rejected"},
            ],
            "edges": [
                {"from": "start", "to": "one"},
                {"from": "one", "to": "two", "on": "approved"},
                {"from": "one", "to": "no", "on": "rejected"},
                {"from": "two", "to": "yes", "on": "approved"},
                {"from": "two", "to": "one", "on": "rejected"},
            ],
        },
    )
    request = Case(plan=plan_of(raw), org=office())
    request.decide("mo")
    request.decide("dh", "reject")
    assert request.asked == ["mo"]
    assert request.task.id == "r.3"
    request.decide("mo", "reject")
    assert request.state.outcome == "rejected"


def test_the_chain_starts_from_the_request_itself() -> None:
    state = machine.opening_state(plan_of(blueprint({})), opening(), datetime(2026, 3, 2, tzinfo=START.tzinfo))
    assert state.head == genesis("r")
    assert case({}).entries[0].hash != case({}, request_id="s").entries[0].hash
