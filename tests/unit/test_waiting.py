"""What requests wait for: findings and reasons have words, and what comes next is what the timer is set for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.audit.reasons import WORDS as REASONS
from placet.audit.reasons import because
from placet.engine.machine import next_due
from placet.engine.timers import upcoming
from service.waiting import words
from service.waiting.findings import Finding
from service.waiting.waits import NextAct
from tests.unit.core import case
from web.languages import Wording
from web.views.people import Names
from web.waiting import wording as pages

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
_PLACE = re.compile(r"\{(\w+)\}")


def codes_in(file: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / file).read_text()))


def wording(language: str = "en") -> Wording:
    return Wording(language=language, zone=ZoneInfo("Europe/Berlin"), now=AT)


def test_every_finding_has_words_of_the_api_and_of_the_pages() -> None:
    found = codes_in("service/waiting/findings.py", r'code="(\w+)"|_about\(\s*task,\s*"(\w+)"')
    emitted = {code for pair in found for code in pair if code}
    emitted |= {"engine_away", "worker_away", "request_gone", "no_answer", "message_retried", "message_undelivered"}
    assert words.WORDS.keys() == emitted
    assert pages.FINDINGS.keys() == emitted


@pytest.mark.parametrize("code", sorted(words.WORDS))
def test_words_of_a_finding_say_only_what_it_has(code: str) -> None:
    known = {"people", "at", "until", "since", "count", "queue", "channel", "action", "failures", "event", "title"}
    for text in (*words.WORDS[code], *pages.FINDINGS[code]):
        assert set(_PLACE.findall(text)) <= known | {"request_id"}, text


def test_every_reason_of_a_choice_is_said_on_pages() -> None:
    made: set[str] = set()
    for file in ("placet/audit/asking.py", "placet/tasks/choice.py", "placet/tasks/eligibility.py"):
        made |= codes_in(file, r'because\(\s*"(\w+)"')
    made |= codes_in("placet/tasks/substitution.py", r'because\(\s*"(\w+)"')
    made |= {"task_escalated", "task_given_away", "condition_not_met", "condition_failed", "more_loaded"}
    made |= {"nearer_chosen", "had_task"}
    assert pages.REASONS.keys() == made - {"stage_names_nobody"}  # which is no person's
    assert made <= REASONS.keys()


def test_page_says_reasons_with_names_in_the_readers_language() -> None:
    names = Names({"max": "Max Muster", "eve": "Eve"})
    cause = because("has_seat")
    unfit = because("substitute_unfit", substitute="user:max", cause=cause)
    assert pages.reason(unfit, names, wording()) == (
        "Was away when people were chosen, and Max Muster, who would stand in, could not: "
        "Fills another seat of this stage, and one person fills at most one."
    )
    asked = because("asked_by_name", name="manager_of(user:eve)")
    assert pages.reason(asked, names, wording()) == "The process asks the manager of Eve here."
    assert pages.reason(asked, names, wording("de")) == "Der Prozess fragt hier die Führungskraft von Eve."
    assert pages.people_in(asked) == {"eve"}
    assert pages.considered_as(because("away", name="user:eve"), names, wording()) == (
        "Considered because the process asks Eve."
    )


def test_page_says_findings_and_acts_with_times_in_the_readers_zone() -> None:
    finding = Finding(code="away_without_substitute", level="stuck", people=("max",), parameters={"until": AT})
    said, advice = pages.finding(finding, Names({"max": "Max"}), wording())
    assert said == "Max is away until 2 Mar 2026, 10:00, and nobody stands in."
    assert advice.startswith("Name a substitute")
    act = NextAct(at=AT, does="escalation", node="n", stage="First", task_id="t", to="role:cfo")
    assert pages.act(act, Names({}), wording()) == ("First escalates: the process then asks everyone with the role cfo")


def test_api_says_when_something_is_tried_next() -> None:
    parameters: dict[str, Any] = {"action": "pay", "failures": 2, "next_at": AT}
    finding = Finding(code="action_retried", level="note", parameters=parameters)
    assert words.says(finding) == (
        "The action pay has failed 2 times and is tried again. The next attempt is at 2026-03-02T09:00:00.000000Z."
    )
    parameters["next_at"] = None
    assert "next attempt" not in words.says(Finding(code="action_retried", level="note", parameters=parameters))


@pytest.mark.parametrize("jitter", [0, 600])
@pytest.mark.parametrize("levels", [{"escalation_to": "cfo"}, {"escalation": [{"after_hours": 2, "to": "cfo"}]}, {}])
def test_the_first_escalation_is_known_before_the_breach(jitter: int, levels: dict[str, Any]) -> None:
    request = case({"approvers": ["user:mo"], "sla_hours": 4, **levels}, settings={"jitter_seconds": jitter})

    [said] = [one.at for one in upcoming(request.plan, request.state) if one.does == "escalation"]
    entries = request.until(said + timedelta(hours=1))
    assert [one.at for one in entries if one.kind in {"escalated", "escalation_ended"}] == [said]


@pytest.mark.parametrize("jitter", [0, 600])
def test_what_comes_next_is_what_the_timer_is_set_for(jitter: int) -> None:
    step = {
        "approvers": ["user:mo"],
        "sla_hours": 4,
        "escalation_to": "cfo",
        "reminders": {"every_hours": 3},
    }
    request = case(step, {"approvers": ["user:dh"]}, settings={"jitter_seconds": jitter})
    for _ in range(6):
        found = upcoming(request.plan, request.state)
        due = next_due(request.plan, request.state)
        assert "escalation" in {one.does for one in found}, "also before the breach"
        assert [one.at for one in found[:1]] == [due]
        assert found == sorted(found, key=lambda one: one.at)
        assert due is not None
        request.until(due + timedelta(seconds=1))
    request.decide(str(request.asked[0]), "request_changes", comment="Which?")
    assert upcoming(request.plan, request.state) == []
