"""The directory lives: absences, queues and leavers count as they are when somebody claims, decides or is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.audit.chain import Entry
from placet.directory import Absence, Directory, Person
from placet.engine.events import Actor, Claim, Decide, Delegate, Happened, Reassign, Release
from placet.engine.run import ADMINS
from placet.errors import NotPermitted
from tests.unit.core import HOUR, REFUSALS, START, Case, away, blueprint, case, office, plan_of

QUEUE: dict[str, Any] = {"approvers": ["group:finance"], "claim": True}
ANN, MO = office().people["ann"], office().people["mo"]


def spell(person: Person, substitute: str | None, *, start: float, until: float) -> Person:
    """Return the person, away for these hours after the test began."""
    span = Absence(start=START + start * HOUR, until=START + until * HOUR, substitute=substitute)
    return replace(person, away=(*person.away, span))


def claims(request: Case, person: str) -> list[Entry]:
    return request.do(Claim(by=Actor(person=person), task_id=request.task.id))


def stands_in(request: Case, person: str, decision: Any = "approve") -> list[Entry]:
    by = Actor(person=person)
    return request.do(Decide(by=by, task_id=request.state.open_tasks[0].id, decision=decision, stands_in=True))


def behalf(request: Case) -> Any:
    return request.of_kind("decided")[-1].detail.get("on_behalf_of")


def frozen(*steps: dict[str, Any], org: Directory | None = None, **more: Any) -> Case:
    """Begin a request as they began before the core's rules had numbers."""
    return Case(plan=replace(plan_of(blueprint(*steps, **more)), rules=1), org=org or office())


# Queues


def test_who_left_a_queues_group_cannot_claim_and_who_joined_can() -> None:
    request = case(QUEUE)
    request.org = office(ann=replace(ANN, groups=()), dh=Person(id="dh", groups=("finance",)))
    request.hours(1)
    with pytest.raises(NotPermitted):
        claims(request, "ann")
    claims(request, "dh")
    assert request.asked == ["dh"]
    request.decide("dh")
    assert (request.state.outcome, behalf(request)) == ("approved", None)


def test_the_substitute_of_a_member_who_is_away_now_claims_on_their_behalf() -> None:
    request = case(QUEUE)
    request.org = office(ann=spell(ANN, "dh", start=1, until=3))
    request.hours(0.5)
    with pytest.raises(NotPermitted):
        claims(request, "dh")
    request.hours(2)
    (claimed,) = claims(request, "dh")
    assert claimed.detail["on_behalf_of"] == "user:ann"
    request.decide("dh")
    assert behalf(request) == "user:ann"


def test_a_claimed_task_that_is_released_waits_for_whoever_is_in_the_queue_then() -> None:
    request = case(QUEUE)
    claims(request, "ben")
    request.org = office(ann=replace(ANN, groups=()))
    request.hours(1)
    request.do(Release(by=Actor(person="ben"), task_id=request.task.id))
    with pytest.raises(NotPermitted):
        claims(request, "ann")
    claims(request, "cid")


def test_nobody_claims_their_own_request_whatever_group_they_join() -> None:
    request = case(QUEUE)
    request.org = office(rita=Person(id="rita", groups=("finance",)))
    request.hours(1)
    with pytest.raises(NotPermitted, match="own request"):
        claims(request, "rita")


# Substitutes


@pytest.mark.parametrize("entered", ["before", "after"])
def test_a_substitute_decides_what_is_open_while_the_absence_lasts_and_no_longer(entered: str) -> None:
    org = office(mo=spell(MO, "dh", start=2, until=4))
    request = case({}, org=org if entered == "before" else None)
    assert request.asked == ["mo"]
    request.org = org
    for hours in (1.0, 4.0):
        waits = case({}, org=request.org)
        waits.hours(hours)
        with pytest.raises(NotPermitted):
            stands_in(waits, "dh")
    request.hours(3)
    stands_in(request, "dh")
    assert (request.state.outcome, behalf(request)) == ("approved", "user:mo")
    assert (request.task.decided_by, request.task.on_behalf_of) == ("dh", "mo")


