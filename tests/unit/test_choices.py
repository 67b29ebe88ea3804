"""Choices of people: who was chosen by which name, and who was passed over and why, as the entries say it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.audit.asking import Whether, name_of, visit_of, why_asked
from placet.audit.reasons import words
from placet.definition.assignees import parse_assignee
from placet.directory import Absence, Directory, Person
from placet.engine.events import Actor, Claim, Delegate, Reassign, Resubmit
from placet.tasks.choice import MOST_LISTED
from tests.unit.core import HOUR, START, Case, away, case, office

PEOPLE = [f"p{n}" for n in range(8)]
NAMES = [*(f"user:{one}" for one in PEOPLE), "user:nobody", "role:a", "role:b", "group:g", "manager_of(requester)"]
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
ANN_AWAY = office(ann=away(Person(id="ann", groups=("finance",)), substitute="dh"))


def choice_of(request: Case, kind: str = "task_opened", number: int = 0) -> dict[str, Any]:
    """Return what an entry says of its choice."""
    found: dict[str, Any] = request.of_kind(kind)[number].detail["choice"]
    return found


def passed(request: Case, kind: str = "task_opened", number: int = 0) -> dict[str, str]:
    """Return the codes of those who were passed over."""
    listed = choice_of(request, kind, number).get("passed_over", [])
    return {one.get("person", one["name"]): one["why"]["code"] for one in listed}


def why(request: Case, person: str, stage: str = "Stage 1", *, later: bool = False, **stands_in: str) -> Whether:
    """Return whether a person is asked at a stage, and why."""
    tasks = [Shown(task) for task in request.state.open_tasks if task.stage == stage]
    return why_asked(
        person,
        tasks,
        visit_of(stage, request.entries),
        requester=request.state.requester,
        stands_in_for=stands_in,
        later=later,
    )


class Shown:
    """A task as it is stored."""

    def __init__(self, task: Any) -> None:
        self.id, self.assignee, self.queue = task.id, task.assignee, task.queue
        self.candidates, self.delegates, self.assigned_via = task.candidates, task.delegates, task.via


@st.composite
def organisations(draw: st.DrawFn) -> Directory:
    """Draw people of whom some are away, have left, or may not decide."""

    def person(name: str) -> Person:
        spans = (Absence(start=START - HOUR, until=FOREVER, substitute=draw(st.sampled_from([None, *PEOPLE]))),)
        return Person(
            id=name,
            manager=draw(st.sampled_from([None, *PEOPLE])),
            roles=tuple(draw(st.sets(st.sampled_from(["a", "b"])))),
            groups=tuple(draw(st.sets(st.sampled_from(["g"])))),
            away=spans if draw(st.integers(0, 2)) == 0 else (),
            active=draw(st.integers(0, 5)) > 0,
            approver=draw(st.integers(0, 5)) > 0,
            load=draw(st.integers(0, 2)),
        )

    return Directory(people={name: person(name) for name in PEOPLE if draw(st.integers(0, 9)) > 0})


@given(
    org=organisations(),
    approvers=st.lists(
        st.one_of(
            st.sampled_from(NAMES),
            st.builds(
                lambda first, other: {"expr": f'1 > 2 ? "{first}" : "{other}"'},
                st.sampled_from(NAMES),
                st.sampled_from(NAMES),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    quorum=st.sampled_from(["any", "all", {"at_least": 2}]),
    claim=st.booleans(),
    assign=st.sampled_from(["each", "least_loaded"]),
    escalates=st.sampled_from([{}, {"escalation_to": "role:b"}]),
)
def test_everybody_who_was_considered_is_chosen_or_passed_over_with_a_reason_and_nobody_is_both(
    org: Directory, approvers: list[Any], quorum: Any, claim: bool, assign: str, escalates: dict[str, Any]
) -> None:
    step = {"approvers": approvers, "quorum": quorum, "claim": claim, "assign": assign, "sla_hours": 1, **escalates}
    request = case(step, org=org, requester="p0", owner="user:p7")
    said = choice_of(request)
    first = request.state.tasks
    chosen = {p for task in first for p in (task.assignee, *task.candidates) if p}
    listed = [one["person"].removeprefix("user:") for one in said.get("passed_over", []) if "person" in one]
    assert not chosen & set(listed), "nobody is both"
    assert max(Counter(listed).values(), default=1) == 1, "nobody is passed over twice"
    assert said["considered"] == len(chosen) + len(listed), "so few are all listed"
    named = {p for one in approvers for name in _names_in(one) for p in _stands_for(name, org)}
    assert named <= chosen | set(listed), "whoever is named was considered"
    for one in said.get("passed_over", []):
        _is_true(one, org, chosen)
    for task in first:
        if task.assignee is not None:
            opened = next(e for e in request.of_kind("task_opened") if e.task_id == task.id)
            assert name_of(opened.detail) is not None, "every entry says by which name"
    for person in PEOPLE:
        assert why(request, person).asked is (person in chosen or any(t.via == f"substitution:{person}" for t in first))


def _names_in(approver: Any) -> list[str]:
    return [approver] if isinstance(approver, str) else approver["expr"].split('"')[1::2]


def _stands_for(name: str, org: Directory) -> set[str]:
    kind, _, value = name.partition(":")
    if kind == "user":
        return {value}
    if kind in {"role", "group"}:
        return {p.id for p in org.people.values() if p.active and value in (*p.roles, *p.groups)}
    manager = org.people["p0"].manager if "p0" in org.people else None
    return {manager} if manager else set()


def _is_true(one: dict[str, Any], org: Directory, chosen: set[str]) -> None:
    """Assert that a reason is so."""
    code, person = one["why"]["code"], one.get("person", "").removeprefix("user:")
    if code == "stage_names_nobody":
        assert not _stands_for(one["name"], org)
        return
    assert (code == "own_request") is (person == "p0")
    found = org.get(person)
    absence = org.absence(person, START)
    assert (code == "not_there") <= (found is None)
    assert (code == "no_access") <= (found is not None and not found.approver)
    if code in {"away", "away_in_a_circle", "stood_in_for", "substitute_unfit"}:
        assert absence is not None
        assert (code == "away") is (absence.substitute is None)
    if code == "stood_in_for":
        assert one["why"]["substitute"].removeprefix("user:") in chosen
    if code == "more_loaded":
        assert any(p in chosen for p in _stands_for(one["name"], org) | set(PEOPLE))


@pytest.mark.parametrize(
    ("step", "org", "expected"),
    [
        # the requester, also as one of a group
        ({"approvers": ["user:rita", "user:mo"]}, office(), {"user:rita": "own_request"}),
        # away without a substitute; the other is enough
        ({"approvers": ["user:ann", "user:cid"]}, office(ann=away(Person(id="ann"))), {"user:ann": "away"}),
        # away, and somebody stands in
        (
            {"approvers": ["user:ann"]},
            office(ann=away(Person(id="ann"), substitute="ben")),
            {"user:ann": "stood_in_for"},
        ),
        # away, and who would stand in has a seat already
        (
            {"approvers": ["user:ben", "user:ann"]},
            office(ann=away(Person(id="ann"), substitute="ben")),
            {"user:ann": "substitute_unfit"},
        ),
        # unknown, and a role that nobody has
        (
            {"approvers": ["user:nobody", "role:pilot", "user:mo"]},
            office(),
            {"user:nobody": "not_there", "role:pilot": "stage_names_nobody"},
        ),
        # without the access to decide
        (
            {"approvers": ["user:ann", "user:mo"]},
            office(ann=Person(id="ann", approver=False)),
            {"user:ann": "no_access"},
        ),
        # a condition that does not hold
        ({"approvers": [{"expr": '1 > 2 ? "user:ann" : "user:mo"'}]}, office(), {"user:ann": "condition_not_met"}),
        # the one with the fewest tasks is enough
        (
            {"approvers": ["group:finance"], "assign": "least_loaded"},
            office(),
            {"user:ann": "more_loaded", "user:cid": "more_loaded"},
        ),
        # nobody was passed over
        ({"approvers": ["user:mo"]}, office(), {}),
    ],
)
def test_entry_says_who_was_passed_over_and_why(step: dict[str, Any], org: Any, expected: dict[str, str]) -> None:
    assert passed(case(step, org=org)) == expected


def test_separation_of_duties_is_a_reason() -> None:
    both = {"separation_of_duties": {"repeat": "forbid"}}
    request = case({"approvers": ["user:dh"], **both}, {"approvers": ["user:dh", "user:mo"], **both})
    request.decide("dh")
    assert passed(request, number=1) == {"user:dh": "decided_elsewhere"}
    assert words(why(request, "dh", "Stage 2").why).startswith("has decided another stage")


def test_entry_says_the_name_where_the_way_to_the_task_does_not() -> None:
    request = case({"approvers": ["group:finance"]}, org=ANN_AWAY)
    opened = request.of_kind("task_opened")
    assert [name_of(one.detail) for one in opened] == ["group:finance"] * 3
    assert opened[0].detail["assigned_via"] == "substitution:ann"
    assert [one.detail.get("chosen_by") for one in opened] == ["group:finance", None, None]
    assert "choice" in opened[0].detail, "the first task of a stage says who was considered"
    assert not any("choice" in one.detail for one in opened[1:])


def test_what_an_entry_lists_is_bounded_and_the_others_are_counted_by_reason() -> None:
    gone = {f"x{n:04}": away(Person(id=f"x{n:04}", groups=("big",))) for n in range(5_000)}
    org = office(**gone, mo=Person(id="mo", manager="dh", groups=("big",)), ann=away(Person(id="ann")))
    request = case({"approvers": ["group:big", "user:ann"]}, org=org)
    said = choice_of(request)
    assert len(said["passed_over"]) == MOST_LISTED
    assert said["unlisted"] == {"away": 5_001 - MOST_LISTED}
    assert said["considered"] == 5_002
    assert said["passed_over"][0]["person"] == "user:ann", "who is named one by one comes first"
    last = why(request, "x4999")
    assert (last.asked, last.why.code) == (False, "not_listed")
    assert last.why.parameters == {"listed": MOST_LISTED, "unlisted": 5_001 - MOST_LISTED}
    assert why(request, "x0000").why.code == "away"


@pytest.mark.parametrize(("rules", "secret"), [(4, "secret"), (5, "")])
def test_requests_of_earlier_rules_or_without_sealed_content_record_no_choice(rules: int, secret: str) -> None:
    request = case({"approvers": ["user:rita", "user:mo"]})
    earlier = Case(plan=replace(request.plan, rules=rules), org=office(), secret=secret)
    assert all(not {"choice", "chosen_by"} & e.detail.keys() for e in earlier.entries)
    assert why(earlier, "ann").why.code == "not_on_record"
    assert why(earlier, "mo").why.code == "asked_by_name"
    assert why(earlier, "rita").why.code == "own_request"


def test_replacement_says_for_whom_and_by_which_name() -> None:
    step = {"approvers": ["user:ann"], "sla_hours": 1, "escalation_to": "role:department_head"}
    request = case(step, org=office(ann=away(Person(id="ann"))))
    assert request.of_kind("task_opened")[0].detail["chosen_by"] == "role:department_head"
    found = why(request, "dh").why
    assert (found.code, found.parameters["name"]) == ("replaces", "role:department_head")
    assert words(found.parameters["cause"]) == "nobody eligible among user:ann"
    assert why(request, "ann").why.code == "away"


def test_escalation_says_who_was_passed_over_on_its_way() -> None:
    org = office(
        dh=away(Person(id="dh", manager="ceo", roles=("department_head",))),
        cid=Person(id="cid", roles=("department_head",)),
        ben=Person(id="ben", roles=("department_head",)),
    )
    request = case({"approvers": ["user:mo"], "sla_hours": 1, "escalation_to": "department_head"}, org=org)
    request.hours(2)
    assert request.asked == ["ben"]
    assert passed(request, "escalated") == {"user:dh": "away", "user:cid": "nearer_chosen"}
    assert request.of_kind("escalated")[0].detail["chosen_by"] == "role:department_head"
    assert why(request, "ben").why.code == "asked_by_escalation"
    assert (why(request, "mo").why.code, why(request, "mo").why.parameters["to"]) == ("task_escalated", "user:ben")
    assert why(request, "dh").why.code == "away"
    assert why(request, "cid").why.code == "nearer_chosen"


def test_level_that_is_skipped_says_why() -> None:
    levels = [{"after_hours": 0, "to": "user:ann"}, {"after_hours": 1, "to": "user:dh"}]
    request = case(
        {"approvers": ["user:mo"], "sla_hours": 1, "escalation": levels}, org=office(ann=away(Person(id="ann")))
    )
    request.hours(1.5)
    assert passed(request, "escalation_skipped") == {"user:ann": "away"}


def test_whoever_follows_a_leaver_is_told_apart() -> None:
    org = office(dh=away(Person(id="dh", manager="ceo")))
    request = case({"approvers": ["user:mo"]}, org=org)
    gone = dict(org.people)
    gone["mo"] = replace(gone["mo"], active=False)
    request.reads(Directory(people=gone))
    assert request.asked == ["ceo"]
    assert passed(request, "reassigned") == {"user:dh": "away"}
    found = why(request, "ceo").why
    assert (found.code, found.parameters["name"]) == ("asked_after", "manager_of(user:dh)")
    assert why(request, "mo").why.code == "task_given_away"


def test_hands_say_who_gave_the_task() -> None:
    request = case({"approvers": ["user:mo"]})
    task = request.state.tasks[0].id
    request.do(Reassign(by=Actor(person="mo"), task_id=task, to="user:ann"))
    assert (why(request, "ann").why.code, why(request, "ann").why.parameters) == ("reassigned_by", {"by": "user:mo"})
    request.do(Delegate(by=Actor(person="ann"), task_id=task, to="user:ben", keep=True))
    assert why(request, "ben").why.code == "delegated_by"
    assert why(request, "ann").asked
    assert why(request, "mo").why.parameters == {"to": "user:ann", "by": "user:mo"}


def test_queue_says_who_may_claim_and_who_did() -> None:
    request = case({"approvers": ["group:finance"], "claim": True})
    assert {why(request, one).why.code for one in ("ann", "ben", "cid")} == {"may_claim"}
    request.do(Claim(by=Actor(person="ben"), task_id=request.task.id))
    assert [why(request, one).why.code for one in ("ann", "ben")] == ["claimed_by", "took_it"]


def test_turn_that_has_not_come_is_told_and_later_the_seat() -> None:
    request = case({"approvers": ["user:mo", "user:dh"], "quorum": "all", "order": "sequential"})
    assert why(request, "dh", later=True).why.code == "comes_later"
    request.decide("mo")
    assert (why(request, "mo").why.code, why(request, "dh").asked) == ("has_decided", True)


def test_absent_person_still_decides_and_substitute_is_asked_in_their_place() -> None:
    request = case({"approvers": ["user:ann"]}, org=office(ann=away(Person(id="ann"), substitute="ben")))
    assert [why(request, one).why.code for one in ("ann", "ben")] == ["still_decides", "asked_for_absent"]
    assert why(request, "ben").why.parameters["name"] == "user:ann"


def test_next_round_has_facts_of_its_own() -> None:
    request = case({"approvers": ["user:mo", "user:ann"]}, org=office(ann=away(Person(id="ann"))))
    assert why(request, "ann").why.code == "away"
    request.decide("mo", "request_changes", comment="Which one?")
    request.org = office()
    request.hours(1)
    request.do(Resubmit(by=Actor(person="rita")))
    assert why(request, "ann").asked
    assert visit_of("Stage 1", request.entries)[0].seq > request.of_kind("resubmitted")[0].seq


def test_name_of_an_entry_can_be_parsed() -> None:
    request = case({"approvers": ["manager_of(requester)"], "sla_hours": 1, "escalation_to": "cfo"})
    request.hours(80)
    for entry in request.of_kind("escalated"):
        assert parse_assignee(entry.detail["chosen_by"]) is not None
