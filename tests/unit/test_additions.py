"""Additions: an approver whom somebody adds to a stage of one request."""

from __future__ import annotations

from typing import Any

import pytest

from placet.directory import Person
from placet.engine.events import Actor, AddApprover, Claim, Reassign, Resubmit, Withdraw
from placet.errors import AlreadyDecided, Ended, InputInvalid, NotPermitted, Refused, Returned
from placet.tasks.additions import MOST_ADDED
from tests.unit.core import HOUR, Case, away, blueprint, case, office, plan_of

ONE = {"approvers": ["user:ann"]}
TWO = {"approvers": ["user:ann", "user:ben"]}
A, R, N = "approve", "reject", "abstain"


def add(request: Case, by: str, to: str, *, task: str | None = None, reason: str = "Please look.", **more: Any) -> None:
    """Add somebody to the stage of a task: the one named, else the first that is open."""
    chosen = task or request.state.open_tasks[0].id
    request.do(AddApprover(by=Actor(person=by, **more), task_id=chosen, to=f"user:{to}", reason=reason))


@pytest.mark.parametrize(
    ("quorum", "rejection", "votes", "outcome"),
    [
        ("any", "any", {"ann": A}, None),  # the quorum is met, and cid is needed as well
        ("any", "any", {"cid": A}, None),  # cid does not count for the quorum
        ("any", "any", {"cid": A, "ann": A}, "approved"),
        ("any", "any", {"ann": A, "cid": A}, "approved"),
        ("any", "any", {"cid": R}, "rejected"),
        ("any", "any", {"ann": A, "cid": R}, "rejected"),
        ("any", "any", {"cid": N}, "rejected"),  # what was asked for besides the quorum cannot come any more
        ("any", "unreachable", {"cid": R}, "rejected"),
        ("any", "unreachable", {"ann": R, "cid": A}, None),
        ("any", "unreachable", {"ann": R, "cid": A, "ben": A}, "approved"),
        ("all", "any", {"ann": A, "ben": A}, None),
        ("all", "any", {"ann": A, "cid": A}, None),  # two approvals, and both of the stage's own are needed
        ("all", "any", {"ann": A, "ben": A, "cid": A}, "approved"),
        ({"at_least": 2}, "any", {"ann": A, "cid": A}, None),
        ({"percent": 50}, "any", {"ann": A, "cid": A}, "approved"),  # of the two seats of its own
        ({"weight": 2}, "any", {"ann": A, "cid": A}, None),
    ],
)
def test_an_added_approval_is_needed_besides_a_quorum_that_stays_as_it_was(
    quorum: Any, rejection: str, votes: dict[str, str], outcome: str | None
) -> None:
    request = case({**TWO, "quorum": quorum, "rejection": rejection}, twice=True)
    add(request, "ann", "cid")
    for person, vote in votes.items():
        request.decide(person, vote)
    assert request.state.outcome == outcome


def test_the_entry_and_the_notification_say_who_added_whom_and_why() -> None:
    request = case(ONE)
    add(request, "ann", "cid", reason="Cid knows the supplier.")
    added = request.of_kind("approver_added")[0]
    assert (added.actor, added.detail["to"], added.detail["why"]) == ("user:ann", "user:cid", "Cid knows the supplier.")
    assert added.detail["after"] == {"added": ["user:cid"]}
    assert request.task.via == "added:ann"
    told = [n for n in request.notifications if n.to == "cid"]
    assert [(n.event, n.detail["by"], n.detail["text"]) for n in told] == [
        ("approver_added", "user:ann", "Cid knows the supplier.")
    ]


@pytest.mark.parametrize(
    ("by", "admin"),
    [("ann", False), ("olivia", False), ("adam", True)],  # who has the task, the owner, an admin
)
def test_whoever_has_the_task_the_owner_and_an_admin_add_approvers(by: str, admin: bool) -> None:
    request = case(ONE)
    add(request, by, "cid", admin=admin)
    assert request.asked == ["ann", "cid"]