def test_who_is_away_still_decides_and_a_substitute_who_is_away_too_passes_it_on() -> None:
    org = office(mo=spell(MO, "dh", start=1, until=9), dh=spell(office().people["dh"], "ceo", start=1, until=9))
    first, second = case({}), case({})
    for request in (first, second):
        request.org = org
        request.hours(2)
    stands_in(first, "ceo")
    assert behalf(first) == "user:mo"
    second.decide("mo")
    assert behalf(second) is None


# What a substitute got while the absence lasted

BRIEF: dict[str, Any] = {"substitute": "dh", "start": -1, "until": 4}
SUCCESSION = office(mo=Person(id="mo", manager="cfo"), cfo=spell(office().people["cfo"], "dh", start=-1, until=4))


def opened(request: Case) -> Case:
    return request


def claimed(request: Case) -> Case:
    claims(request, "dh")
    return request


def escalated(request: Case) -> Case:
    request.hours(2)
    return request


def succeeded(request: Case) -> Case:
    request.reads(office(**{**SUCCESSION.people, "mo": replace(SUCCESSION.people["mo"], active=False)}))
    return request


def second(request: Case) -> Case:
    request.decide("ben")
    return request


TAKEN = {
    "opened": (opened, "mo", ({},), office(mo=spell(MO, **BRIEF))),
    "claimed": (claimed, "ann", (QUEUE,), office(ann=spell(ANN, **BRIEF))),
    "escalated": (
        escalated,
        "cfo",
        ({"sla_hours": 1, "escalation_to": "cfo"},),
        office(cfo=spell(office().people["cfo"], **BRIEF)),
    ),
    "succeeded": (succeeded, "cfo", ({},), SUCCESSION),
    "sequence": (
        second,
        "mo",
        ({"approvers": ["user:ben", "user:mo"], "quorum": "all", "order": "sequential"},),
        office(mo=spell(MO, **BRIEF)),
    ),
    "stood in for a stand-in": (
        opened,
        "mo",
        ({},),
        office(mo=spell(MO, "ceo", start=-1, until=4), ceo=spell(office().people["ceo"], "dh", start=-1, until=4)),
    ),
}


def taken(how: str) -> tuple[Case, str]:
    """Return a request in which dh has the task of somebody who is away until the fourth hour, and of whom."""
    take, whose, steps, org = TAKEN[how]
    request = take(case(*steps, org=org))
    task = request.task
    assert (task.assignee, task.via, whose in task.held_by) == ("dh", f"substitution:{whose}", True)
    return request, whose


@pytest.mark.parametrize("how", TAKEN)
def test_what_a_substitute_got_during_the_absence_they_decide_on_behalf_of_whose_it_is(how: str) -> None:
    request, whose = taken(how)
    request.decide("dh", task=request.task.id)
    assert (request.state.outcome, behalf(request)) == ("approved", f"user:{whose}")


@pytest.mark.parametrize("how", TAKEN)
def test_who_is_away_decides_what_a_substitute_has_for_them_too(how: str) -> None:
    request, whose = taken(how)
    request.decide(whose, task=request.task.id)
    assert (request.state.outcome, behalf(request)) == ("approved", None)


@pytest.mark.parametrize("how", TAKEN)
def test_with_the_end_of_the_absence_the_task_is_whose_it_was_and_they_are_told(how: str) -> None:
    request, whose = taken(how)
    request.hours(5)
    assert request.asked == [whose]
    back = request.of_kind("reassigned")[-1]
    assert (back.at, back.actor) == (START + 4 * HOUR, "system")
    assert (back.detail["before"], back.detail["after"]) == ({"assignee": "user:dh"}, {"assignee": f"user:{whose}"})
    assert (request.told("reassigned")[-1], request.told("task_taken_over")[-1]) == (whose, "dh")
    with pytest.raises(NotPermitted):
        stands_in(request, "dh")
    request.decide(whose)
    assert (request.state.outcome, behalf(request)) == ("approved", None)


