"""What somebody typed into a form is theirs until it was taken, whatever comes between: another form, a log-in."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser import Visitors, started
from tests.contract import Placet, open_tasks


def test_a_form_that_is_sent_after_the_session_has_ended_is_there_again_with_its_text(
    visit: Visitors, placet: Placet
) -> None:
    (task,) = open_tasks(started(placet, "Chairs for Rome")).values()
    visitor = visit("max")
    page = visitor.go(f"/tasks/{task}")
    page.get_by_label(re.compile("^Comment")).fill("Too dear, and too many")
    page.wait_for_function("localStorage.length === 1")
    page.context.clear_cookies()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not logged in")
    expect(page.get_by_text("What you typed is kept in this browser")).to_be_visible()
    assert page.get_by_text(re.compile("[Ll]og in")).count() == 2  # what to do, and the button that does it
    assert visitor.findings("a session that has ended") == []
    page.get_by_role("link", name="Log in").click()
    page.fill("#token", placet.tokens["max"])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**/tasks/{task}")
    comment = page.get_by_label(re.compile("^Comment"))
    expect(comment).to_have_value("Too dear, and too many")
    page.get_by_role("button", name="Reject").click()
    page.wait_for_url("**/?done=reject*")
    page.wait_for_function("localStorage.length === 0")
    assert visitor.complaints == []


def test_the_forms_of_a_page_leave_each_others_texts_alone(visit: Visitors, placet: Placet) -> None:
    (task,) = open_tasks(started(placet, "Chairs for Oslo")).values()
    visitor = visit("max")
    page = visitor.go(f"/tasks/{task}")
    page.get_by_label(re.compile("^Comment")).fill("Only blue ones")
    page.get_by_role("textbox", name=re.compile("Your question to")).fill("Why blue?")
    page.get_by_text("Let somebody else decide").click()
    page.get_by_label("Reason").fill("I am away")
    page.wait_for_function("localStorage.length === 3")
    page.get_by_role("button", name="Watch").click()
    page.wait_for_url("**/*done=watch*")
    expect(page.get_by_label(re.compile("^Comment"))).to_have_value("Only blue ones")
    expect(page.get_by_label("Reason")).to_have_value("I am away")
    question = page.get_by_role("textbox", name=re.compile("Your question to"))
    expect(question).to_have_value("Why blue?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_url("**/*done=ask*")
    expect(page.get_by_label(re.compile("^Comment"))).to_have_value("Only blue ones")
    expect(question).to_have_value("")
    visitor.go("/me")
    page.get_by_role("button", name="Log out", exact=True).click()
    page.wait_for_url("**/login")
    assert page.evaluate("localStorage.length") == 0
    assert visitor.complaints == []


def test_a_page_that_is_not_there_offers_no_log_in_to_somebody_who_is_logged_in(visit: Visitors) -> None:
    page = visit("max").go("/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.get_by_role("link", name="To the inbox")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_have_count(0)
    page = visit.stranger().go("/nowhere")
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_who_was_too_late_reads_what_they_wrote_and_is_led_to_the_request(visit: Visitors, placet: Placet) -> None:
    request = started(placet, "Chairs for Bonn")
    (task,) = open_tasks(request).values()
    here, there = visit("max"), visit("max", scripts=False)
    here.go(f"/tasks/{task}").get_by_label(re.compile("^Comment")).fill("Six of them are too many")
    page = there.go(f"/requests/{request['id']}")
    page.get_by_label("Your comment or question").fill("Are they blue?")
    placet.decide("max", task)
    here.page.get_by_role("button", name="Reject").click()
    expect(here.page.get_by_role("alert")).to_contain_text("What you wrote was not sent")
    expect(here.page.locator("[role=alert] .quote")).to_have_text("Six of them are too many")
    assert here.findings("too late to decide") == []
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("has ended")
    expect(page.locator("[role=alert] .quote")).to_have_text("Are they blue?")
    page.get_by_role("link", name="Open the request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Chairs for Bonn")
    assert here.complaints == []
