"""Asking, answering, reminding, watching and mentioning in a real browser: on a phone, by keyboard, without scripts."""

from __future__ import annotations

from typing import Any

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
    expect(asked.locator("#answer-1")).to_be_visible()
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


@pytest.mark.parametrize(
    ("width", "more", "many", "unseen"),
    [
        (360, {}, "2 people; the arrow keys choose, Enter takes one.", "may not see this request"),
        (
            1400,
            {"locale": "de-DE", "color_scheme": "dark"},
            "2 Personen; die Pfeiltasten wählen, die Eingabetaste übernimmt eine.",
            "darf diesen Antrag nicht sehen",
        ),
    ],
)
def test_people_are_proposed_after_an_at_sign(
    placet: Placet, visit: Visitors, width: int, more: dict[str, Any], many: str, unseen: str
) -> None:
    for ident, name in (("xandra", "Xandra Xu"), ("xaver", "Xaver")):
        placet.send("ada", "PUT", f"workflow/people/{ident}/", {"id": ident, "name": name})
    request = started(placet, f"A mention, {width} wide")
    max_ = visit("max", width=width, **more)
    page = max_.go(f"/requests/{request['id']}")
    field, options = page.locator("#comment-text"), page.get_by_role("option")
    field.focus()
    page.keyboard.type("Ask @r")
    expect(options).to_have_count(0)
    page.keyboard.type("i")
    expect(options).to_have_text(["Rita @rita"])
    expect(field).to_have_role("combobox")
    expect(field).to_have_attribute("aria-activedescendant", str(options.first.get_attribute("id")))
    page.keyboard.press("Enter")
    expect(field).to_have_value("Ask @rita ")
    expect(field).to_have_role("textbox")

    page.keyboard.type("or @an")  # Ann does not see the request
    expect(options).to_have_count(1)
    expect(options.first).to_contain_text(unseen)
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    page.keyboard.type("n ")
    page.keyboard.type("or @xa")
    expect(options).to_have_count(2)
    expect(page.locator("#conversation [role=status]")).to_have_text(many)
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    findings = max_.findings(f"people are proposed {width}")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    expect(options).to_have_count(0)
    page.keyboard.type("ad")
    expect(options).to_have_text(["Ada @ada"])
    options.first.click()
    expect(field).to_have_value("Ask @rita or @ann or @ada ")
    expect(field).to_be_focused()
    page.keyboard.type("@ol")
    expect(options).to_have_count(1)
    page.keyboard.press("Tab")
    expect(field).to_have_value("Ask @rita or @ann or @ada @olivia ")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#conversation")).to_contain_text("Ask @Rita or @ann or @Ada @Olivia")
    assert findings == []