@pytest.mark.parametrize("how", TAKEN)
def test_an_absence_that_is_cut_short_ends_what_the_substitute_may(how: str) -> None:
    for by_whom in ("dh", "whose"):
        request, whose = taken(how)
        people = {name: replace(person, away=()) for name, person in request.org.people.items()}
        request.org = office(**people)
        if by_whom == "dh":
            moves = Delegate(by=Actor(person="dh"), task_id=request.task.id, to="ben")
            request.now += HOUR / 2
            with pytest.raises(NotPermitted):
                request.do(moves)
            with pytest.raises(NotPermitted):
                request.decide("dh", task=request.task.id)
            assert request.asked == [whose]
        else:
            request.now += HOUR / 2
            request.do(Delegate(by=Actor(person=whose), task_id=request.task.id, to="olivia"))
            assert request.asked == ["olivia"]


ADDED: dict[str, Any] = {"sla_hours": 1, "escalation": [{"to": "user:ben", "action": "add"}]}


def added(substitute: str = "dh", **step: Any) -> Case:
    """Return a request to which ben, who is away until the fourth hour, was added."""
    request = case({**ADDED, **step}, org=office(ben=spell(office().people["ben"], substitute, start=-1, until=4)))
    request.hours(2)
    assert (request.asked[0], request.state.open_tasks[0].delegates) == ("mo", ("ben",))
    assert request.told("escalated_to") == ["ben"], "the store tells whoever stands in for them"
    return request


@pytest.mark.parametrize(("who", "on_behalf_of"), [("dh", "user:ben"), ("ben", "user:mo"), ("mo", None)])
def test_who_is_away_is_added_and_their_substitute_decides_for_them_meanwhile(
    who: str, on_behalf_of: str | None
) -> None:
    request = added()
    stands_in(request, who)
    assert (request.state.outcome, behalf(request)) == ("approved", on_behalf_of)


@pytest.mark.parametrize("cut_short", [True, False])
def test_with_the_end_of_the_absence_nobody_decides_for_whoever_was_added(cut_short: bool) -> None:
    request = added()
    if cut_short:
        request.org = office()
    request.hours(3 if cut_short else 5)
    with pytest.raises(NotPermitted):
        stands_in(request, "dh")
    request.decide("ben")
    assert request.state.outcome == "approved"


def test_who_stands_in_for_a_delegate_is_who_does_so_when_they_decide() -> None:
    request = case({})
    request.do(Delegate(by=Actor(person="mo"), task_id=request.task.id, to="ann", keep=True))
    request.org = office(ann=spell(ANN, "ceo", start=1, until=3))
    request.hours(2)
    with pytest.raises(NotPermitted):
        stands_in(request, "dh")
    stands_in(request, "ceo")
    assert behalf(request) == "user:ann"


@pytest.mark.parametrize(
    ("substitute", "step", "why"),
    [
        ("dh", {"approvers": ["user:mo", "user:dh"], "quorum": "all"}, "fill another seat"),
        ("dh", {"separation_of_duties": {"repeat": "forbid"}}, "forbids deciding twice"),
    ],
)
def test_separation_of_duties_holds_for_who_stands_in_for_a_delegate(
    substitute: str, step: dict[str, Any], why: str
) -> None:
    kept = {"approvers": ["user:mo"]} | step
    request = case({"approvers": ["user:dh"]}, kept)
    request.decide("dh")
    task = request.state.open_tasks[0].id
    request.do(Delegate(by=Actor(person="mo"), task_id=task, to="ben", keep=True))
    request.org = office(ben=spell(office().people["ben"], substitute, start=0, until=4))
    request.hours(1)
    with pytest.raises(NotPermitted, match=why):
        stands_in(request, substitute)


def test_nobody_stands_in_for_a_delegate_who_fills_another_seat() -> None:
    request = case({"approvers": ["user:mo", "user:ann"], "quorum": "all"})
    mos, anns = request.state.open_tasks
    request.do(Delegate(by=Actor(person="mo"), task_id=mos.id, to="ben", keep=True))
    request.do(Reassign(by=Actor(person="olivia"), task_id=anns.id, to="ben"))
    request.org = office(ben=spell(office().people["ben"], "dh", start=0, until=4))
    request.hours(1)
    with pytest.raises(NotPermitted):
        stands_in(request, "dh")


def test_who_was_added_by_earlier_rules_is_the_substitute() -> None:
    org = office(ben=spell(office().people["ben"], "dh", start=-1, until=4))
    request = Case(plan=replace(plan_of(blueprint(ADDED)), rules=3), org=org)
    request.hours(2)
    assert request.task.delegates == ("dh",)


