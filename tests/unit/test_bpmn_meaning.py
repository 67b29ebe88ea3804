"""An imported process does what its file means: requests of it are played, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.bpmn_files import (
    START_EVENT as S,
)
from tests.unit.bpmn_files import (
    Play,
    edges,
    end,
    flows,
    form,
    gateway,
    imported,
    said_of,
    step,
    task,
    told,
)

ENDS = end("ok", "approved") + end("no", "rejected")

# Verdicts, and data


AMOUNT = (
    S
    + task("a", "Manager approval", **{"camunda:assignee": "${manager}"})
    + gateway("x", "Amount > 1000?")
    + task("c", "CFO approval")
    + end("e", "approved")
    + flows("s -> a", "a -> x", "x -> c : yes ? ${amount > 1000}", "x -> e : no ? ${amount <= 1000}", "c -> e")
)


@pytest.mark.parametrize("amount", ["1", "1000", "5000"])
def test_a_rejection_ends_the_request_whatever_the_data_says(amount: str) -> None:
    play = Play(imported(AMOUNT), {"amount": amount}).decide("Manager approval", "reject")
    assert play.outcome == "rejected"


@pytest.mark.parametrize(("amount", "then"), [("1000", []), ("1000.01", ["CFO approval"])])
def test_a_condition_on_data_stays_behind_an_approval(amount: str, then: list[str]) -> None:
    play = Play(imported(AMOUNT), {"amount": amount}).decide("Manager approval")
    assert (play.asked, play.outcome) == (then, None if then else "approved")


@pytest.mark.parametrize(
    ("question", "yes", "no", "approving"),
    [
        ("Approved?", "yes", "no", "yes"),
        ("Rejected?", "yes", "no", "no"),
        ("Request not approved?", "yes", "no", "no"),
        ("", "approved", "declined", "yes"),
        ("Decision?", "Reject", "Accept", "no"),
        ("Antrag genehmigt?", "ja", "nein", "yes"),
    ],
)
def test_a_question_about_an_approval_is_its_result_by_its_polarity(
    question: str, yes: str, no: str, approving: str
) -> None:
    found = imported(
        S
        + task("a")
        + gateway("x", question)
        + end("y", "taken yes")
        + end("n", "taken no")
        + flows("s -> a", "a -> x", f"x -> y : {yes}", f"x -> n : {no}")
    )
    assert told(found)["x"] == "assumed"
    other = "no" if approving == "yes" else "yes"
    assert Play(found).decide("a").outcome == f"taken_{approving}"
    assert Play(found).decide("a", "reject").outcome == f"taken_{other}"


@pytest.mark.parametrize(
    ("question", "yes", "no"),
    [
        ("", "fraud confirmed: yes", "fraud confirmed: no"),
        ("Approved budget exceeded?", "yes", "no"),
        ("Approval needed?", "yes", "no"),
        ("Already approved?", "yes", "no"),
        ("Auto-approved?", "yes", "no"),
        ("Credit card declined?", "yes", "no"),
        ("Urgent?", "yes", "no"),
        ("", "yes", "no"),
        ("Amount > 1000?", "approved", "rejected"),
    ],
)
def test_any_other_question_is_answered_by_whoever_decides_and_never_by_the_verdict(
    question: str, yes: str, no: str
) -> None:
    found = imported(
        S
        + task("a")
        + gateway("x", question)
        + end("y", "stopped")
        + end("n", "made")
        + flows("s -> a", "a -> x", f"x -> y : {yes}", f"x -> n : {no}")
    )
    assert told(found)["x"] == "assumed"
    ((name, _),) = step(found, "a")["form"]["properties"].items()
    assert Play(found).decide("a", form={name: yes}).outcome == "stopped"
    assert Play(found).decide("a", form={name: no}).outcome == "made"
    assert Play(found).decide("a", "reject").outcome == "rejected"


@pytest.mark.parametrize(
    ("approving", "rejecting"),
    [
        ("${approved}", "${!approved}"),
        ("${approved == true}", "${approved == false}"),
        ("${rejected == false}", "${rejected}"),
        ('= decision = "approve"', '= decision != "approve"'),
        ("${outcome == 'accepted'}", "${outcome == 'declined'}"),
        ("return isApproved == true;", "return isApproved == false;"),
        ("KieFunctions.isTrue(approved)", "KieFunctions.isFalse(approved)"),
        ("${execution.getVariable('approved')}", "${not approved}"),
        ("${form_check_outcome == 'Approve'}", "${form_check_outcome == 'Reject'}"),
    ],
)
def test_a_variable_that_the_approver_sets_is_the_verdict(approving: str, rejecting: str) -> None:
    found = imported(
        S
        + task("a")
        + gateway("x", "What now?")
        + ENDS
        + flows("s -> a", "a -> x", f"x -> no ? {rejecting}", f"x -> ok ? {approving}")
    )
    assert found.blueprint["variables"] == []
    assert told(found)["x"] == "assumed"
    assert Play(found).decide("a").outcome == "approved"
    assert Play(found).decide("a", "reject").outcome == "rejected"


def test_a_variable_that_the_requester_fills_in_is_no_verdict() -> None:
    found = imported(
        f'<startEvent id="s">{form("approved:boolean!")}</startEvent>'
        + task("a")
        + gateway("x", "Approved?")
        + ENDS
        + flows("s -> a", "a -> x", "x -> ok : yes ? ${approved}", "x -> no : no ? ${!approved}")
    )
    assert Play(found, {"approved": False}).decide("a").outcome == "rejected"
    assert Play(found, {"approved": True}).decide("a").outcome == "approved"


def test_what_a_verdict_is_mixed_with_is_asked_behind_it() -> None:
    found = imported(
        S
        + task("a")
        + gateway("x")
        + task("c")
        + ENDS
        + flows("s -> a", "a -> x", "x -> c ? ${approved && amount > 1000}", "x -> ok ? ${approved && amount <= 1000}")
        + flows("x -> no ? ${!approved}", "c -> ok")
    )
    assert Play(found, {"amount": "2000"}).decide("a").asked == ["c"]
    assert Play(found, {"amount": "20"}).decide("a").outcome == "approved"
    assert Play(found, {"amount": "2000"}).decide("a", "reject").outcome == "rejected"


def test_verdicts_that_are_read_behind_a_join_are_kept_until_there() -> None:
    found = imported(
        S
        + gateway("g", kind="parallel")
        + task("l", "Legal review")
        + task("f", "Finance review")
        + gateway("j", kind="parallel")
        + gateway("x", "Both?")
        + ENDS
        + flows("s -> g", "g -> l", "g -> f", "l -> j", "f -> j", "j -> x")
        + flows("x -> ok ? ${legalApproved && financeApproved}", "x -> no ? ${!legalApproved || !financeApproved}")
    )
    assert Play(found).decide("Legal review").decide("Finance review").outcome == "approved"
    play = Play(found).decide("Legal review", "reject")
    assert (play.asked, play.outcome) == (["Finance review"], None)
    assert play.decide("Finance review").outcome == "rejected"


def test_a_third_way_is_chosen_by_whoever_approves_and_a_way_back_is_a_request_for_changes() -> None:
    found = imported(
        S
        + task("a")
        + gateway("x", "Decision?")
        + task("c")
        + ENDS
        + flows("s -> a", "a -> x", "x -> ok ? ${decision == 'approve'}", "x -> no ? ${decision == 'reject'}")
        + flows("x -> c ? ${decision == 'escalate'}", "x -> a : rework ? ${decision == 'revise'}", "c -> ok")
    )
    assert step(found, "a")["form"]["properties"]["decision"]["enum"] == ["approve", "escalate"]
    assert Play(found).decide("a", form={"decision": "escalate"}).asked == ["c"]
    assert Play(found).decide("a", form={"decision": "approve"}).outcome == "approved"
    assert Play(found).decide("a", "reject").outcome == "rejected"
    assert said_of(found, "x-a").startswith("assumed: approvers request changes instead")


@pytest.mark.parametrize("back", [False, True])
def test_a_third_label_is_chosen_by_whoever_approves_or_leads_back_by_a_request_for_changes(back: bool) -> None:
    third = "x -> a : Needs changes" if back else "x -> c : Escalate"
    found = imported(
        S
        + task("a")
        + gateway("x", "Decision")
        + task("c")
        + ENDS
        + flows("s -> a", "a -> x", "x -> ok : Approve", "x -> no : Reject", third, "c -> ok")
    )
    assert Play(found).decide("a", "reject").outcome == "rejected"
    if back:
        assert told(found)["x-a"] == "assumed"
        assert Play(found).decide("a").outcome == "approved"
        returned = Play(found)
        returned.decide("a", "request_changes", comment="more")
        assert returned.case.state.status == "pending"
    else:
        ((name, field),) = step(found, "a")["form"]["properties"].items()
        assert field["enum"] == ["Approve", "Escalate"]
        assert Play(found).decide("a", form={name: "Escalate"}).asked == ["c"]
        assert Play(found).decide("a", form={name: "Approve"}).outcome == "approved"


def test_the_first_condition_that_holds_is_taken_and_none_is_an_end_of_its_own() -> None:
    found = imported(
        S
        + gateway("x")
        + task("a")
        + task("b")
        + end("e")
        + flows("s -> x", "x -> a ? ${amount > 1000}", "x -> b ? ${amount > 100}", "a -> e", "b -> e")
    )
    assert Play(found, {"amount": "5000"}).asked == ["a"]
    assert Play(found, {"amount": "500"}).asked == ["b"]
    assert Play(found, {"amount": "5"}).outcome == "undecided"
    assert "undecided" in said_of(found, "x")


@pytest.mark.parametrize(
    ("condition", "given", "holds"),
    [
        ("${amount > limit}", {"amount": "5", "limit": "4"}, True),
        ("${amount * 2 >= limit + 5}", {"amount": "5", "limit": "4"}, True),
        ("= amount in [10..20)", {"amount": "20"}, False),
        ("= amount between 10 and 20", {"amount": "20"}, True),
        ("${order.total > 5}", {"order": {"total": "6"}}, True),
        ("${order.getCustomer().getAge() >= 18}", {"order": {"customer": {"age": "17"}}}, False),
        ('= kind in ("a", "b")', {"kind": "b"}, True),
        ("${'b'.equals(kind)}", {"kind": "a"}, False),
        ('= not(kind = "a") and amount > 3', {"kind": "b", "amount": "4"}, True),
        ('= day > date("2026-01-01")', {"day": "2026-01-02"}, True),
        ("${empty note}", {}, True),
        ("${amount > 5 ? urgent : kind == 'x'}", {"amount": "1", "urgent": False, "kind": "x"}, True),
        ('return amount.compareTo(new BigDecimal("5")) > 0;', {"amount": "5"}, False),
        ("= count(items) > 1", {"items": ["a", "b"]}, True),
    ],
)
def test_conditions_are_taken_over_with_what_they_mean(condition: str, given: dict[str, Any], holds: bool) -> None:
    inside = S + gateway("x", default="x-n") + end("y", "yes") + end("n", "no")
    found = imported(inside + flows("s -> x", f"x -> y ? {condition}", "x -> n"))
    assert Play(found, given).outcome == ("yes" if holds else "no")


def test_a_condition_that_cannot_be_said_is_lost_loudly_and_somebody_chooses() -> None:
    found = imported(
        S
        + gateway("x", "What now?")
        + end("a", "Ship")
        + end("b", "Wait")
        + flows("s -> x", "x -> a : By air ? ${service.fast(x)}", "x -> b : By sea ? y > 1")
    )
    assert said_of(found, "x-a").startswith("lost: its condition ${service.fast(x)} is not taken over")
    assert told(found)["x"] == "assumed"
    (variable,) = found.blueprint["variables"]
    assert "${service.fast(x)}" in variable["description"]
    assert Play(found, {variable["name"]: "By air"}).outcome == "ship"


# Branches


SUB = (
    '<subProcess id="sub"><startEvent id="is"/>{inside}</subProcess>'
    + task("after")
    + end("e", "done")
    + flows("s -> sub", "sub -> after", "after -> e")
)


# Links, loops and events


def test_links_are_followed() -> None:
    link = '<linkEventDefinition name="L"/>'
    found = imported(
        S
        + task("a")
        + f'<intermediateThrowEvent id="lt" name="L">{link}</intermediateThrowEvent>'
        + f'<intermediateCatchEvent id="lc" name="L">{link}</intermediateCatchEvent>'
        + task("b")
        + end("e", "ok")
        + flows("s -> a", "a -> lt", "lc -> b", "b -> e")
    )
    play = Play(found).decide("a")
    assert play.asked == ["b"]
    assert play.decide("b").outcome == "approved"


def test_a_way_back_is_cut_and_said() -> None:
    found = imported(
        S
        + '<serviceTask id="v" name="Validate"/>'
        + gateway("x", "Valid?")
        + end("e", "valid")
        + flows("s -> v", "v -> x", "x -> e ? ${score > 5}", "x -> v ? ${score <= 5}")
    )
    assert said_of(found, "x-v").startswith("lost: a process has no loops without a bound")
    assert Play(found, {"score": "1"}).outcome == "returned"


def test_rework_by_the_requester_is_a_request_for_changes() -> None:
    found = imported(
        '<startEvent id="s" camunda:initiator="me"/>'
        + task("f", "Fill in", form("days:long!"), **{"camunda:assignee": "${me}"})
        + task("a", "Manager", **{"camunda:assignee": "${manager}"})
        + gateway("x", "Approved?")
        + task("adj", "Adjust", **{"flowable:assignee": "$INITIATOR"})
        + gateway("y", "Resend?")
        + end("ok", "granted")
        + end("no", "cancelled")
        + flows("s -> f", "f -> a", "a -> x", "x -> ok : yes ? ${vacationApproved == true}")
        + flows(
            "x -> adj : no ? ${vacationApproved == false}", "adj -> y", "y -> a ? ${resend}", "y -> no ? ${!resend}"
        )
    )
    assert found.blueprint["variables"] == [{"name": "days", "type": "integer", "required": True}]
    assert [one["stage_name"] for one in found.blueprint["process_steps"]] == ["Manager"]
    assert told(found)["f"] == told(found)["adj"] == "assumed"
    assert Play(found, {"days": 2}).decide("Manager").outcome == "approved"
    assert Play(found, {"days": 2}).decide("Manager", "reject").outcome == "cancelled"


def test_a_timer_on_a_sub_process_ends_what_is_in_it() -> None:
    timer = "<timerEventDefinition><timeDuration>P2D</timeDuration></timerEventDefinition>"
    found = imported(
        S
        + SUB.format(inside=task("a") + end("ie") + flows("is -> a", "a -> ie"))
        + f'<boundaryEvent id="bt" attachedToRef="sub">{timer}</boundaryEvent>'
        + end("late", "too late")
        + flows("bt -> late")
    )
    assert Play(found).decide("a").asked == ["after"]
    assert Play(found).hours(49).outcome == "too_late"


def test_of_several_events_the_first_decides_the_way() -> None:
    def caught(ident: str, name: str, definition: str) -> str:
        return f'<intermediateCatchEvent id="{ident}" name="{name}">{definition}</intermediateCatchEvent>'

    timer = "<timerEventDefinition><timeDuration>P1D</timeDuration></timerEventDefinition>"
    two = caught("m", "signed", "<messageEventDefinition/>") + caught("t", "", timer)
    ends = end("a", "approved") + end("b", "expired") + end("c", "stopped")
    drawn = flows("s -> g", "g -> m", "g -> t", "m -> a", "t -> b")
    for more in ("", caught("q", "stopped", "<signalEventDefinition/>") + flows("g -> q", "q -> c")):
        found = imported(S + gateway("g", "What?", kind="eventBased") + two + ends + drawn + more)
        assert Play(found).happens("signed").outcome == "approved"
        assert Play(found).hours(25).outcome == "expired"
    assert Play(found).happens("stopped").outcome == "stopped"


def test_an_error_end_leaves_its_sub_process_by_what_catches_it() -> None:
    found = imported(
        S
        + SUB.format(
            inside=task("a")
            + gateway("x")
            + end("ie")
            + '<endEvent id="er" name="bad"><errorEventDefinition errorRef="E"/></endEvent>'
            + flows("is -> a", "a -> x", "x -> ie ? ${n > 5}", "x -> er ? ${n <= 5}")
        )
        + '<boundaryEvent id="be" attachedToRef="sub"><errorEventDefinition errorRef="E"/></boundaryEvent>'
        + end("faulty", "faulty")
        + flows("be -> faulty")
    )
    assert Play(found, {"n": "9"}).decide("a").asked == ["after"]
    assert Play(found, {"n": "1"}).decide("a").outcome == "faulty"


def test_waits_for_moments_are_taken_over() -> None:
    def waiting(ident: str, moment: str) -> str:
        timer = f"<timerEventDefinition><timeDate>{moment}</timeDate></timerEventDefinition>"
        return f'<intermediateCatchEvent id="{ident}">{timer}</intermediateCatchEvent>'

    found = imported(
        S
        + waiting("t", "2026-03-03T09:00:00Z")
        + waiting("u", "${startsAt}")
        + end("e", "done")
        + flows("s -> t", "t -> u", "u -> e")
    )
    play = Play(found, {"startsAt": "2026-03-05T09:00:00Z"}).hours(71)
    assert play.outcome is None
    assert play.hours(73).outcome == "done"


def test_an_end_without_a_name_is_named_after_the_verdict_that_leads_there() -> None:
    found = imported(
        S
        + task("a")
        + gateway("x", "Approved?")
        + end("y")
        + end("n")
        + flows("s -> a", "a -> x", "x -> y : yes", "x -> n : no")
    )
    assert Play(found).decide("a").outcome == "approved"
    assert Play(found).decide("a", "reject").outcome == "rejected"
    assert told(found)["n"] == "assumed"


def test_a_condition_is_at_the_edge_of_the_blueprint_as_the_file_has_it() -> None:
    assert {("x", "c", "amount > 1000"), ("x", "e", "amount <= 1000")} <= edges(imported(AMOUNT))
