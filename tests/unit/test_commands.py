"""What people do to a request and its tasks: reassign, delegate, claim, release, comment, extend, leave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from languages.catalogues import say_in
from placet.audit.reasons import why_of
from placet.directory import Person
from placet.engine.events import Actor, Claim, Comment, Decide, Delegate, Event, Extend, Reassign, Release
from placet.errors import AlreadyDecided, HandedOver, InputInvalid, NotPermitted, Refused
from placet.sentences import translated
from tests.unit.core import HOUR, START, Case, away, case, office

ADMIN = Actor(person="root", admin=True)
OWNER = Actor(person="olivia")


def by(person: str) -> Actor:
    return Actor(person=person)


def two_seats() -> Case:
    return case({"approvers": ["user:mo", "user:dh"], "quorum": "all", "sla_hours": 24})


@pytest.mark.parametrize("actor", [by("mo"), OWNER, ADMIN])
def test_a_reassigned_task_keeps_its_id_and_deadline_and_the_former_assignee_loses_it(actor: Actor) -> None:
    request = two_seats()
    request.hours(3)
    request.do(Reassign(by=actor, task_id="r.1", to="user:cid", reason="knows it better"))
    task = request.state.tasks[0]
    assert (task.id, task.assignee, task.via, task.due_at) == ("r.1", "cid", "reassignment", START + 24 * HOUR)
    others = [] if actor.person == "mo" else ["mo"]  # whoever gives it away knows
    assert (request.told("reassigned"), request.told("task_taken_over")) == (["cid"], others)
    with pytest.raises(NotPermitted):
        request.decide("mo", task="r.1")
    request.decide("cid", task="r.1")


def test_a_right_that_was_signed_dies_with_the_next_change_of_hands() -> None:
    request = two_seats()
    request.do(Reassign(by=by("mo"), task_id="r.1", to="user:cid"))
    request.do(Reassign(by=by("cid"), task_id="r.1", to="user:mo"))
    assert request.state.tasks[0].hand_overs == 2
    for signed in (0, 1):
        with pytest.raises(HandedOver):
            request.do(Decide(by=by("mo"), task_id="r.1", decision="approve", hand_overs=signed))
    with pytest.raises(NotPermitted):  # whoever has nothing to do with it is told nothing of it
        request.do(Decide(by=by("dh"), task_id="r.1", decision="approve", hand_overs=0))
    request.do(Decide(by=by("mo"), task_id="r.1", decision="approve", hand_overs=2))
    with pytest.raises(AlreadyDecided):
        request.do(Decide(by=by("mo"), task_id="r.1", decision="approve", hand_overs=0))


@pytest.mark.parametrize("person", ["", "a b", "mo\0", "x" * 200])
def test_nobody_who_can_be_nobody_does_anything(person: str) -> None:
    with pytest.raises(NotPermitted, match="nobody's id"):
        two_seats().do(Comment(by=by(person), text="hello"))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Reassign(by=by("dh"), task_id="r.1", to="cid"), NotPermitted),  # another's task
        (Reassign(by=by("rita"), task_id="r.1", to="cid"), NotPermitted),  # the requester picks nobody
        (Reassign(by=ADMIN, task_id="r.1", to="rita"), NotPermitted),  # the requester
        (Reassign(by=ADMIN, task_id="r.1", to="dh"), NotPermitted),  # has another seat
        (Reassign(by=ADMIN, task_id="r.1", to="ben"), NotPermitted),  # away
        (Reassign(by=ADMIN, task_id="r.1", to="nobody"), InputInvalid),
        (Reassign(by=ADMIN, task_id="r.1", to="ann"), InputInvalid),  # has left
        (Reassign(by=ADMIN, task_id="r.1", to="mo"), Refused),  # has it
        (Reassign(by=ADMIN, task_id="r.1", to="cid", reason="x" * 10_001), InputInvalid),
        (Delegate(by=ADMIN, task_id="r.1", to="cid"), NotPermitted),  # not theirs to delegate
        (Delegate(by=by("mo"), task_id="r.1", to="rita"), NotPermitted),
        (Delegate(by=by("mo"), task_id="r.1", to="dh", keep=True), NotPermitted),
        (Claim(by=by("cid"), task_id="r.1"), Refused),  # no queue
        (Release(by=by("mo"), task_id="r.1"), Refused),
    ],
)
def test_a_task_goes_to_nobody_who_may_not_have_it(event: Event, error: type[Exception]) -> None:
    org = office(ben=away(office().people["ben"], substitute="cid"), ann=Person(id="ann", active=False))
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all"}, org=org)
    with pytest.raises(error):
        request.do(event)


def test_a_delegated_task_is_the_delegates_alone() -> None:
    request = case({})
    request.do(Delegate(by=by("mo"), task_id="r.1", to="cid"))
    assert (request.asked, request.task.via) == (["cid"], "delegation:mo")
    with pytest.raises(NotPermitted):
        request.decide("mo", task="r.1")


def test_why_somebody_may_not_have_a_task_is_said_in_the_readers_language() -> None:
    request = case({})
    with pytest.raises(NotPermitted) as refused:
        request.do(Delegate(by=by("mo"), task_id="r.1", to="rita"))
    assert translated(refused.value.message, say_in("de")) == (
        "user:rita darf diese Aufgabe nicht haben: user:rita hat den Antrag gestellt, und niemand entscheidet über den "
        "eigenen Antrag."
    )


@pytest.mark.parametrize("person", ["mo", "cid"])
def test_whoever_delegates_and_keeps_the_right_may_decide_too(person: str) -> None:
    request = case({})
    request.do(Delegate(by=by("mo"), task_id="r.1", to="cid", keep=True))
    (decided, *_) = request.decide(person)
    assert decided.detail.get("on_behalf_of") == (None if person == "mo" else "user:mo")
    assert request.state.outcome == "approved"


def test_nobody_is_made_a_delegate_twice() -> None:
    request = case({})
    request.do(Delegate(by=by("mo"), task_id="r.1", to="cid", keep=True))
    with pytest.raises(Refused):
        request.do(Delegate(by=by("mo"), task_id="r.1", to="cid", keep=True))


def test_a_delegate_who_fills_another_seat_does_not_get_this_one_too() -> None:
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all"})
    request.do(Delegate(by=by("mo"), task_id="r.1", to="cid", keep=True))
    request.do(Reassign(by=ADMIN, task_id="r.2", to="cid"))
    with pytest.raises(NotPermitted):
        request.do(Reassign(by=ADMIN, task_id="r.1", to="cid"))


@pytest.mark.parametrize(
    ("people", "decider"),
    [
        (["user:mo"], "rita"),  # the requester, plainly
        (["requester"], "rita"),
        (["role:cfo"], "rita"),  # through a role
        (["group:finance"], "rita"),  # through a group
        (["user:mo"], "dh"),  # not theirs
        (["user:mo"], "root"),  # not even an admin
    ],
)
def test_nobody_decides_their_own_request_nor_anothers_task(people: list[str], decider: str) -> None:
    org = office(rita=Person(id="rita", manager="mo", roles=("cfo",), groups=("finance",)))
    request = case({"approvers": people, "quorum": "all"}, org=org)
    with pytest.raises(NotPermitted):
        request.do(Claim(by=Actor(person=decider, admin=True), task_id="r.1")) if request.task.candidates else (
            request.decide(decider, task="r.1")
        )
    assert "rita" not in {p for t in request.state.tasks for p in t.people}


QUEUE = {"approvers": ["group:finance"], "claim": True, "sla_hours": 8}


def test_a_queue_is_one_task_until_somebody_claims_it() -> None:
    request = case(QUEUE)
    assert (request.asked, request.task.candidates) == ([None], ("ann", "ben", "cid"))
    assert request.told("task_opened") == ["ann", "ben", "cid"]
    with pytest.raises(NotPermitted, match="claim it first"):
        request.decide("ben")
    request.do(Claim(by=by("ben"), task_id="r.1"))
    with pytest.raises(Refused, match="already"):
        request.do(Claim(by=by("ann"), task_id="r.1"))
    request.decide("ben")
    assert request.state.outcome == "approved"


def test_a_released_task_is_back_in_its_queue() -> None:
    request = case(QUEUE)
    request.do(Claim(by=by("ben"), task_id="r.1"))
    with pytest.raises(NotPermitted):
        request.do(Release(by=by("ann"), task_id="r.1"))
    request.do(Release(by=by("ben"), task_id="r.1"))
    request.do(Claim(by=by("ann"), task_id="r.1"))
    assert request.asked == ["ann"]


@pytest.mark.parametrize(
    ("org", "candidates"),
    [
        (office(ben=away(Person(id="ben", groups=("finance",)), substitute="dh")), ("ann", "dh", "cid")),
        (office(ben=away(Person(id="ben", groups=("finance",)))), ("ann", "cid")),
        (office(rita=Person(id="rita", groups=("finance",))), ("ann", "ben", "cid")),
    ],
)
def test_a_queue_holds_who_may_claim_from_it(org: Any, candidates: tuple[str, ...]) -> None:
    assert case(QUEUE, org=org).task.candidates == candidates


def test_a_queue_of_nobody_asks_the_owner() -> None:
    assert case({**QUEUE, "approvers": ["group:none"]}).asked == ["olivia"]


def test_one_person_claims_one_seat_of_a_stage() -> None:
    request = case(
        {"approvers": ["group:finance", "user:mo", "role:cfo"], "claim": True, "quorum": "all"},
        org=office(cfo=Person(id="cfo", roles=("cfo",), groups=("finance",))),
    )
    request.do(Claim(by=by("cfo"), task_id="r.1"))
    with pytest.raises(NotPermitted, match="another seat"):
        request.do(Claim(by=by("cfo"), task_id="r.3"))


def test_an_unclaimed_task_escalates_out_of_its_queue() -> None:
    request = case({**QUEUE, "escalation_to": "role:cfo"})
    request.hours(8)
    assert (request.asked, request.task.candidates) == (["cfo"], ())
    assert request.told("escalated_from") == ["ann", "ben", "cid"]
    with pytest.raises(Refused):
        request.do(Release(by=by("cfo"), task_id="r.1"))


def test_a_group_may_have_its_least_loaded_member_asked() -> None:
    request = case({"approvers": ["group:finance"], "assign": "least_loaded"})
    assert request.asked == ["ben"]
    org = office(ben=away(office().people["ben"]))
    assert case({"approvers": ["group:finance"], "assign": "least_loaded"}, org=org).asked == ["cid"]


def test_who_decided_another_stage_may_not_claim_where_the_process_forbids_it() -> None:
    forbid: dict[str, Any] = {"settings": {"separation_of_duties": {"repeat": "forbid"}}}
    request = case({"approvers": ["user:ben"]}, QUEUE, **forbid)
    request.decide("ben")
    assert request.task.candidates == ("ann", "cid")
    with pytest.raises(NotPermitted):
        request.do(Reassign(by=ADMIN, task_id="r.2", to="ben"))


@pytest.mark.parametrize(
    ("step", "org", "assignee", "via"),
    [
        ({}, office(mo=None), "olivia", "succession"),  # without a record, their manager is unknown: the owner
        ({}, office(mo=Person(id="mo", manager="dh", active=False)), "dh", "succession"),  # their manager
        ({"sla_hours": 9, "escalation_to": "cfo"}, office(mo=None), "cfo", "succession"),  # the chain's next
    ],
)
def test_the_task_of_a_person_who_has_left_moves_on(step: dict[str, Any], org: Any, assignee: str, via: str) -> None:
    request = case(step)
    (entry,) = request.reads(org)
    assert (request.asked, request.task.via) == ([assignee], via)
    assert (entry.kind, entry.actor, why_of(entry.detail)) == ("reassigned", "system", "user:mo has left")


def test_a_delegate_succeeds_whoever_delegated() -> None:
    request = case({})
    request.do(Delegate(by=by("mo"), task_id="r.1", to="cid", keep=True))
    request.reads(office(mo=None))
    assert request.asked == ["cid"]


def test_a_task_that_nobody_can_succeed_to_is_vacant_and_an_operator_assigns_it() -> None:
    request = case({}, owner=None)
    request.reads(office(mo=None))
    assert (request.asked, request.task.via) == ([None], "vacant")
    assert request.of_kind("approver_missing")
    assert request.reads(office(mo=None)) == []  # said once
    request.do(Reassign(by=ADMIN, task_id="r.1", to="cid"))
    request.decide("cid")
    assert request.state.outcome == "approved"


def test_people_who_leave_a_queue_can_claim_no_more_and_the_last_one_leaves_it_to_the_next() -> None:
    request = case(QUEUE)
    request.do(Claim(by=by("ben"), task_id="r.1"))
    request.reads(office(ben=None))
    assert (request.asked, request.task.candidates) == ([None], ("ann", "cid"))
    request.reads(office(ann=None, ben=None, cid=None))
    assert request.asked == ["olivia"]


def test_a_comment_is_told_to_the_others_who_are_concerned() -> None:
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all"})
    (entry,) = request.do(Comment(by=by("mo"), text="  which trip?  "))
    assert (why_of(entry.detail), request.told("commented")) == ("which trip?", ["rita", "dh"])


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Comment(by=by("mo"), text=" "), InputInvalid),
        (Extend(by=by("mo"), seconds=60), NotPermitted),
        (Extend(by=OWNER), InputInvalid),  # neither
        (Extend(by=OWNER, seconds=60, due_at=START + HOUR), InputInvalid),  # both
        (Extend(by=OWNER, seconds=float("nan")), InputInvalid),
        (Extend(by=OWNER, seconds=1e300), InputInvalid),
        (Extend(by=OWNER, seconds=-1e6), InputInvalid),  # into the past
        (Extend(by=OWNER, due_at=START), InputInvalid),  # not in the future
        (Extend(by=OWNER, due_at=datetime(2026, 4, 1)), InputInvalid),  # noqa: DTZ001 - no time zone
        (Extend(by=OWNER, due_at=datetime(9999, 12, 31, tzinfo=START.tzinfo)), InputInvalid),
        (Extend(by=OWNER, task_id="r.9", seconds=60), Refused),
    ],
)
def test_what_is_said_wrongly_is_refused(event: Event, error: type[Exception]) -> None:
    request = two_seats()
    with pytest.raises(error):
        request.do(event)


def test_a_stage_without_a_deadline_has_none_to_move() -> None:
    with pytest.raises(Refused, match="No open task has a deadline"):
        case({}).do(Extend(by=OWNER, seconds=60))


def test_a_returned_request_has_no_clock_to_move() -> None:
    request = two_seats()
    request.decide("mo", "request_changes")
    with pytest.raises(Refused, match="with its requester"):
        request.do(Extend(by=OWNER, seconds=60))


@pytest.mark.parametrize("nothing", ["\u200b", "\u2060\ufeff", "\u3164", "\u2800 \u00ad", "\u034f"])
def test_a_comment_that_nobody_can_see_is_none(nothing: str) -> None:
    request = case({"approvers": ["user:mo"], "comment_required": ["reject"]})
    with pytest.raises(InputInvalid):
        request.decide("mo", "reject", comment=nothing)
    with pytest.raises(InputInvalid):
        request.do(Comment(by=by("mo"), text=nothing))
    request.decide("mo", "reject", comment=f"{nothing}Nein{nothing}")
    assert request.state.outcome == "rejected"


def test_the_end_says_whose_decision_it_was_and_who_gives_a_task_away_is_told_nothing_of_it() -> None:
    request = case({"approvers": ["user:mo"]})
    request.do(Reassign(by=by("mo"), task_id="r.1", to="user:ann"))
    assert request.told("task_taken_over") == []
    request.decide("ann", "reject", comment="Too much.")
    ended = next(notice for notice in request.notifications if notice.event == "completed")
    assert (ended.detail["by"], ended.detail["text"]) == ("user:ann", "Too much.")