CARRY: dict[str, Any] = {"separation_of_duties": {"repeat": "carry"}}


@pytest.mark.parametrize(
    ("earlier", "org", "rules", "asked", "by"),
    [
        ("mo", office(mo=spell(MO, "dh", start=1, until=9)), 4, [], "mo"),  # whose seat it is has approved
        ("dh", office(mo=spell(MO, "dh", start=1, until=9)), 4, ["dh"], None),  # the substitute did, for themself
        ("dh", office(mo=spell(MO, "dh", start=1, until=9)), 3, [], "dh"),  # the seat was the substitute's own
        ("mo", office(), 4, [], "mo"),
    ],
)
def test_an_approval_carries_to_the_seat_of_whoever_gave_it_and_not_to_one_that_they_fill_for_another(
    earlier: str, org: Directory, rules: int, asked: list[str], by: str | None
) -> None:
    raw = blueprint({"approvers": [f"user:{earlier}"]}, {"approvers": ["user:mo"], **CARRY})
    request = Case(plan=replace(plan_of(raw), rules=rules), org=org)
    request.hours(2)
    request.decide(earlier, task=request.task.id)
    assert request.asked == asked
    if by is None:
        request.decide("dh")
        assert behalf(request) == "user:mo"
    else:
        assert request.of_kind("decided")[-1].actor == f"user:{by}"
    assert request.state.outcome == "approved"


def test_who_approved_earlier_is_never_two_of_one_quorum() -> None:
    both = {"approvers": ["user:mo", "user:dh"], "quorum": "all", **CARRY}
    request = case({"approvers": ["user:dh"]}, both, org=office(mo=spell(MO, "dh", start=-1, until=9)))
    request.decide("dh")
    first, *others = request.state.open_tasks
    assert (first.assignee, first.via) == ("dh", "substitution:mo")
    assert "dh" not in [task.assignee for task in others], "dh fills the seat of mo, and has none of their own"
    request.decide("dh", task=first.id)
    assert request.state.status == "pending"


def test_another_substitute_takes_over_and_none_leaves_it_to_who_is_away() -> None:
    request, _ = taken("opened")
    request.reads(office(mo=spell(MO, "ben", start=-1, until=4)))
    assert (request.asked, request.task.via) == (["ben"], "substitution:mo")
    request.reads(office(mo=spell(MO, None, start=-1, until=4)))
    assert request.asked == ["mo"]


def test_a_substitute_who_leaves_and_whoever_they_stood_in_for_are_followed_by_the_rule_of_whose_seat_it_is() -> None:
    left, _ = taken("opened")
    left.reads(office(mo=spell(MO, **BRIEF), dh=replace(office().people["dh"], active=False)))
    assert left.asked == ["mo"], "nobody stands in now, and who is away may still decide"
    gone, _ = taken("opened")
    gone.reads(office(mo=replace(spell(MO, **BRIEF), manager="cfo", active=False)))
    assert gone.asked == ["cfo"], "the manager of whose seat it is"


def test_absences_that_follow_each_other_are_one_and_one_that_grows_ends_later() -> None:
    org = office(mo=spell(spell(MO, **BRIEF), "dh", start=4, until=6))
    request = case({}, org=org)
    request.hours(5)
    assert request.asked == ["dh"]
    request.org = office(mo=spell(MO, "dh", start=-1, until=8))
    request.hours(7)
    assert request.asked == ["dh"]
    request.hours(9)
    assert request.asked == ["mo"]


def test_who_is_away_fills_their_seat_and_no_other_while_a_substitute_has_it() -> None:
    both = {"approvers": ["user:mo", "user:ann"], "quorum": "all"}
    request = case(both, org=office(mo=spell(MO, **BRIEF)))
    mos, anns = request.state.open_tasks
    request.hours(5)
    for to, task in (("mo", anns), ("ann", mos)):
        with pytest.raises(NotPermitted, match="another seat"):
            request.do(Reassign(by=Actor(person="olivia"), task_id=task.id, to=to))
    early = case(both, org=office(mo=spell(MO, **BRIEF)))
    early.decide("dh", task=early.state.open_tasks[0].id)
    early.hours(5)
    with pytest.raises(NotPermitted, match="another seat"):
        early.do(Reassign(by=Actor(person="olivia"), task_id=early.state.open_tasks[0].id, to="mo"))
    assert early.state.status == "pending"


