"""What a request waits for in a real browser: on a phone by keyboard, without scripts, in the dark and in German."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser import Visitors, started
from tests.contract import Placet

ALWAYS = {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
TITLE = "A standing desk for somebody whose title of a request has to be broken on a phone more than once"
STAGE: dict[str, Any] = {"stage_name": "Approval by the team", "sla_hours": 8, "reminders": {"every_hours": 2}}


def test_a_request_says_by_keyboard_on_a_phone_what_it_waits_for_and_why(placet: Placet, visit: Visitors) -> None:
    request = started(placet, TITLE, {**STAGE, "approvers": ["user:zoe", "user:max", "user:rita"]})
    rita = visit("rita", width=360)
    page = rita.go(f"/requests/{request['id']}")
    panel = page.locator("#waiting")
    expect(panel.get_by_role("heading", level=2)).to_have_text("What it waits for")
    expect(panel).to_contain_text("Max")
    expect(panel).to_contain_text("people are reminded")
    panel.get_by_text("Why not me?").focus()
    page.keyboard.press("Enter")
    expect(panel.locator(".whys")).to_contain_text("Nobody decides their own request.")
    expect(panel.get_by_role("button", name="Show why")).to_have_count(0)
    findings = rita.findings("what a request waits for")

    olivia = visit("olivia", width=360)
    page = olivia.go(f"/requests/{request['id']}")
    page.get_by_label("Why is somebody asked, or not?").fill("zoe")
    page.keyboard.press("Enter")
    answer = page.locator("#answer")
    expect(answer).to_contain_text("Is not asked")
    expect(answer).to_contain_text("Was away when people were chosen, and had no substitute.")
    expect(answer).to_contain_text("Considered because the process asks")
    findings += olivia.findings("why somebody is not asked")
    page.get_by_label("Why is somebody asked, or not?").fill("nobody-at-all")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Name a person by their id")
    findings += olivia.findings("why nobody is asked")

    maxim = visit("max", width=360)
    page = maxim.go(f"/tasks/{open_task(request)}")
    expect(page.locator(".why")).to_contain_text("The process asks")
    page.get_by_role("link", name="What the request waits for").press("Enter")
    page.get_by_text("Why me?").press("Enter")
    expect(page.locator(".whys")).to_contain_text("Is asked")
    findings += maxim.findings("why me")
    assert findings == []
    assert rita.complaints + olivia.complaints + maxim.complaints == []


def test_why_somebody_is_asked_can_be_asked_without_scripts(placet: Placet, visit: Visitors) -> None:
    request = started(placet, TITLE, {**STAGE, "approvers": ["user:zoe", "user:max"]})
    page = visit("olivia", width=360, scripts=False).go(f"/requests/{request['id']}")
    page.get_by_label("Why is somebody asked, or not?").fill("max")
    page.get_by_role("button", name="Show why").click()
    expect(page.locator("#answer")).to_contain_text("Is asked")


def test_a_stuck_request_says_so_in_the_dark_and_in_german(placet: Placet, visit: Visitors) -> None:
    nina = {"id": "nina", "name": "Nina Absent", "email": "nina@example.com", "access": ["approver"], "away": None}
    placet.post("ada", "people/", nina, expect=201)
    request = started(placet, TITLE, {**STAGE, "approvers": ["user:nina"]})
    placet.put("ada", "people/nina/", nina | {"away": ALWAYS})
    visitor = visit("rita", color_scheme="dark", locale="de-DE")
    page = visitor.go(f"/requests/{request['id']}")
    panel = page.locator("#waiting")
    expect(panel.locator(".alert.bad")).to_contain_text("Steckt fest:")
    expect(panel.locator(".alert.bad")).to_contain_text("hat keine Vertretung")
    expect(panel.get_by_text("Warum nicht ich?")).to_be_visible()
    found = visitor.findings("a stuck request in the dark")
    visitor.page.set_viewport_size({"width": 360, "height": 900})
    assert found + visitor.findings("a stuck request in the dark on a phone") == []
    assert visitor.complaints == []


def open_task(request: dict[str, Any]) -> str:
    return str(next(task["id"] for task in request["tasks"] if task["status"] == "open"))
