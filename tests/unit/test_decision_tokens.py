"""What is signed for the engine's signals: decision tokens, and the endings of sub-processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activities.decision_tokens import MAX_AGE, DecisionTokens
from activities.messages import SubprocessResult, SubprocessResultCheck, TokenCheck
from activities.subprocesses import SubprocessResultSigner
from placet.audit.reasons import WORDS
from tests.clocks import machine_time

SECRET = "a secret for the tests alone"
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ENDING = SubprocessResult(
    parent="r", node="sub", visit=1, child="r~1", outcome="approved", output={"sum": "1", "n": 1.5}
)

check = partial(TokenCheck, task_id="r.1", decision="approve", at=AT)


def test_a_token_says_who_decides_what_in_whose_hands_and_which_revision() -> None:
    tokens = DecisionTokens(SECRET, machine_time)
    told = tokens.verdict(check(token=tokens.issue("bob", "r.1", 2, hand_overs=3, revision=4, decision="approve")))
    assert (told.code, told.person, told.round, told.hand_overs, told.revision) == (None, "bob", 2, 3, 4)


@pytest.mark.parametrize(
    ("task", "more", "code"),
    [
        ("r.2", {}, "token_of_another_task"),
        ("r.1", {"decision": "reject"}, "token_of_another_decision"),
    ],
)
def test_a_token_for_something_else_is_refused_by_a_code(task: str, more: dict[str, Any], code: str) -> None:
    tokens = DecisionTokens(SECRET, machine_time)
    assert tokens.verdict(check(token=tokens.issue("bob", task, 1, **more))).code == code


def test_a_token_of_an_earlier_version_is_told_from_a_forged_one() -> None:
    tokens = DecisionTokens(SECRET, machine_time)
    assert tokens.verdict(check(token=tokens._signatures.sign(["bob", "r.1", 1, None]))).code == "token_outdated"
    for forged in (
        "x",
        "",
        "a.b.c",
        "\0",
        DecisionTokens("another secret, not ours", machine_time).issue("bob", "r.1", 1),
    ):
        assert tokens.verdict(check(token=forged)).code == "token_not_signed_here"


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (MAX_AGE - timedelta(hours=1), None),
        (MAX_AGE + timedelta(seconds=1), "token_expired"),
        (timedelta(milliseconds=-2), None),  # another process, which is behind by that, at the turn of a second
    ],
)
def test_a_token_is_as_old_as_the_clock_says_that_both_processes_share(later: timedelta, code: str | None) -> None:
    token = DecisionTokens(SECRET, lambda: AT).issue("bob", "r.1", 1)
    assert DecisionTokens(SECRET, lambda: AT + later).verdict(check(token=token)).code == code


async def verdict(ending: SubprocessResult, signature: str) -> str | None:
    found = await SubprocessResultSigner(SECRET).verify(
        SubprocessResultCheck(ending=ending, signature=signature, at=AT)
    )
    assert found.at == AT
    assert found.code is None or found.code in WORDS
    return found.code


async def test_an_ending_holds_for_what_it_was_signed_for_and_nothing_else() -> None:
    signature = await SubprocessResultSigner(SECRET).sign(ENDING)
    assert await verdict(ENDING, signature) is None
    others: list[dict[str, Any]] = [
        {"parent": "s"},
        {"node": "other"},
        {"visit": 2},
        {"child": "r~2"},
        {"outcome": "rejected"},
        {"output": {"sum": "2", "n": 1.5}},
    ]
    assert {field for other in others for field in other} == set(SubprocessResult.__slots__)
    for other in others:
        assert await verdict(replace(ENDING, **other), signature) == "ending_forged"
    assert await verdict(ENDING, "") == "ending_unsigned"
    assert (
        await verdict(ENDING, await SubprocessResultSigner("another secret, not ours").sign(ENDING)) == "ending_forged"
    )


@pytest.mark.parametrize("outcome", ["", "Approved", "a b", "no\0", "x" * 61, "approved\n"])
async def test_an_outcome_is_held_to_its_shape_whoever_signed_it(outcome: str) -> None:
    odd = replace(ENDING, outcome=outcome)
    assert await verdict(odd, await SubprocessResultSigner(SECRET).sign(odd)) == "ending_shape"