def test_nobody_stands_in_for_who_may_not_have_the_seat_themself() -> None:
    rita = spell(Person(id="rita", manager="mo", groups=("finance",)), **BRIEF)
    asked = case({"approvers": ["group:finance"], "quorum": "any"}, org=office(rita=rita)).asked
    assert asked == ["ann", "ben", "cid"]
    barred = office(ann=replace(spell(ANN, **BRIEF), approver=False))
    assert case({"approvers": ["group:finance"]}, org=barred).asked == ["ben", "cid"]
    for org in (office(rita=rita), barred):
        with pytest.raises(NotPermitted):
            claims(case(QUEUE, org=org), "dh")


def test_what_began_by_earlier_rules_stays_with_the_substitute() -> None:
    plan = replace(plan_of(blueprint({})), rules=3)
    request = Case(plan=plan, org=office(mo=spell(MO, **BRIEF)))
    request.hours(5)
    with pytest.raises(NotPermitted):
        request.decide("mo", task=request.task.id)
    request.decide("dh")
    assert (request.state.outcome, behalf(request)) == ("approved", "user:mo")


@pytest.mark.parametrize(
    ("substitute", "step", "why"),
    [
        ("rita", {}, "own request"),
        ("ann", {"approvers": ["user:mo", "user:ann"], "quorum": "all"}, "another seat"),
        ("dh", {}, None),
    ],
)
def test_separation_of_duties_holds_for_substitutes(substitute: str, step: dict[str, Any], why: str | None) -> None:
    request = case(step)
    request.org = office(mo=spell(MO, substitute, start=1, until=9))
    request.hours(2)
    if why is None:
        stands_in(request, substitute)
    else:
        with pytest.raises(NotPermitted, match=why):
            stands_in(request, substitute)


def test_who_decided_another_stage_does_not_decide_this_one_as_a_substitute_where_that_is_forbidden() -> None:
    both = {"separation_of_duties": {"repeat": "forbid"}}
    request = case({"approvers": ["user:dh"], **both}, {"approvers": ["user:mo"], **both})
    request.decide("dh")
    request.org = office(mo=spell(MO, "dh", start=1, until=9))
    request.hours(2)
    with pytest.raises(NotPermitted, match="forbids deciding twice"):
        stands_in(request, "dh")


def test_whoever_does_not_say_that_they_stand_in_is_refused_before_the_directory_is_read() -> None:
    request = case({})
    request.org = office(mo=away(MO, substitute="dh"))
    request.hours(1)
    steps = len(request.steps)
    with pytest.raises(NotPermitted):
        request.decide("dh", task=request.task.id)
    assert len(request.steps) == steps


def test_a_decision_is_on_behalf_of_whoever_delegated_or_was_away_when_the_task_opened() -> None:
    handed, kept = case({}), case({})
    for request, keep in ((handed, False), (kept, True)):
        request.do(Delegate(by=Actor(person="mo"), task_id=request.task.id, to="ann", keep=keep))
        request.decide("ann")
        assert behalf(request) == "user:mo"
    opened = case({}, org=office(mo=away(MO, substitute="dh")))
    opened.decide("dh")
    assert behalf(opened) == "user:mo"
    moved = case({})
    moved.do(Reassign(by=Actor(person="mo"), task_id=moved.task.id, to="ann"))
    moved.decide("ann")
    assert behalf(moved) is None, "it is ann's own by then"


# Seats


BEN_AWAY = office(ben=away(office().people["ben"]))


