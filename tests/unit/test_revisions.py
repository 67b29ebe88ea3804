"""What was seen is what is approved: revisions, what a change voids, and what it leaves as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from placet.directory import Person
from placet.engine.events import Actor, Claim, Decide, Delegate, Happened, Reassign, Release, Resubmit
from placet.errors import AlreadyDecided, ContentChanged, InputInvalid, Returned
from placet.frozen import evolve
from tests.unit.core import HOUR, START, Case, blueprint, case, graph, office, plan_of, spec

AMOUNT = [{"name": "amount", "type": "decimal", "required": True}, {"name": "note", "type": "string"}]
MO, CFO = {"approvers": ["user:mo"]}, {"approvers": ["role:cfo"]}
RITA = Actor(person="rita")


def chain(*steps: dict[str, Any], **more: Any) -> Case:
    """Begin a request of 100 that passes through these steps, mo and the CFO if none are given."""
    settings = more.pop("settings", {})
    given = {"amount": "100", "note": "desk"}
    return case(*(steps or (MO, CFO)), variables=AMOUNT, settings=settings, input=given, twice=True, **more)


def resubmit(request: Case, **more: Any) -> None:
    request.do(Resubmit(by=RITA, **more))


def test_what_changes_after_an_approval_goes_again_from_the_first_node() -> None:
    request = chain()
    request.decide("mo")
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "1000000", "note": "desk"})
    assert request.asked == ["mo"]
    assert (request.state.revision, request.task.revision) == (2, 2)
    request.decide("mo")
    assert request.asked == ["cfo"]
    request.decide("cfo")
    assert request.state.outcome == "approved"
    on = [(e.actor, e.detail["revision"]) for e in request.of_kind("decided")]
    assert on == [("user:mo", 1), ("user:mo", 2), ("user:cfo", 2)]


def test_the_same_again_opens_the_returned_stage_alone() -> None:
    request = chain()
    request.decide("mo")
    request.decide("cfo", "request_changes")
    resubmit(request, comment="it is as it should be")
    assert request.asked == ["cfo"]
    assert (request.state.revision, request.state.round) == (1, 2)


def test_an_immaterial_change_is_a_revision_that_leaves_approvals_as_they_are() -> None:
    request = chain(settings={"immaterial": ["note"]})
    request.decide("mo")
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "100", "note": "a desk that can be raised"})
    assert request.asked == ["cfo"]
    assert (request.state.revision, request.state.material, request.task.revision) == (2, 1, 2)
    with pytest.raises(ContentChanged):
        request.decide("cfo", revision=1)
    request.decide("cfo", revision=2)
    assert request.state.outcome == "approved"


def test_under_stage_an_approval_outlives_a_change() -> None:
    request = chain(settings={"on_change": "stage"})
    request.decide("mo")
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "1000000", "note": "desk"})
    assert request.asked == ["cfo"]
    assert request.state.revision == 2


def test_another_title_is_another_content() -> None:
    request = chain()
    digest = request.state.content_digest
    request.decide("mo")
    request.decide("cfo", "request_changes")
    resubmit(request, title="A yacht")
    assert request.asked == ["mo"]
    assert request.state.title == "A yacht"
    assert request.state.content_digest != digest
    (entry,) = request.of_kind("resubmitted")
    assert entry.detail["changes"] == [{"field": "title", "before": "A request", "after": "A yacht"}]


def test_a_title_that_was_made_of_the_input_is_made_anew() -> None:
    request = chain(title="Test: amount 100, note desk")
    request.state = evolve(request.state, titled=False)
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "60", "note": "desk"})
    assert request.state.title == "Test: amount 60, note desk"


def test_a_decision_on_an_older_revision_is_refused_with_the_difference_field_by_field() -> None:
    request = chain()
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "60"})
    with pytest.raises(ContentChanged) as refused:
        request.decide("mo", revision=1)
    assert list(refused.value.difference) == [
        {"field": "amount", "before": "100", "after": "60"},
        {"field": "note", "before": "desk", "after": None},
    ]
    with pytest.raises(InputInvalid, match="no revision 3"):
        request.decide("mo", revision=3)
    request.decide("mo", revision=2)
    assert request.asked == ["cfo"]


def test_the_difference_of_several_revisions_is_that_of_the_first_and_the_last() -> None:
    request = chain()
    for amount, note in (("60", "desk"), ("70", "chair"), ("100", "lamp")):
        request.decide("mo", "request_changes")
        resubmit(request, input={"amount": amount, "note": note})
    with pytest.raises(ContentChanged) as refused:
        request.decide("mo", revision=1)
    assert list(refused.value.difference) == [{"field": "note", "before": "desk", "after": "lamp"}]


def test_who_decides_a_closed_task_on_an_older_revision_is_told_what_changed() -> None:
    both = {"approvers": ["user:ann", "user:ben"], "quorum": "all"}
    request = chain(both)
    request.decide("ann", "request_changes")
    resubmit(request, input={"amount": "60"})
    with pytest.raises(ContentChanged):
        request.decide("ben", task="r.2", revision=1)
    with pytest.raises(AlreadyDecided):
        request.decide("ann", task="r.1", revision=1)


def test_a_process_may_demand_the_revision() -> None:
    request = chain(settings={"require_revision": True})
    with pytest.raises(InputInvalid) as refused:
        request.decide("mo")
    assert refused.value.problems[0].pointer == "/revision"
    request.decide("mo", revision=1)
    assert request.asked == ["cfo"]


def _forked_raw(**settings: Any) -> dict[str, Any]:
    steps = [{"approvers": [f"user:{p}"], "sla_hours": 8, "warn_before_hours": 2} for p in ("ann", "ben")]
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "j": {"type": "join"},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
        "last": {"step": "Stage 3"},
    }
    edges = ["start -> f", "f -> a", "f -> b", "a -> j on approved", "b -> j on approved", "j -> last"]
    drawn = graph(*edges, "last -> approved", nodes=nodes)
    return blueprint(*steps, CFO, graph_spec=drawn, variables=AMOUNT, settings=settings)


def forked(**settings: Any) -> Case:
    """Begin a request that ann and ben decide at the same time, within eight hours, and then the CFO."""
    given = {"amount": "100", "note": "desk"}
    return Case(plan=plan_of(_forked_raw(**settings)), org=office(), input=given, twice=True)


def test_an_approval_of_another_branch_is_void_as_well() -> None:
    request = forked()
    request.decide("ben")
    request.decide("ann", "request_changes")
    resubmit(request, input={"amount": "1000000"})
    assert request.asked == ["ann", "ben"]


def test_while_it_is_returned_every_branch_stands_still() -> None:
    request = forked()
    request.hours(4)
    request.decide("ann", "request_changes")
    assert request.asked == ["ben"]
    with pytest.raises(Returned):
        request.decide("ben")
    request.hours(104)
    assert request.of_kind("sla_breached") == []
    resubmit(request)
    assert request.asked == ["ben", "ann"]
    ben, ann = request.state.open_tasks
    assert (ben.due_at, ann.due_at) == (START + 108 * HOUR, START + 112 * HOUR)
    request.hours(107)
    assert [e.task_id for e in request.of_kind("sla_warning")] == [ben.id]
    request.decide("ben")
    request.decide("ann")
    assert request.asked == ["cfo"]


def test_while_it_is_returned_nothing_changes_hands() -> None:
    request = forked()
    request.decide("ann", "request_changes")
    (task,) = request.state.open_tasks
    for event in (
        Reassign(by=Actor(person="olivia"), task_id=task.id, to="dh"),
        Delegate(by=Actor(person="ben"), task_id=task.id, to="dh"),
        Claim(by=Actor(person="dh"), task_id=task.id),
        Release(by=Actor(person="ben"), task_id=task.id),
    ):
        with pytest.raises(Returned):
            request.do(event)
    request.reads(office(ben=Person(id="ben", manager="cfo", active=False)))
    assert request.asked == ["cfo"], "who has left is followed all the same"
    resubmit(request)
    request.do(Reassign(by=Actor(person="olivia"), task_id=task.id, to="dh"))
    assert request.asked == ["dh", "ann"]


def test_what_happens_outside_is_refused_while_the_request_is_returned() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "j": {"type": "join"},
        "a": {"step": "Stage 1"},
        "w": {"type": "wait", "event": "signed", "timeout_hours": 10},
    }
    drawn = graph(
        "start -> f", "f -> a", "f -> w", "a -> j on approved", "w -> j on event", "j -> approved", nodes=nodes
    )
    request = chain({"approvers": ["user:ann"]}, graph_spec=drawn)
    request.hours(5)
    request.decide("ann", "request_changes")
    with pytest.raises(Returned):
        request.do(Happened(by=Actor(person="olivia"), name="signed"))
    request.hours(105)
    resubmit(request)
    assert [w.until for w in request.state.waits] == [START + 110 * HOUR]
    request.happens("signed")
    request.decide("ann")
    assert request.state.outcome == "approved"


def acting(action: dict[str, Any], *, beside: bool = False, **more: Any) -> Case:
    """Begin a request in which an action runs between the approvals of mo and the CFO, or `beside` that of ann."""
    nodes: dict[str, dict[str, Any]] = {
        "first": {"step": "Stage 1"},
        "act": {"type": "action", "action": "work", **action},
        "second": {"step": "Stage 2"},
    }
    edges = ["start -> first", "first -> act on approved", "act -> second on done", "second -> approved on approved"]
    if beside:
        nodes = {"f": {"type": "fork"}, "j": {"type": "join"}, **nodes}
        edges = ["start -> f", "f -> first", "f -> act", "first -> j on approved", "act -> j on done", "j -> second"]
        edges.append("second -> approved on approved")
    variables = [*AMOUNT, {"name": "total", "type": "decimal"}]
    raw = blueprint(MO, CFO, graph_spec=graph(*edges, nodes=nodes), variables=variables)
    plan = plan_of(raw, actions={"work": spec("work", **{"is_idempotent": False, **more})})
    return Case(plan=plan, org=office(), input={"amount": "100", "note": "desk"}, twice=True)


PAYS: dict[str, Any] = {"input": {"amount": {"expr": "amount"}}, "output": {"total": "total"}}


def test_variables_that_the_process_set_are_the_requesters_again_where_they_gave_them() -> None:
    given = {**PAYS, "output": {"note": "note"}}
    request = acting(given)
    request.decide("mo")
    request.done("act", {"note": "by the action"})
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "60", "note": "by the action"})  # as they see it
    assert request.state.input == {"amount": "60", "note": "desk"}


def test_a_move_keeps_the_revision_and_the_approvals_and_takes_the_targets_rule() -> None:
    request = chain(settings={"on_change": "stage"})
    request.decide("mo")
    digest = request.state.content_digest
    request.moves(plan_of(blueprint(MO, CFO, variables=AMOUNT, version="1.1.0")))
    assert request.state.revision == 1
    assert request.state.content_digest != digest
    assert request.asked == ["cfo"]
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "60"})
    assert request.asked == ["mo"]


def test_carry_carries_approvals_of_the_final_revision_only() -> None:
    twice = {"approvers": ["user:mo"], "separation_of_duties": {"repeat": "carry"}}
    nodes: dict[str, dict[str, Any]] = {
        "large": {"type": "decision"},
        "first": {"step": "Stage 1"},
        "again": {"step": "Stage 2"},
        "last": {"step": "Stage 3"},
    }
    drawn = graph(
        "start -> large",
        "first -> again on approved",
        "again -> last on approved",
        "last -> approved on approved",
        nodes=nodes,
    )
    drawn["edges"] += [
        {"from": "large", "to": "first", "condition": "amount >= 100"},
        {"from": "large", "to": "again", "default": True},
    ]
    request = chain(MO, twice, CFO, graph_spec=drawn)
    request.decide("mo")
    assert request.asked == ["cfo"]  # mo's approval counted in both
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "60"})
    assert request.asked == ["mo"]


def test_a_final_rule_that_approved_is_void_as_well() -> None:
    request = chain({**MO, "sla_hours": 1, "final": "approve"}, CFO)
    request.hours(1)
    assert request.asked == ["cfo"]
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "60"})
    assert request.asked == ["mo"]


def test_who_decided_a_void_revision_may_decide_another_stage_of_this_one() -> None:
    forbids = {"separation_of_duties": {"repeat": "forbid"}}
    first = {"approvers": ["user:mo", "user:ann"], **forbids}
    request = chain(first, {"approvers": ["user:ann", "user:cfo"], **forbids})
    request.decide("ann")
    request.decide("cfo", "request_changes")
    resubmit(request, input={"amount": "60"})
    request.decide("mo")
    assert request.asked == ["ann", "cfo"]


def test_people_who_are_asked_again_are_told_what_changed() -> None:
    request = chain()
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "60", "note": "desk"})
    notice = next(n for n in reversed(request.notifications) if n.event == "task_opened")
    assert notice.detail["changes"] == [{"field": "amount", "before": "100", "after": "60"}]


def test_an_input_that_leaves_out_what_its_way_needs_is_refused_as_it_is_at_the_start() -> None:
    nodes: dict[str, dict[str, Any]] = {"first": {"step": "Stage 1"}, "large": {"type": "decision"}}
    drawn = graph("start -> first", "first -> large on approved", nodes=nodes)
    drawn["edges"] += [
        {"from": "large", "to": "approved", "condition": 'note == "desk"'},
        {"from": "large", "to": "rejected", "default": True},
    ]
    request = chain(MO, graph_spec=drawn)
    request.decide("mo", "request_changes")
    with pytest.raises(InputInvalid) as refused:
        resubmit(request, input={"amount": "60"})
    assert refused.value.problems[0].pointer == "/input/note"


def test_a_request_of_format_1_writes_the_entries_that_it_always_wrote() -> None:
    request = chain(format=1)
    request.decide("mo", "request_changes")
    resubmit(request, input={"amount": "60", "note": "desk"})
    for entry in request.entries:
        assert not {"revision", "content_digest", "changes", "restarts"} & entry.detail.keys()


def test_a_decision_waits_for_the_resubmission_even_of_an_older_round() -> None:
    request = forked()
    request.decide("ann", "request_changes")
    with pytest.raises(Returned):
        request.do(Decide(by=Actor(person="ben"), task_id="r.2", decision="approve", round=1))
    request.now += timedelta(hours=1)
    resubmit(request, input={"amount": "60"})
    assert request.asked == ["ann", "ben"]


def test_the_next_seat_of_a_sequence_belongs_to_the_round_of_its_stage() -> None:
    raw = {"approvers": ["user:ann"]}, {"approvers": ["user:ben", "user:cid"], "quorum": "all", "order": "sequential"}
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "j": {"type": "join"},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
    }
    edges = ["start -> f", "f -> a", "f -> b", "a -> j on approved", "b -> j on approved", "j -> approved"]
    request = chain(*raw, graph_spec=graph(*edges, nodes=nodes))
    request.decide("ann", "request_changes")
    resubmit(request)
    request.decide("ben")
    assert {t.assignee: t.round for t in request.state.open_tasks} == {"ann": 2, "cid": 1}


def test_a_returned_request_that_is_moved_to_a_version_that_restarts_stands_still_from_then_on() -> None:
    request = forked(on_change="stage")
    request.decide("ann", "request_changes")
    after = {**_forked_raw(), "version": "1.1.0"}
    request.moves(plan_of(after))
    with pytest.raises(Returned):
        request.decide("ben")
    request.hours(100)
    assert request.of_kind("sla_breached") == []
    resubmit(request, input={"amount": "60"})
    assert request.asked == ["ann", "ben"]
