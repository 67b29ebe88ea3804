"""Asking, answering, reminding, watching and mentioning in a real browser: on a phone, by keyboard, without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import Visitors, started
from tests.contract import Placet, open_tasks


@pytest.mark.parametrize(("width", "scripts"), [(360, True), (1400, False)])
def test_a_question_is_asked_and_answered_and_the_request_watched(
    placet: Placet, visit: Visitors, width: int, scripts: bool
) -> None:
    request = started(placet, f"A trip, {width} wide")
    task = open_tasks(request)["max"]
    max_, rita = visit("max", width=width, scripts=scripts), visit("rita", width=width, scripts=scripts)
    page = max_.go(f"/tasks/{task}")
    page.locator("#question-text").fill("Which hotel, @zoe?")
    page.locator("#question-text").press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#questions")).to_contain_text("Not answered yet")
    expect(page.get_by_role("alert")).to_contain_text("Zoe was not told, and may not see this request.")
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("button", name="Watching")).to_have_attribute("aria-pressed", "true")
    page.goto(f"{max_.base}/?tab=watching")
    expect(page.locator(".rows")).to_contain_text(f"A trip, {width} wide")
    findings = max_.findings("watching") if scripts else []

    asked = rita.go("/")
    asked.get_by_role("link", name="waits for your answer").or_(
        asked.get_by_role("link", name="wait for your answer")
    ).first.click()
    asked.get_by_role("link", name=f"A trip, {width} wide", exact=True).click()
    findings += rita.findings("the question") if scripts else []
    asked.get_by_role("button", name="Remind them").click()
    expect(asked.get_by_role("button", name="Remind them")).to_be_disabled()
    asked.locator("#answer-1").fill("The one at the fair.")
    asked.locator("#answer-1").press("Tab")
    asked.keyboard.press("Enter")
    expect(asked.locator("#questions")).to_contain_text("The one at the fair.")
    page.goto(f"{max_.base}/tasks/{task}")
    expect(page.locator("#questions")).to_contain_text("The one at the fair.")
    findings += max_.findings("the answer") if scripts else []
    assert findings == []
    kinds = [entry["kind"] for entry in placet.timeline(request)]
    assert [kind for kind in kinds if kind in {"question_asked", "reminded", "question_answered"}] == [
        "question_asked",
        "reminded",
        "question_answered",
    ]