@pytest.mark.parametrize(
    ("step", "org", "asked"),
    [
        # away without a substitute: the owner
        ({"approvers": ["user:ann", "user:ben"], "quorum": "all"}, BEN_AWAY, ["ann", "olivia"]),
        # first the escalation's next
        (
            {
                "approvers": ["user:ann", "user:ben"],
                "quorum": "all",
                "escalation_to": "department_head",
                "sla_hours": 1,
            },
            BEN_AWAY,
            ["ann", "dh"],
        ),
        # nobody of that id
        ({"approvers": ["user:ann", "user:nobody"], "quorum": "all"}, None, ["ann", "olivia"]),
        # the substitute is in the stage already, whoever is named first
        (
            {"approvers": ["user:ann", "user:ben"], "quorum": "all"},
            office(ben=away(office().people["ben"], substitute="ann")),
            ["ann", "olivia"],
        ),
        (
            {"approvers": ["user:ann", "user:ben"], "quorum": "all"},
            office(ann=away(ANN, substitute="ben")),
            ["ben", "olivia"],
        ),
        # one of a group
        ({"approvers": ["group:finance"], "quorum": "all"}, BEN_AWAY, ["ann", "cid", "olivia"]),
        # of three, 67 per cent are three
        ({"approvers": ["group:finance"], "quorum": {"percent": 67}}, BEN_AWAY, ["ann", "cid", "olivia"]),
        # of three, 60 per cent are two, and two there are
        ({"approvers": ["group:finance"], "quorum": {"percent": 60}}, BEN_AWAY, ["ann", "cid"]),
        # who is not asked to decide anything in Placet
        (
            {"approvers": ["user:ann", "user:ben"], "quorum": "all"},
            office(ben=replace(office().people["ben"], approver=False)),
            ["ann", "olivia"],
        ),
        # the requester has no seat, by whatever name
        ({"approvers": ["user:ann", "user:rita"], "quorum": "all"}, None, ["ann"]),
        # nor has anybody two
        ({"approvers": ["user:ann", "group:finance", "user:ann"], "quorum": "all"}, None, ["ann", "ben", "cid"]),
    ],
)
def test_a_quorum_does_not_shrink_by_those_who_are_missing(
    step: dict[str, Any], org: Directory | None, asked: list[str]
) -> None:
    request = case(step, org=org)
    assert request.asked == asked
    assert bool(request.of_kind("approver_missing")) == bool({"olivia", "dh"} & set(asked))
    if step["quorum"] == {"percent": 60}:
        request.decide("ann")
        assert request.state.status == "pending", "60 per cent of three, and not of the two who are there"
    for person in request.asked:
        assert request.state.status == "pending"
        request.decide(str(person))
    assert request.state.outcome == "approved"


def test_a_seat_that_nobody_can_take_stays_vacant_and_is_no_vote() -> None:
    request = case({"approvers": ["user:ann", "user:ben"], "quorum": "all"}, org=BEN_AWAY, owner=None)
    assert request.asked == ["ann", None]
    request.decide("ann")
    assert request.state.status == "pending"


def test_somebody_who_is_named_and_missing_is_on_record_where_the_others_are_enough() -> None:
    request = case({"approvers": ["user:ann", "user:nobody"]})
    (entry,) = request.of_kind("approver_missing")
    assert request.asked == ["ann"]
    assert entry.detail["why"]["names"] == ["user:nobody"]
    assert request.told("approver_missing") == [], "nobody has to do anything about it"


@pytest.mark.parametrize("order", ["parallel", "sequential"])
def test_the_seat_of_somebody_who_left_goes_the_same_way_in_parallel_and_in_sequence(order: str) -> None:
    step = {"approvers": ["user:ann", "user:ben"], "quorum": "all", "order": order}
    request = case(step)
    request.hours(1)
    request.reads(office(ben=replace(office().people["ben"], active=False)))
    request.decide("ann")
    assert (request.asked, request.task.via) == (["cfo"], "succession")


@pytest.mark.parametrize("order", ["parallel", "sequential"])
def test_a_queue_that_opens_later_is_of_whoever_is_in_it_then(order: str) -> None:
    request = case({**QUEUE, "approvers": ["user:mo", "group:finance"], "quorum": "all", "order": order})
    request.org = office(ann=replace(ANN, groups=()), dh=Person(id="dh", groups=("finance",)))
    request.hours(1)
    request.decide("mo")
    assert claims(request, "dh")


# Handing on


