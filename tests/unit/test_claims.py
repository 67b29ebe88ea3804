"""Claims in the core: an approval is for exactly one action, counts once, and ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.audit.chain import first_bad, genesis
from placet.engine import machine
from placet.engine.bound_action import BoundAction
from placet.engine.claims import MOST_CLAIMS_REFUSED
from placet.engine.events import SYSTEM, Actor, ClaimAction, Resubmit, Withdraw
from placet.errors import ClaimRefused, Ended, InputInvalid, NotPermitted
from tests.unit.core import HOUR, REFUSALS, START, Case, case, graph, spec

MO, CFO = {"approvers": ["user:mo"]}, {"approvers": ["role:cfo"]}
RITA = Actor(person="rita")
EXPIRES = START + 48 * HOUR


def action(amount: Any = 82000, *, expires_at: Any = EXPIRES) -> BoundAction:
    return BoundAction(type="payment", target="acct-1", parameters={"amount": amount}, expires_at=expires_at)


def asked(*steps: dict[str, Any], **more: Any) -> Case:
    return case(*(steps or (MO,)), action=more.pop("action", action()), twice=True, **more)


def approved(**more: Any) -> Case:
    request = asked(**more)
    request.decide("mo")
    assert request.state.outcome == "approved"
    return request


def claim(request: Case, what: BoundAction | None = None, *, by: str = "rita", key: str | None = None) -> list[str]:
    entries = request.do(ClaimAction(by=Actor(person=by), digest=(what or action()).digest, key=key))
    return [entry.kind for entry in entries]


def refused(request: Case, what: BoundAction | None = None, *, by: str = "rita") -> str:
    with pytest.raises(ClaimRefused) as error:
        claim(request, what, by=by)
    return error.value.failure


def test_an_approved_action_is_claimed_once_and_the_claim_is_on_record() -> None:
    request = approved()
    assert (request.state.status, request.state.runs, request.state.claimable) == ("completed", True, True)
    assert claim(request, key="k") == ["claimed"]
    entry = request.entries[-1]
    assert (entry.actor, entry.task_id, entry.detail["action_digest"]) == ("user:rita", None, action().digest)
    assert "/action_digest" in entry.salts, "the digest of guessable content is sealed"
    found = request.state.claim
    assert found is not None
    assert (found.status, found.by, found.at, found.key) == ("claimed", "rita", request.now, "k")
    assert (request.state.runs, refused(request)) == (False, "already_claimed")


def test_the_same_key_claims_again_without_a_second_entry() -> None:
    request = approved()
    assert claim(request, key="k") == ["claimed"]
    assert claim(request, key="k") == []


@pytest.mark.parametrize("decision", [None, "reject", "request_changes"])
def test_what_is_not_approved_cannot_be_claimed(decision: str | None) -> None:
    request = asked()
    if decision is not None:
        request.decide("mo", decision)
    assert refused(request) == "not_approved"


def test_a_withdrawn_request_cannot_be_claimed() -> None:
    request = asked()
    request.do(Withdraw(by=RITA))
    assert refused(request) == "not_approved"


def test_another_outcome_of_the_process_approves_no_action() -> None:
    drawn = graph("start -> a", "a -> granted on approved", "a -> rejected on rejected",
                  nodes={"a": {"step": "Stage 1"}}, ends=("granted", "rejected"))  # fmt: skip
    request = asked(MO, graph_spec=drawn)
    request.decide("mo")
    assert (request.state.outcome, request.state.runs) == ("granted", False)
    assert refused(request) == "not_approved"


def test_a_request_without_an_action_has_none_to_claim_and_ends_as_ever() -> None:
    request = case(MO, twice=True)
    request.decide("mo")
    assert not request.state.runs
    assert refused(request) == "digest_mismatch"


def test_eighty_two_thousand_is_approved_and_eight_hundred_and_twenty_thousand_is_refused_on_record() -> None:
    request = approved()
    assert claim(request, action(820_000)) == ["claim_refused"]
    entry = request.entries[-1]
    assert (entry.actor, entry.detail["failure"]) == ("user:rita", "digest_mismatch")
    assert claim(request) == ["claimed"], "the approved action can still be claimed"
    assert refused(request, action(820_000)) == "digest_mismatch"


def test_refused_claims_fill_the_chain_no_further_than_a_bound() -> None:
    request = approved()
    for number in range(MOST_CLAIMS_REFUSED):
        assert claim(request, action(number)) == ["claim_refused"]
    assert refused(request, action(7)) == "digest_mismatch"
    assert request.kinds().count("claim_refused") == MOST_CLAIMS_REFUSED
    assert claim(request) == ["claimed"]


def test_an_approval_that_nobody_claims_expires_at_its_moment_and_not_before() -> None:
    request = approved()
    assert machine.next_due(request.plan, request.state) == EXPIRES
    request.until(EXPIRES - timedelta(microseconds=1))
    assert request.state.claimable
    assert [entry.kind for entry in request.until(EXPIRES)] == ["claim_expired"]
    assert (request.state.runs, request.state.status, request.state.outcome) == (False, "completed", "approved")
    assert refused(request) == "expired"


def test_a_claim_after_its_time_is_refused_also_while_the_timer_is_late() -> None:
    request = approved()
    request.now = EXPIRES
    assert refused(request) == "expired"
    request.now = EXPIRES - timedelta(microseconds=1)
    assert claim(request) == ["claimed"]


def test_an_approval_that_comes_after_the_end_can_never_be_claimed() -> None:
    request = asked()
    request.until(EXPIRES)
    assert request.state.status == "pending", "the request itself waits on"
    request.decide("mo")
    assert refused(request) == "expired"
    assert [entry.kind for entry in request.until(request.now)] == ["claim_expired"]
    assert not request.state.runs


@pytest.mark.parametrize("who", ["mo", "olivia", "ann"])
def test_only_the_requester_claims(who: str) -> None:
    request = approved()
    with pytest.raises(NotPermitted, match="Only the requester"):
        claim(request, by=who)
    with pytest.raises(NotPermitted):
        request.do(ClaimAction(by=Actor(person=who, admin=True), digest=action().digest))


def test_a_cancellation_in_the_engine_ends_what_waits_to_be_claimed() -> None:
    request = approved()
    with pytest.raises(Ended):
        request.do(Withdraw(by=RITA))
    request.do(Withdraw(by=Actor(person=SYSTEM, admin=True), how="cancelled"))
    assert request.entries[-1].kind == "claim_expired"
    assert (request.state.status, request.state.runs) == ("completed", False)
    assert refused(request) == "expired"


@pytest.mark.parametrize("on_change", ["restart", "stage"])
def test_another_action_is_a_new_revision_that_voids_approvals_whatever_the_process_says(on_change: str) -> None:
    request = asked(MO, CFO, settings={"on_change": on_change})
    before = request.state.content_digest
    request.decide("mo")
    request.decide("cfo", "request_changes")
    request.do(Resubmit(by=RITA, action=action(820_000)))
    assert request.asked == ["mo"], "it goes again from the first node"
    assert (request.state.revision, request.task.revision) == (2, 2)
    assert request.state.content_digest != before
    entry = request.of_kind("resubmitted")[0]
    assert entry.detail["action_digest"] == action(820_000).digest
    assert [change["field"] for change in entry.detail["changes"]] == ["action"]
    request.decide("mo")
    request.decide("cfo")
    assert claim(request, action()) == ["claim_refused"], "what was approved first is void"
    assert claim(request, action(820_000)) == ["claimed"]


def test_the_same_action_again_keeps_the_approvals() -> None:
    request = asked(MO, CFO)
    request.decide("mo")
    request.decide("cfo", "request_changes")
    request.do(Resubmit(by=RITA, action=action(82000)))
    assert (request.asked, request.state.revision) == (["cfo"], 1)


def test_what_has_run_is_not_run_again_for_another_action_where_a_change_restarts_nothing_else() -> None:
    drawn = graph("start -> look", "look -> a on done", "a -> approved on approved", "a -> rejected on rejected",
                  nodes={"look": {"type": "action", "action": "look"}, "a": {"step": "Stage 1"}})  # fmt: skip
    request = asked(MO, graph_spec=drawn, settings={"on_change": "stage"})
    assert spec("look").is_idempotent
    request.done("look")
    request.decide("mo", "request_changes")
    request.do(Resubmit(by=RITA, action=action(1)))
    assert (request.state.actions, request.kinds().count("action_kept"), request.asked) == ((), 1, ["mo"])


def test_an_action_that_has_expired_or_was_never_there_is_not_asked_for_anew() -> None:
    request = asked()
    request.decide("mo", "request_changes")
    with pytest.raises(InputInvalid, match="/action/expires_at"):
        request.do(Resubmit(by=RITA, action=action(expires_at=request.now)))
    plain = case(MO)
    plain.decide("mo", "request_changes")
    with pytest.raises(InputInvalid, match="/action"):
        plain.do(Resubmit(by=RITA, action=action()))


def test_an_action_that_is_no_action_begins_no_request() -> None:
    wrong = BoundAction(type="pay", target="acct-1", parameters={"n": 2**60}, expires_at=EXPIRES)
    with pytest.raises(InputInvalid, match="/action/parameters/n"):
        case(MO, action=wrong)


MOMENTS = st.sampled_from([0, 1, 5, 47, 48, 49, 100])
WHAT = st.sampled_from([82000, 820_000])
EVENTS = st.one_of(
    st.tuples(st.just("claim"), WHAT, st.sampled_from(["rita", "rita", "mo"]), st.sampled_from([None, "k", "l"])),
    st.tuples(st.just("decide"), st.sampled_from(["approve", "reject", "request_changes"])),
    st.tuples(st.just("resubmit"), st.none() | WHAT),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("cancel_in_engine")),
    st.tuples(st.just("wait"), MOMENTS),
    st.tuples(st.just("jump"), MOMENTS),
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=12))
def test_under_any_order_of_events_an_action_is_claimed_at_most_once_as_it_was_approved_and_in_time(
    events: list[tuple[Any, ...]],
) -> None:
    request = asked()
    for what, *given_ in events:
        try:
            match what:
                case "claim":
                    amount, who, key = given_
                    claim(request, action(amount), by=who, key=key)
                case "decide":
                    request.decide("mo", given_[0])
                case "resubmit":
                    request.do(Resubmit(by=RITA, action=None if given_[0] is None else action(given_[0])))
                case "withdraw":
                    request.do(Withdraw(by=RITA))
                case "cancel_in_engine":
                    request.do(Withdraw(by=Actor(person=SYSTEM, admin=True), how="cancelled"))
                case "wait":
                    request.until(max(request.now, START + given_[0] * HOUR))
                case _:
                    request.jump(START + given_[0] * HOUR)
        except REFUSALS:
            continue
    claimed = [entry for entry in request.entries if entry.kind == "claimed" and entry.task_id is None]
    over = request.of_kind("claim_expired")
    assert len(claimed) + len(over) <= 1
    assert first_bad(genesis(request.request_id), request.entries) is None
    if claimed:
        note("claimed")
        (entry,) = claimed
        assert entry.at < EXPIRES
        assert request.state.outcome == "approved"
        last = [e for e in request.entries if "action_digest" in e.detail and e.kind in {"started", "resubmitted"}][-1]
        approval = request.of_kind("decided")[-1]
        assert approval.detail["decision"] == "approve"
        assert last.seq < approval.seq < entry.seq, "what was claimed is what the last approval was for"
        assert entry.detail["action_digest"] == last.detail["action_digest"]
    if over:
        note("expired")
    assert request.state.runs == (request.state.status == "pending" or (request.state.claimable and not claimed))
