"""Adding an approver, and handing over what is open, in a real browser: on a phone, by keyboard and without scripts."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser import Visitors, started
from tests.contract import Placet, open_tasks


def test_an_approver_is_added_by_keyboard_on_a_phone_and_reads_why_they_are_asked(
    placet: Placet, visit: Visitors
) -> None:
    request = started(placet, "An added approver")
    (task,) = open_tasks(request).values()
    visitor = visit("max", width=360)
    page = visitor.go(f"/tasks/{task}")
    page.locator("#add summary").focus()
    page.keyboard.press("Enter")
    assert visitor.findings("adding an approver") == []
    page.keyboard.press("Tab")
    page.keyboard.type("nobody at all")
    page.keyboard.press("Tab")
    page.keyboard.type("Carla signs for it.")
    page.keyboard.press("Enter")
    expect(page.locator("#who-error")).to_contain_text("Name a person by their id")
    expect(page.locator("#added-because")).to_have_value("Carla signs for it.")
    assert visitor.findings("nobody was added") == []
    page.locator("#who").fill("Carla")  # her whole name
    page.locator("#who").press("Enter")
    expect(page.locator("[data-toast]")).to_have_text("Added. Their approval is needed as well.")
    (hers,) = (one["id"] for one in placet.request(request)["tasks"] if one["assignee"] == "user:carla")
    asked = visit("carla", width=360, scripts=False).go(f"/tasks/{hers}")
    expect(asked.locator(".why")).to_contain_text("added you to this request.")
    expect(asked.locator(".why")).to_contain_text("Carla signs for it.")
    asked.get_by_role("button", name="Approve", exact=True).click()
    assert placet.request(request)["outcome"] is None  # the process asks max
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("[data-toast]")).to_have_text("Approved.")
    assert placet.request(request)["outcome"] == "approved"


def test_a_person_who_cannot_decide_instead_is_told_at_the_field_and_the_reason_stays(
    placet: Placet, visit: Visitors
) -> None:
    (task,) = open_tasks(started(placet, "Delegated to nobody")).values()
    for scripts in (True, False):
        visitor = visit("max", scripts=scripts)
        page = visitor.go(f"/tasks/{task}")
        page.get_by_text("Let somebody else decide").click()
        page.locator("#to").fill("nobody")
        page.locator("#reason").fill("I am on a train")
        page.get_by_role("button", name="Delegate", exact=True).click()
        expect(page.locator("#to")).to_have_value("nobody")
        expect(page.locator("#to")).to_be_visible()
        expect(page.locator("#reason")).to_have_value("I am on a train")
        expect(page.locator("#to-error")).to_contain_text("nobody")
        expect(page.get_by_role("link", name="Person")).to_have_attribute("href", "#to")
    page.locator("#to").fill("Carla")
    page.get_by_role("button", name="Delegate", exact=True).click()
    page.wait_for_url("**/?done=delegate")
    assert visitor.complaints == []


def test_what_could_not_be_delegated_together_is_offered_again_with_its_reason(placet: Placet, visit: Visitors) -> None:
    requests = [started(placet, f"Left over {number}") for number in range(2)]
    visitor = visit("max")
    page = visitor.go("/?q=Left+over")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Delegate the selected…").click()
    page.get_by_label("Person").fill("nobody")
    page.get_by_label("Reason").fill("I am on a train")
    page.get_by_role("button", name=re.compile("Delegate all")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("0 of 2 delegated")
    expect(page.get_by_label("Reason")).to_have_value("I am on a train")
    assert visitor.findings("what could not be delegated") == []
    page.get_by_label("Person").fill("carla")
    page.get_by_role("button", name=re.compile("Delegate all")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 of 2 delegated")
    expect(page.get_by_label("Person")).to_have_count(0)
    assert {one["tasks"][0]["assignee"] for one in map(placet.request, requests)} == {"user:carla"}


def test_several_are_delegated_after_a_summary_with_a_result_for_each(placet: Placet, visit: Visitors) -> None:
    requests = [started(placet, f"Handed over {number}") for number in range(2)]
    visitor = visit("max", width=360)
    page = visitor.go("/?q=Handed")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Delegate the selected…").click()
    assert visitor.findings("delegating several") == []
    page.get_by_label("Person").fill("carla")
    page.get_by_role("button", name=re.compile("Delegate all")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 of 2 delegated")
    assert visitor.findings("what was delegated") == []
    assert {one["tasks"][0]["assignee"] for one in map(placet.request, requests)} == {"user:carla"}