@pytest.mark.parametrize(
    ("to", "step", "why"),
    [
        ("ben", {}, "away until 2100-01-01"),
        ("rita", {}, "own request"),
        ("ann", {"approvers": ["user:mo", "user:ann"], "quorum": "all"}, "another seat"),
        ("cid", {}, "the access approver"),
    ],
)
@pytest.mark.parametrize("how", [Reassign, Delegate])
def test_a_refused_hand_over_says_which_of_the_reasons_it_is(to: str, step: dict[str, Any], why: str, how: Any) -> None:
    cid = replace(office().people["cid"], approver=False)
    request = case(step, org=office(ben=away(office().people["ben"]), cid=cid))
    with pytest.raises(NotPermitted, match=why) as refused:
        request.do(how(by=Actor(person="mo"), task_id=request.state.tasks[0].id, to=to))
    reasons = ["away until", "own request", "another seat", "the access approver", "forbids deciding twice"]
    assert [reason for reason in reasons if reason in refused.value.message] == [
        next(r for r in reasons if why.startswith(r) or r in why)
    ]


def test_a_refused_hand_over_names_another_stage_where_that_bars() -> None:
    both = {"separation_of_duties": {"repeat": "forbid"}}
    request = case({"approvers": ["user:dh"], **both}, {"approvers": ["user:mo"], **both})
    request.decide("dh")
    with pytest.raises(NotPermitted, match="forbids deciding twice"):
        request.do(Reassign(by=Actor(person="mo"), task_id=request.task.id, to="dh"))


# Operators


@pytest.mark.parametrize("requester", ["olivia", "adam"])
def test_whoever_asked_operates_nothing_whatever_they_are(requester: str) -> None:
    org = office(adam=Person(id="adam", manager="mo"), olivia=Person(id="olivia", manager="mo"))
    request = case({"sla_hours": 1}, org=org, requester=requester)
    by = Actor(person=requester, admin=True)
    for event in (
        Reassign(by=by, task_id=request.task.id, to="ann"),
        Delegate(by=by, task_id=request.task.id, to="ann"),
        Claim(by=by, task_id=request.task.id),
        Release(by=by, task_id=request.task.id),
        Decide(by=by, task_id=request.task.id, decision="approve", stands_in=True),
        Happened(by=by, name="go"),
    ):
        with pytest.raises(NotPermitted, match="own request"):
            request.do(event)


def test_admins_are_told_of_a_vacant_task_where_only_whoever_asked_owns_the_process() -> None:
    request = case({"reminders": {"every_hours": 1}}, requester="olivia", org=office(olivia=Person(id="olivia")))
    assert request.asked == [None]
    assert (request.told("approver_missing"), request.told("task_opened")) == ([ADMINS], [ADMINS])
    request.hours(1)
    assert request.told("reminded") == [ADMINS]


def test_an_owner_who_is_there_is_told_and_admins_are_not() -> None:
    request = case({"approvers": ["user:mo"], "quorum": {"at_least": 3}})
    assert request.told("approver_missing") == ["olivia"]


# Lateness and levels


def test_a_task_is_critical_so_long_after_its_deadline_and_the_owner_is_told() -> None:
    request = case({"sla": {"target_hours": 4, "critical_hours": 2}, "escalation_enabled": False})
    request.hours(5.9)
    assert not request.of_kind("sla_critical")
    (entry,) = [e for e in request.hours(6) if e.kind == "sla_critical"]
    assert entry.at == START + timedelta(hours=6)
    assert (request.told("sla_critical"), request.task.sla_state) == (["olivia"], "breached")
    request.hours(50)
    assert len(request.of_kind("sla_critical")) == 1


def test_a_task_that_is_decided_in_time_never_becomes_critical() -> None:
    request = case({"sla": {"target_hours": 4, "critical_hours": 2}}, {"approvers": ["user:ann"]})
    request.hours(5)
    request.decide("mo")
    request.hours(50)
    assert not request.of_kind("sla_critical")


def test_an_escalation_to_several_says_that_it_reaches_one() -> None:
    request = case({"sla_hours": 1, "escalation": [{"after_hours": 0, "to": "group:finance"}]})
    request.hours(1)
    (entry,) = request.of_kind("escalated")
    assert request.asked == ["ann"]
    assert entry.detail["why"] == {"code": "one_of_several", "count": 3, "to": "group:finance"}