@pytest.mark.parametrize(
    ("by", "to", "more", "refusal", "says"),
    [
        ("ben", "cid", {}, NotPermitted, "not yours"),  # who has no task
        ("rita", "cid", {}, NotPermitted, "own request"),  # the requester chooses no approver of their own request
        ("rita", "cid", {"admin": True}, NotPermitted, "own request"),
        ("ann", "rita", {}, NotPermitted, "nobody decides their own request"),
        ("ann", "ann", {}, NotPermitted, "another seat"),
        ("ann", "nobody", {}, InputInvalid, "no person"),
        ("ann", "cid", {"reason": " "}, InputInvalid, "write something"),
        ("ann", "cid", {"task": "r.9"}, Refused, "no task"),
    ],
)
def test_nobody_is_added_who_may_not_decide_nor_by_who_may_not_add(
    by: str, to: str, more: dict[str, Any], refusal: type[Exception], says: str
) -> None:
    request = case(ONE)
    with pytest.raises(refusal) as refused:
        add(request, by, to, **more)
    problems = [one.message for one in getattr(refused.value, "problems", ())]
    assert says in " ".join([str(refused.value), *problems])
    assert request.asked == ["ann"]


def test_nobody_is_added_twice_nor_while_they_are_away() -> None:
    org = office(ben=away(Person(id="ben"), substitute="cid"))
    request = case(ONE, org=org)
    with pytest.raises(NotPermitted, match="away"):
        add(request, "ann", "ben")
    add(request, "ann", "cid")
    with pytest.raises(NotPermitted, match="another seat"):
        add(request, "ann", "cid")


def test_a_stage_may_forbid_added_approvers() -> None:
    request = case({**ONE, "ad_hoc": False})
    with pytest.raises(NotPermitted, match="no further approvers"):
        add(request, "ann", "cid")


def test_no_more_than_so_many_are_added_to_a_stage() -> None:
    crowd = {f"p{n}": Person(id=f"p{n}") for n in range(MOST_ADDED + 1)}
    request = case(ONE, org=office(**crowd))
    for name in list(crowd)[:-1]:
        add(request, "ann", name)
    with pytest.raises(Refused, match="limit"):
        add(request, "ann", f"p{MOST_ADDED}")


def test_who_decided_another_stage_is_not_added_where_that_is_forbidden() -> None:
    request = case(ONE, {"approvers": ["user:ben"], "separation_of_duties": {"repeat": "forbid"}})
    request.decide("ann")
    with pytest.raises(NotPermitted, match="forbids deciding twice"):
        add(request, "ben", "ann")


def test_an_earlier_approval_does_not_stand_for_that_of_somebody_who_was_added() -> None:
    request = case(ONE, {"approvers": ["user:ben"], "separation_of_duties": {"repeat": "carry"}})
    request.decide("ann")
    add(request, "ben", "ann")
    assert request.asked == ["ben", "ann"]


def test_in_a_sequence_whoever_was_added_is_asked_next() -> None:
    request = case({**TWO, "order": "sequential", "quorum": "all"}, twice=True)
    add(request, "ann", "cid")
    add(request, "ann", "mo")
    assert request.asked == ["ann"]
    asked = []
    while request.state.status == "pending":
        asked += request.asked
        request.decide(str(request.asked[0]))
    assert asked == ["ann", "cid", "mo", "ben"]
    assert request.told("approver_added") == ["cid", "mo"]


def test_in_a_sequence_whose_quorum_is_met_nobody_is_asked_but_who_was_added() -> None:
    request = case({**TWO, "order": "sequential"})
    add(request, "ann", "cid")
    request.decide("ann")
    assert request.asked == ["cid"]
    request.decide("cid")
    assert request.state.outcome == "approved"
    assert len(request.state.tasks) == 2


