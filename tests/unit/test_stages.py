"""Stages: seats, quorums, rejection, order, rounds, carried approvals."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from placet.audit.reasons import why_of
from placet.directory import Person
from placet.engine.events import Actor, Claim, Decide, Delegate, DirectoryRead, Resubmit
from placet.engine.state import Decision
from placet.errors import AlreadyDecided, InputInvalid, NotPermitted, Refused
from tests.unit.core import HOUR, START, away, case, office

THREE = ["user:ann", "user:ben", "user:cid"]
A, R, N = "approve", "reject", "abstain"
FINANCE = office(ann=Person(id="ann", groups=("finance",)), ben=Person(id="ben", groups=("finance",)))


@pytest.mark.parametrize(
    ("quorum", "rejection", "votes", "outcome"),
    [
        ("any", "any", [A], "approved"),  # one is enough
        ("any", "any", [R], "rejected"),  # one rejection rejects
        ("any", "unreachable", [R, R], None),  # the third may still approve
        ("any", "unreachable", [R, R, A], "approved"),
        ("any", "unreachable", [R, R, R], "rejected"),
        ("all", "any", [A, A], None),
        ("all", "any", [A, A, A], "approved"),
        ("all", "any", [A, A, R], "rejected"),
        ("all", "unreachable", [R], "rejected"),  # all cannot approve any more
        ({"at_least": 2}, "any", [A], None),
        ({"at_least": 2}, "any", [A, A], "approved"),
        ({"at_least": 2}, "unreachable", [R, A], None),
        ({"at_least": 2}, "unreachable", [R, R], "rejected"),
        ({"percent": 34}, "any", [A], None),  # 1.02 of 3 seats, rounded up: 2
        ({"percent": 34}, "any", [A, A], "approved"),
        ({"percent": 33}, "any", [A], "approved"),  # 0.99 of 3 seats, rounded up: 1
        ({"percent": 100}, "any", [A, A], None),
        ({"weight": 2}, "any", [A, A], "approved"),  # a seat weighs 1 unless told otherwise
    ],
)
def test_votes_settle_a_stage_as_its_quorum_and_rejection_rule_say(
    quorum: Any, rejection: str, votes: list[str], outcome: str | None
) -> None:
    request = case({"approvers": THREE, "quorum": quorum, "rejection": rejection})
    for person, vote in zip(["ann", "ben", "cid"], votes, strict=False):
        request.decide(person, vote)
    assert request.state.outcome == outcome


@pytest.mark.parametrize(
    ("voters", "outcome"),
    [
        (["ben", "cid"], None),  # 1 + 1 of 4
        (["ann", "ben"], "approved"),  # 3 + 1
    ],
)
def test_a_weight_quorum_counts_the_weight_of_the_seats(voters: list[str], outcome: str | None) -> None:
    approvers = [{"who": "user:ann", "weight": 3}, "user:ben", "user:cid"]
    request = case({"approvers": approvers, "quorum": {"weight": 4}})
    for person in voters:
        request.decide(person)
    assert request.state.outcome == outcome


def test_when_a_stage_is_settled_its_other_tasks_close_as_superseded_and_their_people_are_told() -> None:
    request = case({"approvers": THREE})
    request.decide("ben")
    assert [t.status for t in request.state.tasks] == ["superseded", "decided", "superseded"]
    assert request.told("superseded") == ["ann", "cid"]


@pytest.mark.parametrize(
    ("approvers", "org", "seats"),
    [
        # each once, in the order declared
        (["user:ann", "group:finance", "user:ann"], office(), ["ann", "ben", "cid"]),
        # a task for each holder of a role
        (["role:cfo"], office(olivia=Person(id="olivia", roles=("cfo",))), ["cfo", "olivia"]),
        # a bare name is a role
        (["cfo"], office(), ["cfo"]),
        # without the requester
        (["user:rita", "user:mo"], office(), ["mo"]),
        # a person who has left, or is unknown, has no seat
        (["user:ann", "user:nobody", "user:ben"], office(ann=Person(id="ann", active=False)), ["ben"]),
        # the substitute of one who is away; one person fills one seat
        (["user:ann", "user:ben"], office(ann=away(Person(id="ann"), substitute="ben")), ["ben"]),
        (["user:ann", "user:cid"], office(ann=away(Person(id="ann"), substitute="ben")), ["ben", "cid"]),
        # away without a substitute
        (["user:ann", "user:cid"], office(ann=away(Person(id="ann"))), ["cid"]),
        # substitutes of substitutes, and substitutes for each other
        (
            ["user:ann", "user:cid"],
            office(ann=away(Person(id="ann"), substitute="ben"), ben=away(Person(id="ben"), substitute="dh")),
            ["dh", "cid"],
        ),
        (
            ["user:ann", "user:cid"],
            office(ann=away(Person(id="ann"), substitute="ben"), ben=away(Person(id="ben"), substitute="ann")),
            ["cid"],
        ),
        # the manager's manager
        (["manager_of(manager_of(requester))"], office(), ["dh"]),
        # whom the input names
        (["input:sponsor"], office(), ["ceo"]),
        (["manager_of(input:sponsor)", "user:mo"], office(), ["mo"]),  # the top has no manager
        (["inputs:board", "user:ann"], office(), ["ben", "cid", "ann"]),  # everyone on a list, rita is on it too
    ],
)
def test_seats_are_the_eligible_people_each_once_without_the_requester(
    approvers: list[str], org: Any, seats: list[str]
) -> None:
    request = case(
        {"approvers": approvers},
        org=org,
        variables=[
            {"name": "sponsor", "type": "string"},
            {"name": "board", "type": "list", "items": {"type": "string"}},
        ],
        input={"sponsor": "user:ceo", "board": ["ben", "user:cid", "rita", "ben"]},
    )
    assert request.asked == seats


def test_absent_approvers_are_the_manager_of_the_requester() -> None:
    request = case({})
    assert (request.asked, request.task.via) == (["mo"], "manager_of(requester)")


NO_MANAGER = office(rita=Person(id="rita"))


@pytest.mark.parametrize(
    ("step", "org", "asked", "via"),
    [
        # nobody manages rita: the escalation's target
        ({"escalation_to": "department_head"}, NO_MANAGER, ["dh"], "escalation"),
        # nor can the target: the next above it
        (
            {"escalation_to": "department_head"},
            office(rita=Person(id="rita"), dh=away(office().people["dh"])),
            ["ceo"],
            "escalation",
        ),
        # no chain: the owner
        ({}, NO_MANAGER, ["olivia"], "owner"),
        # the requester themself
        ({"approvers": ["requester"]}, office(), ["olivia"], "owner"),
        # the first of an explicit chain who may; a mere notice makes nobody an approver
        (
            {
                "sla_hours": 1,
                "escalation": [
                    {"to": "user:ceo", "action": "notify"},
                    {"to": "user:rita", "after_hours": 1},
                    {"to": "user:cfo", "after_hours": 2},
                ],
            },
            NO_MANAGER,
            ["cfo"],
            "escalation",
        ),
    ],
)
def test_where_nobody_is_eligible_the_chain_stands_in_and_then_the_owner(
    step: dict[str, Any], org: Any, asked: list[str], via: str
) -> None:
    request = case(step, org=org)
    assert (request.asked, request.task.via) == (asked, via)
    (entry,) = request.of_kind("approver_missing")
    assert "nobody eligible" in why_of(entry.detail)


@pytest.mark.parametrize("owner", [None, "user:rita", "user:nobody"])
@pytest.mark.parametrize("final", ["wait", "approve"])
def test_where_nobody_at_all_may_decide_the_task_stays_vacant_and_nothing_is_approved(
    owner: str | None, final: str
) -> None:
    step = {"approvers": ["requester"], "sla_hours": 1, "final": final}
    request = case(step, owner=owner)
    assert request.asked == [None]
    request.hours(1000)
    assert request.state.status == "pending"
    (ended,) = request.of_kind("escalation_ended")
    assert ended.detail["final"] == "wait"


def test_the_final_rule_does_not_approve_beside_a_seat_that_nobody_fills() -> None:
    step = {"approvers": ["user:mo"], "quorum": {"at_least": 2}, "sla_hours": 1, "final": "approve"}
    request = case(step, owner=None)
    request.hours(2)
    assert request.state.status == "pending"


def test_a_quorum_is_never_lowered_a_vacant_seat_waits_for_an_operator() -> None:
    step = {"approvers": ["user:mo", "user:rita"], "quorum": {"at_least": 3}}
    request = case(step)
    assert request.asked == ["mo", "olivia", None]
    assert request.told("approver_missing") == ["olivia"]
    request.decide("mo")
    request.decide("olivia")
    assert request.state.status == "pending"


def test_whoever_stands_in_has_the_vote_of_those_who_are_missing() -> None:
    step = {"approvers": [{"who": "user:rita", "weight": 3}, "user:mo"], "quorum": {"weight": 4}}
    request = case(step)
    assert [(t.assignee, t.weight) for t in request.state.open_tasks] == [("mo", 1), ("olivia", 3)]


def test_a_missing_weight_is_one_vacant_seat() -> None:
    request = case({"approvers": ["user:mo"], "quorum": {"weight": 5}}, owner=None)
    assert [(t.assignee, t.weight) for t in request.state.open_tasks] == [("mo", 1), (None, 4)]


def test_a_sequence_asks_one_after_the_other_and_each_has_the_whole_time() -> None:
    request = case({"approvers": THREE, "quorum": "all", "order": "sequential", "sla_hours": 8})
    assert request.asked == ["ann"]
    request.hours(5)
    request.decide("ann")
    assert request.asked == ["ben"]
    assert request.task.due_at == START + 13 * HOUR
    request.decide("ben")
    request.decide("cid")
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(
    ("rejection", "asked"),
    [
        ("any", []),  # the stage is rejected
        ("unreachable", ["ben"]),  # the next may still approve
    ],
)
def test_a_rejection_in_a_sequence_asks_the_next_only_where_approval_can_still_be_reached(
    rejection: str, asked: list[str]
) -> None:
    request = case({"approvers": THREE, "order": "sequential", "rejection": rejection})
    request.decide("ann", "reject")
    assert request.asked == asked


@pytest.mark.parametrize(
    ("org", "asked", "via"),
    [
        # has left: whoever would have the task by then, had it been open
        (office(ben=Person(id="ben", manager="cfo", active=False)), "cfo", "succession"),
        (office(ben=None), "olivia", "succession"),
        (office(ben=away(Person(id="ben"), substitute="dh")), "dh", "substitution:ben"),
        (office(ben=away(Person(id="ben"), substitute="cid")), "olivia", "owner"),  # cid has a later seat
        (office(), "ben", "approver"),
    ],
)
def test_a_seat_whose_turn_comes_later_is_filled_by_the_directory_of_that_day(org: Any, asked: str, via: str) -> None:
    request = case({"approvers": THREE, "quorum": "all", "order": "sequential"})
    request.org = org
    request.hours(30)
    request.decide("ann")
    assert (request.asked, request.task.via) == ([asked], via)


def test_a_stage_that_opens_later_uses_the_directory_of_that_day() -> None:
    request = case({}, {"approvers": ["role:cfo"]})
    request.org = office(cfo=Person(id="cfo"), ceo=Person(id="ceo", roles=("cfo",)))
    request.hours(30)
    request.decide("mo")
    assert request.asked == ["ceo"]


@pytest.mark.parametrize(
    ("repeat", "asked", "outcome"),
    [
        ("allow", ["mo"], None),  # asked again
        ("carry", [], "approved"),  # the earlier approval counts
        ("forbid", ["olivia"], None),  # somebody else has to
    ],
)
def test_the_same_person_in_two_stages(repeat: str, asked: list[str], outcome: str | None) -> None:
    request = case({}, {"approvers": ["user:mo"]}, settings={"separation_of_duties": {"repeat": repeat}})
    request.decide("mo")
    assert (request.asked, request.state.outcome) == (asked, outcome)


def test_a_carried_approval_settles_the_stage_and_the_others_are_told() -> None:
    request = case({}, {"approvers": ["user:dh", "user:mo"], "separation_of_duties": {"repeat": "carry"}})
    request.decide("mo")
    assert request.state.outcome == "approved"
    assert request.told("superseded") == ["dh"]
    carried = request.of_kind("decided")[-1]
    assert why_of(carried.detail) == "the approval of r.1 is carried over"


def test_an_approval_is_not_carried_into_a_stage_with_a_form() -> None:
    form = {"type": "object", "required": ["ok"]}
    request = case({}, {"approvers": ["user:mo"], "form": form, "separation_of_duties": {"repeat": "carry"}})
    request.decide("mo")
    assert request.asked == ["mo"]


def test_an_approval_is_carried_in_a_sequence_and_the_next_is_asked() -> None:
    step = {"approvers": ["user:mo", "user:dh"], "quorum": "all", "order": "sequential"}
    request = case({}, {**step, "separation_of_duties": {"repeat": "carry"}})
    request.decide("mo")
    assert request.asked == ["dh"]


def test_a_request_for_changes_returns_the_request_and_stops_the_clock() -> None:
    request = case({"approvers": THREE, "quorum": "all", "sla_hours": 8, "reminders": {"every_hours": 1}})
    request.decide("ann")
    request.decide("ben", "request_changes", comment="which trip?")
    assert request.told("changes_requested") == ["rita"]
    assert [t.status for t in request.state.tasks] == ["decided", "decided", "superseded"]
    assert request.hours(500) == []
    assert request.state.status == "pending"
    with pytest.raises(AlreadyDecided, match="changes were requested"):
        request.decide("cid", task="r.3")


def test_a_resubmitted_request_opens_the_stage_as_the_next_round_with_a_fresh_deadline() -> None:
    request = case(
        {"approvers": ["user:ann", "user:ben"], "quorum": "all", "sla_hours": 8},
        variables=[{"name": "amount", "type": "decimal"}],
        input={"amount": "5"},
    )
    request.decide("ann")
    request.decide("ben", "request_changes")
    request.hours(100)
    (entry, *_) = request.do(Resubmit(by=Actor(person="rita"), input={"amount": 7}, comment="as asked"))
    assert (entry.detail["before"], entry.detail["after"]) == ({"input": {"amount": "5"}}, {"input": {"amount": "7"}})
    assert request.asked == ["ann", "ben"]  # an approval of the former round counts no more
    assert {(t.round, t.due_at) for t in request.state.open_tasks} == {(2, START + 108 * HOUR)}


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Resubmit(by=Actor(person="mo")), NotPermitted),  # only the requester
        (Resubmit(by=Actor(person="root", admin=True)), NotPermitted),
        (Resubmit(by=Actor(person="rita"), input={"amount": "x"}), InputInvalid),
        (Resubmit(by=Actor(person="rita"), input={"amount": float("nan")}), InputInvalid),
    ],
)
def test_a_resubmission_that_does_not_fit_is_refused(event: Resubmit, error: type[Exception]) -> None:
    request = case({}, variables=[{"name": "amount", "type": "decimal"}], input={"amount": "5"})
    request.decide("mo", "request_changes")
    with pytest.raises(error):
        request.do(event)


def test_nothing_can_be_resubmitted_that_was_not_returned() -> None:
    with pytest.raises(Refused):
        case({}).do(Resubmit(by=Actor(person="rita")))


def test_the_rounds_are_bounded() -> None:
    request = case({}, settings={"max_rounds": 2})
    request.decide("mo", "request_changes")
    request.do(Resubmit(by=Actor(person="rita")))
    with pytest.raises(Refused, match="2 rounds"):
        request.decide("mo", "request_changes")
    request.decide("mo")
    assert request.state.outcome == "approved"


def test_a_decision_on_another_round_than_the_one_that_was_seen_is_refused() -> None:
    with pytest.raises(AlreadyDecided):
        case({}).do(Decide(by=Actor(person="mo"), task_id="r.1", decision="approve", round=2))


@pytest.mark.parametrize(
    ("step", "decision", "more", "pointer"),
    [
        ({"comment_required": ["reject"]}, "reject", {}, "/comment"),
        ({"comment_required": ["reject"]}, "reject", {"comment": "  "}, "/comment"),
        ({}, "approve", {"comment": "x" * 10_001}, "/comment"),
        ({}, "approve", {"comment": "NUL \0"}, "/comment"),
        ({}, "approve", {"comment": "half \ud83d"}, "/comment"),
        ({}, "approve", {"form": {"a": 1}}, "/form"),  # no form is asked for
        ({"form": {"required": ["ok"]}}, "approve", {}, "/form"),
        ({"form": {"properties": {"a/b": {"type": "integer"}}}}, "approve", {"form": {"a/b": "x"}}, "/form/a~1b"),
        ({"form": {"properties": {"n": {"type": "integer"}}}}, "reject", {"form": {"n": "x"}}, "/form/n"),
        ({"form": {}}, "approve", {"form": {"n": float("inf")}}, "/form/n"),
        ({"form": {}}, "approve", {"form": {"s": ["\0"]}}, "/form/s/0"),
    ],
)
def test_a_decision_lacks_nothing_that_its_stage_asks_for(
    step: dict[str, Any], decision: str, more: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InputInvalid) as refused:
        case(step).decide("mo", decision, **more)
    assert refused.value.problems[0].pointer == pointer


def test_a_form_is_kept_with_the_decision_and_its_large_numbers_stand_in_the_chain_as_text() -> None:
    form = {"n": 2**60, "x": 0.5, "list": [True, None]}
    request = case({"form": {}}, twice=True)
    request.decide("mo", form=form)
    assert request.state.tasks[0].form == form
    assert request.of_kind("decided")[0].detail["form"] == {"n": str(2**60), "x": "0.5", "list": [True, None]}


def test_the_request_reads_the_directory_of_a_moment_only_once() -> None:
    request = case({}, {"approvers": ["role:cfo"]})
    request.now += HOUR
    request.do(DirectoryRead(directory=office(), at=START))
    assert request.state.directory_at == START + HOUR


@pytest.mark.parametrize(
    ("step", "votes", "outcome"),
    [
        ({}, [N], None),  # one of the other two may still approve
        ({}, [N, N, A], "approved"),  # one is enough
        ({}, [N, N, N], "rejected"),  # nobody is left who could approve
        ({}, [N, R], "rejected"),  # one rejection rejects
        ({"rejection": "unreachable"}, [N, R], None),  # the third may still approve
        ({"rejection": "unreachable"}, [N, R, A], "approved"),
        ({"rejection": "unreachable"}, [R, N, R], "rejected"),
        ({"quorum": "all"}, [N], "rejected"),  # the quorum stays all three
        ({"quorum": "all", "rejection": "unreachable"}, [A, N], "rejected"),
        ({"quorum": {"at_least": 2}}, [N, A, A], "approved"),
        ({"quorum": {"at_least": 2}}, [A, N], None),
        ({"quorum": {"at_least": 2}}, [N, N], "rejected"),  # one is left, and two are needed
        (
            {"quorum": {"percent": 50}},
            [N, A, A],
            "approved",
        ),  # 1.5 of 3 seats, rounded up: 2 of all seats, not of votes
        ({"quorum": {"percent": 50}}, [A, N, N], "rejected"),
        ({"quorum": {"weight": 3}}, [N], "rejected"),  # each weighs 1
        ({"approvers": [{"who": "user:ann", "weight": 3}, *THREE[1:]], "quorum": {"weight": 3}}, [N], "rejected"),
        ({"approvers": [{"who": "user:ann", "weight": 2}, *THREE[1:]], "quorum": {"weight": 2}}, [N, A, A], "approved"),
        ({"order": "sequential"}, [N], None),  # the next is asked
        ({"order": "sequential"}, [N, N, A], "approved"),
        ({"order": "sequential", "quorum": {"at_least": 2}}, [N, N], "rejected"),  # the third is not asked any more
        ({"approvers": ["user:ann"]}, [N], "rejected"),  # the only approver: it would wait for ever
    ],
)
def test_an_abstention_counts_for_nobody_and_rejects_what_can_no_longer_be_approved(
    step: dict[str, Any], votes: list[str], outcome: str | None
) -> None:
    request = case({"approvers": THREE} | step)
    for person, vote in zip(["ann", "ben", "cid"], votes, strict=False):
        assert request.state.status == "pending"
        request.decide(person, vote)
    assert request.state.outcome == outcome


@pytest.mark.parametrize(
    ("rejection", "votes", "why"),
    [
        ("any", [N, N], "the quorum can no longer be met: 2 of 3 abstained"),
        (
            "unreachable",
            [R, N],
            "the quorum can no longer be met: 1 of 3 abstained",
        ),  # neither would have rejected alone
        ("any", [N, R], None),  # the rejection has
        ("unreachable", [R, R], None),  # nobody abstained
        ("unreachable", [A, N, A], None),  # approved
    ],
)
def test_a_stage_that_abstentions_reject_says_so_to_the_record_and_to_the_requester(
    rejection: str, votes: list[str], why: str | None
) -> None:
    request = case({"approvers": THREE, "quorum": {"at_least": 2}, "rejection": rejection})
    for person, vote in zip(["ann", "ben", "cid"], votes, strict=False):
        request.decide(person, vote, comment="so I say")
    assert why_of(request.of_kind("stage_settled")[0].detail) == why
    (told,) = [n for n in request.notifications if n.event == "completed" and n.to == "rita"]
    assert told.detail.get("why") == why
    by_voter = {"by": f"user:{['ann', 'ben', 'cid'][len(votes) - 1]}", "text": "so I say"}
    expected = by_voter if votes[-1] != N else {}  # whoever abstained has not decided the request
    assert {name: told.detail.get(name) for name in ("by", "text") if told.detail.get(name)} == expected


def test_an_abstention_for_a_queue_uses_up_its_only_seat() -> None:
    request = case({"approvers": ["group:finance"], "claim": True}, org=FINANCE)
    request.do(Claim(by=Actor(person="ann"), task_id="r.1"))
    request.decide("ann", N)
    assert request.state.outcome == "rejected"


def test_an_abstention_may_need_a_comment_and_fills_in_no_form() -> None:
    form = {"type": "object", "required": ["ok"]}
    request = case({"approvers": THREE, "form": form, "comment_required": ["abstain"]})
    with pytest.raises(InputInvalid, match="asks for a comment"):
        request.decide("ann", N)
    with pytest.raises(InputInvalid, match="fills in no form"):
        request.decide("ann", N, comment="a cousin", form={"ok": True})
    request.decide("ann", N, comment="a cousin", form={})
    assert request.state.tasks[0].form is None
    request.decide("ben", A, form={"ok": True})
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(
    ("repeat", "asked"),
    [
        ("allow", ["ann"]),
        ("carry", ["ann"]),  # there is no approval to carry
        ("forbid", ["ann"]),  # who has abstained has decided nothing
    ],
)
def test_whoever_abstained_in_one_stage_is_asked_in_the_next(repeat: str, asked: list[str]) -> None:
    settings = {"separation_of_duties": {"repeat": repeat}}
    request = case({"approvers": THREE}, {"approvers": ["user:ann"]}, settings=settings)
    request.decide("ann", N)
    request.decide("ben")
    assert request.asked == asked


def test_whoever_abstained_fills_their_seat_and_no_other_of_the_stage() -> None:
    request = case({"approvers": THREE})
    request.decide("ann", N)
    with pytest.raises(NotPermitted):
        request.do(Delegate(by=Actor(person="ben"), task_id="r.2", to="ann"))


def test_a_blueprint_may_ask_for_a_comment_with_every_decision_there_is() -> None:
    step = {"approvers": THREE, "comment_required": list(get_args(Decision))}
    assert set(case(step).plan.nodes[case(step).task.node].asked.comment_required) == set(get_args(Decision))  # type: ignore[union-attr] # a stage


def test_a_queue_is_of_those_who_have_no_seat_of_their_own_wherever_the_stage_names_them() -> None:
    first = case({"approvers": ["group:finance", "user:ann"], "claim": True}, org=FINANCE)
    last = case({"approvers": ["user:ann", "group:finance"], "claim": True}, org=FINANCE)
    for request in (first, last):
        assert {(task.assignee, task.candidates) for task in request.state.tasks} == {
            ("ann", ()),
            (None, ("ben", "cid")),
        }
    assert [task.assignee for task in first.state.tasks] == [None, "ann"], "seats keep their order"