# What began before


def test_what_began_before_goes_on_as_it_did() -> None:
    queue = frozen(QUEUE)
    queue.org = office(ann=replace(ANN, groups=()))
    queue.hours(1)
    claims(queue, "ann")
    assert queue.asked == ["ann"]
    assert frozen({"approvers": ["user:ann", "user:ben"], "quorum": "all"}, org=BEN_AWAY).asked == ["ann"]
    own = frozen({}, owner="user:rita")
    own.do(Reassign(by=Actor(person="rita"), task_id=own.task.id, to="ann"))
    absent = frozen({})
    absent.org = office(mo=away(MO, substitute="dh"))
    absent.hours(1)
    with pytest.raises(NotPermitted):
        stands_in(absent, "dh")


# Always


NAMES = sorted(office().people)
PEOPLE = st.sampled_from(NAMES)
ABSENCE = st.tuples(PEOPLE, PEOPLE, st.integers(0, 20), st.integers(1, 20))
ACTS = st.one_of(
    st.tuples(st.just("decide"), PEOPLE, PEOPLE),
    st.tuples(st.just("claim"), PEOPLE, PEOPLE),
    st.tuples(st.just("delegate"), PEOPLE, PEOPLE),
    st.tuples(st.just("away"), PEOPLE, PEOPLE),
    st.tuples(st.just("join"), PEOPLE, PEOPLE),
    st.tuples(st.just("leave"), PEOPLE, PEOPLE),
    st.tuples(st.just("wait"), PEOPLE, PEOPLE),
)
STEPS = st.sampled_from(
    [
        QUEUE,
        {"approvers": ["group:finance"], "quorum": "all"},
        {"approvers": ["user:mo", "user:ann", "group:finance"], "quorum": "all", "order": "sequential"},
        {"approvers": ["manager_of(requester)"], "sla_hours": 2, "escalation_to": "department_head"},
        {"sla_hours": 2, "escalation": [{"to": "user:ann", "action": "add"}]},
        {"approvers": ["role:cfo", "user:rita"], "quorum": {"at_least": 2}},
    ]
)


@settings(max_examples=200)
@given(requester=PEOPLE, steps=st.lists(STEPS, min_size=1, max_size=2), acts=st.lists(ACTS, max_size=25))
def test_nobody_ever_decides_their_own_request_nor_what_was_not_theirs_at_that_moment(
    requester: str, steps: list[dict[str, Any]], acts: list[tuple[str, str, str]]
) -> None:
    request = case(*steps, requester=requester, org=office())
    for what, one, other in acts:
        before, org = request.state, request.org
        open_tasks = before.open_tasks
        if not open_tasks:
            break
        task = open_tasks[0]
        by = Actor(person=one)
        try:
            match what:
                case "decide":
                    request.do(Decide(by=by, task_id=task.id, decision="approve", stands_in=True))
                    holds = one in {task.assignee, *task.delegates}
                    how, _, away = task.via.partition(":")
                    whose = away if how == "substitution" else task.assignee or ""
                    covers = any(one in org.substitutes_of(of, request.now) for of in (whose, *task.delegates))
                    assert one != requester
                    if whose == away:
                        holds = one == away or one in task.delegates
                    assert holds or covers, "somebody decided who neither had the task nor stood in for whoever had"
                case "claim":
                    request.do(Claim(by=by, task_id=task.id))
                    members = org.members("finance")
                    assert one != requester
                    assert one in members or any(one in org.substitutes_of(m, request.now) for m in members)
                case "delegate":
                    request.do(Delegate(by=by, task_id=task.id, to=other, keep=len(one) % 2 == 0))
                    assert other != requester
                case "away":
                    person = org.people[one]
                    span = Absence(start=request.now, until=request.now + 5 * HOUR, substitute=other)
                    request.org = office(**{**org.people, one: replace(person, away=(span,))})
                case "join" | "leave":
                    groups = ("finance",) if what == "join" else ()
                    request.org = office(**{**org.people, one: replace(org.people[one], groups=groups)})
                case "wait":
                    request.until(request.now + HOUR)
        except REFUSALS:
            continue