@pytest.mark.parametrize("on_change", ["restart", "stage"])
@pytest.mark.parametrize("order", ["parallel", "sequential"])
def test_whoever_was_added_is_asked_again_in_the_next_round(on_change: str, order: str) -> None:
    request = case({**TWO, "order": order}, settings={"on_change": on_change}, twice=True)
    add(request, "ann", "cid")
    request.decide("ann", "request_changes", comment="More, please.")
    request.do(Resubmit(by=Actor(person="rita"), title="Better"))
    request.decide("ann")
    assert request.state.outcome is None
    request.decide("cid")
    assert request.state.outcome == "approved"
    assert "ben" not in [task.decided_by for task in request.state.tasks]


def test_a_seat_of_somebody_who_was_added_and_has_left_is_filled_in_the_next_round() -> None:
    request = case(ONE, twice=True)
    add(request, "ann", "cid")
    request.decide("ann", "request_changes")
    request.org = office(cid=None)
    request.now += HOUR
    request.do(Resubmit(by=Actor(person="rita"), title="Better"))
    assert request.asked[0] == "ann"
    assert len(request.asked) == 2
    request.decide("ann")
    assert request.state.outcome is None
    request.decide(str(request.asked[0]))
    assert request.state.outcome == "approved"


def test_whom_the_stage_itself_asks_by_then_has_one_seat_and_it_is_needed() -> None:
    request = case({"approvers": ["role:cfo"]}, twice=True)
    add(request, "cfo", "cid")
    request.decide("cfo", "request_changes")
    request.org = office(cid=Person(id="cid", roles=("cfo",)))
    request.now += HOUR
    request.do(Resubmit(by=Actor(person="rita"), title="Better"))
    assert sorted(filter(None, request.asked)) == ["cfo", "cid"]
    request.decide("cfo")
    assert request.state.outcome is None
    request.decide("cid")
    assert request.state.outcome == "approved"


def test_an_added_task_can_be_reassigned_and_its_approval_is_still_needed() -> None:
    request = case(ONE)
    add(request, "ann", "cid")
    request.do(Reassign(by=Actor(person="cid"), task_id=request.task.id, to="user:mo"))
    request.decide("ann")
    assert request.state.outcome is None
    request.decide("mo")
    assert request.state.outcome == "approved"


def test_the_last_one_of_a_queue_is_not_added_beside_it() -> None:
    only = office(ben=None, cid=None)
    request = case({"approvers": ["group:finance", "user:mo"], "claim": True}, org=only)
    with pytest.raises(Refused, match="let them claim"):
        add(request, "mo", "ann", task="r.2")


def test_whoever_is_in_the_queue_claims_the_task_before_they_add_somebody() -> None:
    request = case({"approvers": ["group:finance"], "claim": True})
    with pytest.raises(NotPermitted, match="claim it first"):
        add(request, "ann", "mo")
    request.do(Claim(by=Actor(person="ann"), task_id="r.1"))
    add(request, "ann", "mo")
    assert request.asked == ["ann", "mo"]


def test_nobody_is_added_to_what_is_settled_returned_or_ended() -> None:
    request = case(TWO, settings={"on_change": "restart"})
    request.decide("ann")
    with pytest.raises((AlreadyDecided, Ended)):
        add(request, "ben", "cid", task="r.2")
    returned = case(ONE, settings={"on_change": "restart"})
    returned.decide("ann", "request_changes")
    with pytest.raises((AlreadyDecided, Returned)):
        add(returned, "ann", "cid", task="r.1")
    withdrawn = case(ONE)
    withdrawn.do(Withdraw(by=Actor(person="rita")))
    with pytest.raises(Ended):
        add(withdrawn, "ann", "cid", task="r.1")


def test_an_added_seat_moves_with_the_request_to_another_version() -> None:
    request = case(TWO, settings={"on_change": "restart"})
    add(request, "ann", "cid")
    request.moves(plan_of(blueprint({**TWO, "quorum": "all", "ad_hoc": False}, version="2.0.0")))
    request.decide("ann")
    request.decide("ben")
    assert request.state.outcome is None
    request.decide("cid")
    assert request.state.outcome == "approved"
    assert {one.stage for one in request.state.added} == {"Stage 1"}
