"""Undoing a decision: it stands, with everything that follows from it, once the stage's `undo_seconds` are over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.audit.chain import standing_decisions
from placet.directory import Person
from placet.engine import machine
from placet.engine.events import (
    Actor,
    Attach,
    Comment,
    Delegate,
    Extend,
    Reassign,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.errors import AlreadyDecided, Ended, NotPermitted, Refused, UnknownTask
from placet.frozen import evolve
from placet.proofs import check
from simulation.report.costs import usage_in
from tests.unit.core import HOUR, REFUSALS, START, STATES, Case, away, blueprint, case, graph, office, plan_of
from tests.unit.test_backtest import again, put, run
from tests.unit.test_backtest import case as past_request

SECOND = timedelta(seconds=1)
WINDOW = 10 * SECOND
TWO = ["user:ann", "user:ben"]


def undo(request: Case, by: str, task: str | None = None, **more: Any) -> None:
    """Undo the decision on a task, or on the first that may be undone."""
    chosen = task or next((t.id for t in request.state.tasks if t.provisional), "none")
    request.do(Undo(by=Actor(person=by), task_id=chosen, **more))


def test_a_decision_has_no_effect_until_its_time_for_undoing_is_over() -> None:
    request = case({"undo_seconds": 10}, {"approvers": ["role:cfo"]})
    request.decide("mo")
    assert (request.task.status, request.task.undo_until) == ("decided", START + WINDOW)
    assert request.entries[-1].detail["undo_until"] == "2026-03-02T09:00:10.000000Z"
    assert machine.next_due(request.plan, request.state) == START + WINDOW
    assert not request.state.open_tasks
    request.until(START + WINDOW - SECOND)
    assert request.kinds()[-1] == "decided"
    request.until(START + WINDOW)
    assert request.kinds()[-3:] == ["decision_stands", "stage_settled", "task_opened"]
    assert request.asked == ["cfo"]
    assert request.state.tasks[0].undo_until is None


def test_an_undone_decision_leaves_the_task_as_it_was() -> None:
    request = case({"undo_seconds": 10, "sla_hours": 8, "reminders": {"every_hours": 3}})
    before, notified = request.task, len(request.notifications)
    request.now += HOUR
    request.decide("mo", comment="too quick")
    undo(request, "mo")
    assert request.task == replace(before, hand_overs=1), "tokens and links of before are used"
    assert request.entries[-1].kind == "decision_undone"
    assert request.entries[-1].actor == "user:mo"
    assert len(request.notifications) == notified
    request.until(request.now + HOUR)
    assert request.state.status == "pending"
    request.decide("mo", "reject")
    request.until(request.now + WINDOW)
    assert request.state.outcome == "rejected"
    assert [e.detail["decision"] for e in standing_decisions(request.entries).values()] == ["reject"]


def test_only_whoever_decided_undoes_it() -> None:
    request = case({"approvers": TWO, "quorum": "all", "undo_seconds": 10})
    request.decide("ann")
    for other in ("ben", "olivia", "rita"):
        with pytest.raises(NotPermitted):
            undo(request, other)
    admin = Undo(by=Actor(person="adam", admin=True), task_id=request.state.tasks[0].id)
    with pytest.raises(NotPermitted, match="Only whoever decided"):
        request.do(admin)
    with pytest.raises(Refused, match="Nobody has decided this task"):
        undo(request, "ben", request.state.tasks[1].id)
    with pytest.raises(UnknownTask):
        undo(request, "ben", "r.9")


def test_after_the_time_for_undoing_the_refusal_says_what_stands() -> None:
    request = case({"undo_seconds": 10})
    request.decide("mo")
    request.now = START + WINDOW  # and the timer is late
    with pytest.raises(AlreadyDecided, match="can no longer be undone") as refused:
        undo(request, "mo")
    standing = refused.value.standing
    assert (standing["decision"], standing["decided_by"], standing["outcome"]) == ("approve", "user:mo", "approved")
    request.until(request.now)
    assert request.state.outcome == "approved"
    with pytest.raises(AlreadyDecided, match="can no longer be undone"):
        undo(request, "mo", request.task.id)


def test_a_stage_without_undo_seconds_decides_at_once_and_for_good() -> None:
    request = case({})
    request.decide("mo")
    assert "undo_until" not in request.of_kind("decided")[0].detail
    with pytest.raises(AlreadyDecided, match="can no longer be undone"):
        undo(request, "mo", request.task.id)


def test_another_decision_on_the_task_is_refused_with_the_one_that_may_be_undone() -> None:
    request = case({"undo_seconds": 10})
    request.decide("mo")
    with pytest.raises(AlreadyDecided, match="may undo it until") as refused:
        request.decide("mo", "reject", task=request.task.id)
    assert refused.value.standing["undo_until"] == "2026-03-02T09:00:10.000000Z"


def test_a_repeat_of_an_undone_decision_by_its_key_decides_nothing() -> None:
    request = case({"undo_seconds": 10})
    task = request.task.id
    request.decide("mo", key="k")
    undo(request, "mo", key="u")
    assert request.decide("mo", task=task, key="k") == []
    request.decide("mo", task=task, key="other")
    undo_again = Undo(by=Actor(person="mo"), task_id=task, key="u")
    assert request.do(undo_again) == []
    assert request.task.provisional


def test_while_a_decision_may_be_undone_its_stage_neither_reminds_nor_breaches_nor_escalates() -> None:
    step = {"approvers": TWO, "quorum": "all", "sla_hours": 1, "warn_before_hours": 0, "undo_seconds": 3600}
    request = case({**step, "escalation_to": "cfo", "reminders": {"every_hours": 1.5}})
    request.hours(0.5)
    request.decide("ann")
    request.hours(1.49)
    assert not {"reminded", "sla_breached", "escalated"} & set(request.kinds())
    request.hours(1.5)
    kinds = request.kinds()
    assert kinds[kinds.index("decision_stands") :] == ["decision_stands", "sla_breached", "escalated"]


def test_what_came_due_meanwhile_happens_as_soon_as_the_decision_is_undone() -> None:
    request = case({"sla_hours": 1, "warn_before_hours": 0, "escalation_to": "cfo", "undo_seconds": 3600})
    request.hours(0.9)
    request.decide("mo")
    request.hours(1.2)
    undo(request, "mo")
    request.until(request.now)
    assert request.kinds()[-3:] == ["decision_undone", "sla_breached", "escalated"]


def test_a_stage_that_decided_in_time_never_breaches() -> None:
    request = case({"sla_hours": 1, "warn_before_hours": 0, "undo_seconds": 7200})
    request.hours(0.9)
    request.decide("mo")
    request.hours(48)
    assert (request.state.outcome, request.task.sla_state) == ("approved", "ok")


def test_the_decision_that_stands_first_settles_the_stage_and_later_ones_count_only_if_it_is_undone() -> None:
    first = case({"approvers": TWO, "undo_seconds": 10})
    first.decide("ann")
    first.now += 5 * SECOND
    first.decide("ben", "reject")
    first.until(START + WINDOW)
    assert first.state.outcome == "approved"
    late = first.state.tasks[1]
    assert (late.status, late.decision, late.undo_until) == ("superseded", None, None)
    assert "ben" in first.told("superseded")
    assert list(standing_decisions(first.entries)) == [first.state.tasks[0].id]

    second = case({"approvers": TWO, "undo_seconds": 10})
    second.decide("ann")
    second.now += 5 * SECOND
    second.decide("ben", "reject")
    undo(second, "ann", second.state.tasks[0].id)
    second.until(START + WINDOW + 5 * SECOND)
    assert second.state.outcome == "rejected"


def test_a_sequence_asks_the_next_once_the_decision_before_stands() -> None:
    request = case({"approvers": TWO, "quorum": "all", "order": "sequential", "undo_seconds": 10})
    request.decide("ann")
    assert request.asked == []
    request.until(START + WINDOW)
    assert request.asked == ["ben"]


def test_a_request_for_changes_reaches_the_requester_once_it_stands() -> None:
    request = case({"undo_seconds": 10})
    request.decide("mo", "request_changes", comment="which supplier?")
    assert request.told("changes_requested") == []
    with pytest.raises(Refused, match="nothing to resubmit"):
        request.do(Resubmit(by=Actor(person="rita")))
    request.until(START + WINDOW)
    assert request.told("changes_requested") == ["rita"]
    request.do(Resubmit(by=Actor(person="rita")))
    assert request.asked == ["mo"]


def test_the_end_of_a_request_voids_what_does_not_stand_yet() -> None:
    request = case({"undo_seconds": 10})
    request.decide("mo")
    request.do(Withdraw(by=Actor(person="rita")))
    assert (request.state.outcome, request.task.status, request.task.decision) == ("withdrawn", "cancelled", None)
    assert standing_decisions(request.entries) == {}
    with pytest.raises(Ended):
        undo(request, "mo", request.task.id)


def test_what_comes_after_the_time_for_undoing_finds_the_decision_standing_though_the_timer_is_late() -> None:
    request = case({"undo_seconds": 10}, {"approvers": ["role:cfo"]})
    request.decide("mo")
    request.now = START + HOUR
    entries = request.do(Comment(by=Actor(person="rita"), text="Any news?"))
    assert [e.kind for e in entries] == ["decision_stands", "stage_settled", "task_opened", "commented"]
    ended = case({"undo_seconds": 10})
    ended.decide("mo")
    ended.now = START + HOUR
    with pytest.raises(Ended):
        ended.do(Withdraw(by=Actor(person="rita")))


def test_a_task_does_not_change_hands_while_its_decision_may_be_undone() -> None:
    request = case({"undo_seconds": 10, "sla_hours": 8})
    request.decide("mo")
    mo, olivia = Actor(person="mo"), Actor(person="olivia")
    for event in (
        Reassign(by=olivia, task_id=request.task.id, to="cfo"),
        Delegate(by=mo, task_id=request.task.id, to="cfo"),
        Extend(by=olivia, task_id=request.task.id, seconds=60),
    ):
        with pytest.raises(AlreadyDecided):
            request.do(event)
    with pytest.raises(Refused, match="Somebody has decided already"):
        request.do(Attach(by=Actor(person="rita"), name="a.pdf", media_type="application/pdf", size=1, sha256="0" * 64))


def test_an_undone_task_is_with_whoever_has_it_now() -> None:
    request = case({"approvers": ["user:ann"], "undo_seconds": 60})
    request.do(Delegate(by=Actor(person="ann"), task_id=request.task.id, to="ben", keep=True))
    request.decide("ben")
    request.reads(office(ann=None))
    assert request.task.assignee == "ann"
    undo(request, "ben")
    assert request.task.assignee == "ben"
    assert request.entries[-1].kind == "reassigned"


def test_whose_task_it_was_keeps_the_seat_while_a_delegates_decision_may_be_undone() -> None:
    request = case({"approvers": TWO, "quorum": "all", "undo_seconds": 60})
    first, second = request.state.tasks
    request.do(Delegate(by=Actor(person="ann"), task_id=first.id, to="cid", keep=True))
    request.decide("cid", task=first.id)
    with pytest.raises(NotPermitted, match="fills another seat"):
        request.do(Reassign(by=Actor(person="olivia"), task_id=second.id, to="ann"))


def test_a_substitute_who_decided_may_undo_it_after_the_absence_too() -> None:
    back = START + 30 * SECOND
    org = office(mo=away(Person(id="mo", manager="dh"), substitute="dh", until=back))
    request = case({"undo_seconds": 60}, org=org)
    request.decide("dh")
    request.until(back + SECOND)
    undo(request, "dh")
    request.until(request.now)
    assert request.asked == ["mo"]


def test_an_approval_carries_only_once_it_stands_and_forbids_another_at_once() -> None:
    nodes = {
        "fork": {"type": "fork"},
        "a": {"step": "A"},
        "b": {"step": "B"},
        "c": {"step": "C"},
        "join": {"type": "join"},
    }
    drawn = graph(
        *("start -> fork", "fork -> a", "fork -> b", "b -> c on approved", "a -> join on approved"),
        *("c -> join on approved", "join -> approved"),
        nodes=nodes,
        ends=("approved",),
    )

    def request(repeat: str) -> Case:
        duties = {"separation_of_duties": {"repeat": repeat}}
        steps = [
            {"stage_name": "A", "approvers": ["user:ann"], "undo_seconds": 60},
            {"stage_name": "B", "approvers": ["user:ben"]},
            {"stage_name": "C", "approvers": ["user:ann"], "escalation_to": "user:cid", **duties},
        ]
        return case(*steps, graph_spec=drawn)

    carry = request("carry")
    carry.decide("ann")
    carry.decide("ben")
    assert carry.asked == ["ann"], "what may be undone carries nowhere"
    forbid = request("forbid")
    forbid.decide("ann")
    forbid.decide("ben")
    assert forbid.asked == ["cid"]


def test_a_branch_that_is_not_needed_any_more_ends_with_what_does_not_stand() -> None:
    nodes = {"fork": {"type": "fork"}, "a": {"step": "A"}, "b": {"step": "B"}, "join": {"type": "join", "need": "any"}}
    drawn = graph(
        *("start -> fork", "fork -> a", "fork -> b", "a -> join on approved", "b -> join on approved"),
        "join -> approved",
        nodes=nodes,
        ends=("approved",),
    )
    steps = [
        {"stage_name": "A", "approvers": ["user:ann"], "undo_seconds": 60},
        {"stage_name": "B", "approvers": ["user:ben"]},
    ]
    request = case(*steps, graph_spec=drawn)
    request.decide("ann")
    request.decide("ben")
    assert request.state.outcome == "approved"
    assert [t.status for t in request.state.tasks] == ["superseded", "decided"]


def test_a_returned_request_lets_nothing_stand_and_its_change_voids_it() -> None:
    request = two_branches("restart")
    request.decide("ann")
    request.decide("ben", "request_changes")
    request.hours(1)
    assert request.state.tasks[0].provisional
    request.do(Resubmit(by=Actor(person="rita"), input={"amount": "2"}))
    assert [(t.status, t.decision) for t in request.state.tasks[:1]] == [("superseded", None)]
    assert request.asked == ["ann", "ben"]

    same = two_branches("restart")
    same.decide("ann")
    same.decide("ben", "request_changes")
    same.hours(1)
    same.do(Resubmit(by=Actor(person="rita")))
    same.until(same.now)
    assert (same.state.tasks[0].decision, same.state.tasks[0].undo_until) == ("approve", None)


def test_a_request_for_changes_that_finds_no_round_left_opens_its_task_again() -> None:
    request = two_branches("stage", max_rounds=2)
    request.decide("ann", "request_changes")
    request.decide("ben", "request_changes")
    request.do(Resubmit(by=Actor(person="rita")))
    assert request.state.round == 2
    request.hours(1)
    undone = request.of_kind("decision_undone")
    assert [(e.actor, e.detail["why"]["code"]) for e in undone] == [("system", "no_round_left")]
    assert request.asked == ["ann", "ben"]
    assert "ann" in request.told("task_opened")[2:]


def two_branches(on_change: str, **more: Any) -> Case:
    """Begin a request with two branches: ann's decision may be undone for a minute, ben's may not."""
    nodes = {"fork": {"type": "fork"}, "a": {"step": "A"}, "b": {"step": "B"}, "join": {"type": "join"}}
    drawn = graph(
        *("start -> fork", "fork -> a", "fork -> b", "a -> join on approved", "b -> join on approved"),
        "join -> approved",
        nodes=nodes,
        ends=("approved",),
    )
    steps = [
        {"stage_name": "A", "approvers": ["user:ann"], "undo_seconds": 60},
        {"stage_name": "B", "approvers": ["user:ben"]},
    ]
    return case(
        *steps,
        graph_spec=drawn,
        variables=[{"name": "amount", "type": "decimal"}],
        settings={"on_change": on_change, **more},
        input={"amount": "1"},
    )


def test_another_version_takes_a_decision_along_that_may_be_undone() -> None:
    request = case({"undo_seconds": 60, "sla_hours": 8})
    request.decide("mo")
    request.moves(plan_of(blueprint({"sla_hours": 4}, version="1.1.0")))
    assert request.task.undo_until == START + 60 * SECOND
    undo(request, "mo")
    assert request.task.due_at == START + 4 * HOUR
    request.decide("mo")
    assert request.state.outcome == "approved", "the new version has no time for undoing"


def test_the_votes_that_settle_a_stage_also_set_its_variables_once_they_stand() -> None:
    form = {"type": "object", "properties": {"risk": {"type": "string"}}}
    drawn = graph(
        *("start -> a", "a -> approved on approved"),
        nodes={"a": {"step": "A", "output": {"risk": "risk"}}},
        ends=("approved",),
    )
    request = case(
        {"stage_name": "A", "approvers": ["user:ann"], "form": form, "undo_seconds": 10},
        graph_spec=drawn,
        variables=[{"name": "risk", "type": "string"}],
    )
    request.decide("ann", form={"risk": "high"})
    assert request.state.input.get("risk") is None
    request.until(START + WINDOW)
    assert request.state.input["risk"] == "high"


PEOPLE = ["ann", "ben", "cid"]
SCRIPT = st.lists(
    st.tuples(st.sampled_from(["decide", "undo", "time"]), st.integers(0, 2), st.integers(0, 3)), max_size=14
)


@settings(max_examples=150)
@given(
    quorum=st.sampled_from(["any", "all", {"at_least": 2}]),
    order=st.sampled_from(["parallel", "sequential"]),
    rejection=st.sampled_from(["any", "unreachable"]),
    script=SCRIPT,
)
def test_the_outcome_is_that_of_the_decisions_that_were_not_undone(
    quorum: Any, order: str, rejection: str, script: list[tuple[str, int, int]]
) -> None:
    """Whatever is decided and undone, what stands at the end is what it would be without the undone decisions."""
    step = {"approvers": [f"user:{p}" for p in PEOPLE], "quorum": quorum, "order": order, "rejection": rejection}
    request = case({**step, "undo_seconds": 10}, twice=True)
    plain = case(step)
    for kind, who, how in script:
        person = PEOPLE[who]
        try:
            if kind == "decide":
                request.decide(person, ["approve", "approve", "reject", "abstain"][how])
            elif kind == "undo":
                undo(request, person, next(t.id for t in request.state.tasks if t.decided_by == person))
            else:
                request.until(request.now + [1, 4, 9, 11][how] * SECOND)
        except (*REFUSALS, StopIteration):
            continue
    request.until(request.now + WINDOW)
    stood = [e for e in request.entries if e.kind == "decision_stands"]
    for entry in stood:
        plain.decide(entry.detail["by"].removeprefix("user:"), entry.detail["decision"])
    assert plain.state.outcome == request.state.outcome
    assert len(stood) == len({e.task_id for e in stood}), "a decision stands once"
    assert set(standing_decisions(request.entries)) == {e.task_id for e in stood}
    compared = [evolve(t, opened_at=START, decided_at=None, hand_overs=0) for t in request.state.tasks]
    assert compared == [evolve(t, opened_at=START, decided_at=None) for t in plain.state.tasks]
    told = [(n.event, n.to) for n in plain.notifications]
    assert {n for n in told if n[0] != "superseded"} == {
        (n.event, n.to) for n in request.notifications if n.event != "superseded"
    }


def test_a_state_from_before_there_was_an_undo_has_no_decision_that_may_be_undone() -> None:
    request = case({"undo_seconds": 10})
    raw = STATES.dump_python(request.state, mode="json", by_alias=True)
    for task in raw["tasks"]:
        del task["undo_until"]
    assert STATES.validate_python(raw) == request.state


def test_a_script_undoes_a_decision_and_a_replay_of_it_takes_what_the_person_decided_then() -> None:
    raw = blueprint({"undo_seconds": 3600})
    script = [
        {"on": "Stage 1", "by": "mo", "decision": "approve", "at_hours": 1},
        {"on": "Stage 1", "by": "mo", "do": "undo", "after_hours": 0.5},
        {"on": "Stage 1", "by": "mo", "decision": "reject", "at_hours": 4},
    ]
    past = run(raw, *script)
    kinds = [e.kind for e in past.entries]
    assert kinds[2:6] == ["decided", "decision_undone", "decided", "decision_stands"]
    assert past.duration == 5 * HOUR
    assert again(blueprint({}), past).state.outcome == past.state.outcome == "rejected"
    (row,) = put(raw, past_request(past))
    assert (row.unknown, row.changed, row.before.approvers) == (None, (), ("mo",))
    assert usage_in(past.entries, notices=0, duration=past.duration).decisions == {"mo": 1}


def test_a_time_for_undoing_beyond_the_deadline_is_a_finding() -> None:
    def codes(seconds: int) -> list[tuple[str, str]]:
        found = check(blueprint({"sla_hours": 1, "undo_seconds": seconds}, variables=[])).findings
        return [(f.code, f.pointer) for f in found if f.code == "undo_outlasts_deadline"]

    assert codes(3601) == [("undo_outlasts_deadline", "/process_steps/0/undo_seconds")]
    assert codes(3600) == []
