"""Signed decisions in the core: a stage with `sign` takes no decision without a reason and a fresh proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from placet.audit.sealed import erased
from placet.definition.diff import classify
from placet.definition.model import parse_definition
from placet.engine.events import Actor, Decide, Proof, Undo
from placet.engine.state import Signature
from placet.errors import BlueprintInvalid, InputInvalid, NotPermitted, ReauthenticationRequired, reason_of
from simulation.world.signatures import signed
from tests.unit.core import START, Case, blueprint, case, plan_of

SIGN: dict[str, Any] = {"sign": {"reauthenticate": True, "reasons": ["I reviewed the invoice", "I checked the budget"]}}
REASON = "I checked the budget"
PROOF = Proof(name="Mo Miller", method="passkey", at=START - timedelta(seconds=20))


def test_a_signed_decision_says_who_signed_and_what_it_means() -> None:
    request = case(SIGN)
    task = request.task
    entries = request.decide("mo", reason=REASON, proof=PROOF)
    stored = {
        "name": "Mo Miller",
        "reason": REASON,
        "method": "passkey",
        "authenticated_at": "2026-03-02T08:59:40.000000Z",
    }
    assert entries[0].detail["signature"] == stored
    assert "/signature" in (entries[0].salts or {}), "the chain commits to it, and it can be erased"
    found = request.state.task(task.id)
    assert found is not None
    assert found.signature == Signature(name="Mo Miller", reason=REASON, method="passkey", authenticated_at=PROOF.at)
    ended = [one for one in request.notifications if one.event == "completed"]
    assert {(one.detail["signed_by"], one.detail["signed_reason"]) for one in ended} == {("Mo Miller", REASON)}


@pytest.mark.parametrize("decision", ["approve", "reject", "request_changes", "abstain"])
def test_no_decision_of_the_stage_goes_without_a_proof(decision: Any) -> None:
    request = case(SIGN)
    before = request.state
    for reason in (None, REASON):
        with pytest.raises(ReauthenticationRequired, match="is signed") as refused:
            request.decide("mo", decision, reason=reason)
        assert str(reason_of(refused.value)).startswith("the decision is signed")
    assert request.state == before


@pytest.mark.parametrize("reason", ["", "I reviewed the invoice ", "yes", None])
def test_a_reason_is_one_of_the_stage(reason: str | None) -> None:
    request = case(SIGN)
    for proof in (PROOF, None) if reason is not None else (PROOF,):
        with pytest.raises(InputInvalid, match="I reviewed the invoice; I checked the budget") as refused:
            request.decide("mo", reason=reason, proof=proof)
        assert refused.value.problems[0].pointer == "/reason"
    assert request.kinds()[-1] == "task_opened"


def test_a_stage_without_signatures_takes_no_reason_and_keeps_no_proof() -> None:
    request = case({})
    with pytest.raises(InputInvalid, match="not signed"):
        request.decide("mo", reason=REASON, proof=PROOF)
    entries = request.decide("mo", proof=PROOF)
    assert "signature" not in entries[0].detail
    assert request.state.tasks[0].signature is None


def test_whoever_may_not_decide_is_told_so_before_they_prove_who_they_are() -> None:
    request = case(SIGN)
    with pytest.raises(NotPermitted):
        request.do(Decide(by=Actor(person="ann"), task_id=request.task.id, decision="approve"))


def test_an_undone_decision_is_signed_no_longer() -> None:
    request = case({**SIGN, "undo_seconds": 10})
    request.decide("mo", reason=REASON, proof=PROOF)
    request.do(Undo(by=Actor(person="mo"), task_id=request.state.tasks[0].id))
    assert request.task.signature is None


def test_no_earlier_approval_stands_for_a_signature() -> None:
    carry = {"approvers": ["user:mo"], "separation_of_duties": {"repeat": "carry"}}
    assert two_stages({**carry}).state.status == "completed"
    asked = two_stages({**carry, **SIGN})
    assert asked.asked == ["mo"]
    asked.decide("mo", reason=REASON, proof=PROOF)
    assert asked.state.outcome == "approved"


def two_stages(second: dict[str, Any]) -> Case:
    request = case({"approvers": ["user:mo"]}, second)
    request.decide("mo")
    return request


@pytest.mark.parametrize(
    ("sign", "pointer", "says"),
    [
        ({"reasons": []}, "/sign/reasons", "at least 1"),
        ({}, "/sign/reasons", "required"),
        ({"reasons": ["a", "a"]}, "/sign/reasons", "twice"),
        ({"reasons": ["a", " \u200b"]}, "/sign/reasons", "says nothing"),
        ({"reasons": ["a"], "reauthenticate": False}, "/sign/reauthenticate", "write true, or leave"),
        ({"reasons": ["x" * 201]}, "/sign/reasons/0", "200"),
        ({"reasons": ["a"], "max_age": 5}, "/sign/max_age", ""),
        ("yes", "/sign", ""),
    ],
)
def test_a_fault_in_sign_is_named_with_its_place(sign: Any, pointer: str, says: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        parse_definition(blueprint({"sign": sign}))
    problem = refused.value.problems[0]
    assert problem.pointer == f"/process_steps/0{pointer}"
    assert says in problem.message


def test_a_timeout_cannot_approve_what_has_to_be_signed() -> None:
    late = {"sla_hours": 1, "final": "approve"}
    with pytest.raises(BlueprintInvalid, match="a timeout signs nothing"):
        parse_definition(blueprint({**SIGN, **late}))


def test_another_reason_is_a_change_of_the_blueprint() -> None:
    before, after = (blueprint({"sign": {"reasons": [reason]}}) for reason in ("I looked", "I checked"))
    change = classify(parse_definition(before), parse_definition(after))
    assert change.level == "minor"
    assert any("sign" in reason.message or "sign" in reason.pointer for reason in change.reasons)


def test_a_simulation_signs_with_a_reason_of_the_stage() -> None:
    stage = plan_of(blueprint(SIGN)).stages[0]
    event = Decide(by=Actor(person="mo"), task_id="t", decision="approve")
    assert (signed(event, stage, START).reason, signed(event, None, START).proof) == ("I reviewed the invoice", None)
    kept = signed(Decide(by=Actor(person="mo"), task_id="t", decision="approve", reason=REASON), stage, START)
    assert kept.reason == REASON
    assert not erased(kept.reason)
