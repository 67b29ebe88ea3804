"""Reasons: the words that codes stand for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from placet.audit.reasons import (
    WORDS,
    Reason,
    because,
    detail_in_words,
    personal_words,
    read_reason,
    readable_detail,
    why_of,
    words,
)
from placet.audit.sealed import Sealed
from tests.unit.core import case

DATA = Path(__file__).parents[1] / "data"
FAILED = because("no_edge", node="pay", result="failed", cause=because("reported", error=Sealed("the bank is shut")))


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (because("stage_settled", result="approved"), "the stage is approved"),
        (FAILED, "no edge leaves pay on failed: the bank is shut"),
        (
            because("nobody_may_take", cause=because("left", person="user:mo")),
            "user:mo has left and nobody may take the task",
        ),
        (because("chain_ended", then=because("reminders_go_on")), "the escalation chain has ended; reminders go on"),
        (because("nobody_eligible", names=["role:a", "role:b"]), "nobody eligible among role:a, role:b"),
        (because("reported", error="x" * 600), "x" * 500),
        (
            because("variable_absent", line=1, column=3, variable="a"),
            "line 1, column 3: 'a' has no value; give one, or test a != null first",
        ),
        (Reason("from_a_later_version", {"node": "a"}), "from a later version, node a"),
        (Reason("stage_settled", {}), "the stage is ?"),
        (Reason("reported", {"error": {"sealed": "0" * 64}}), "(erased)"),
    ],
)
def test_a_reason_has_words(reason: Reason, text: str) -> None:
    assert words(reason) == text


def test_a_code_without_words_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        because("no_such_code")


def test_an_entry_holds_the_code_and_its_reader_sees_words_and_code() -> None:
    request = case({"approvers": ["user:mo", "user:dh"]})
    request.decide("mo")
    [closed] = request.of_kind("task_closed")
    assert closed.detail["why"] == {"code": "stage_settled", "result": "approved"}
    detail = {"why": {"code": "left", "person": "user:mo"}, "before": "open"}
    assert read_reason(detail["why"]) == because("left", person="user:mo")
    assert detail_in_words(detail) == {"why": "user:mo has left", "before": "open"}
    assert readable_detail(detail) == detail_in_words(detail) | {"code": "left", "parameters": {"person": "user:mo"}}
    assert why_of(detail) == "user:mo has left"
    assert personal_words(detail) is None


def test_a_persons_own_words_have_no_code() -> None:
    assert readable_detail({"why": "too dear"}) == {"why": "too dear"}
    assert personal_words({"why": "too dear"}) == why_of({"why": "too dear"}) == "too dear"
    assert readable_detail({"why": {"sealed": "0" * 64}}) == {"why": None, "erased": ["/why"]}
    assert why_of({}) is None


def test_every_sentence_can_be_made_without_its_parameters() -> None:
    for code in WORDS:
        assert words(Reason(code, {}))


def test_sentences_that_old_chains_hold_stay_as_they_are() -> None:
    frozen: dict[str, str] = json.loads((DATA / "words_in_old_chains.json").read_text())
    assert {code: WORDS[code] for code in frozen} == frozen
