"""The pages of operations in a real browser: on a phone by keyboard, and wide in the dark and in German."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import Visitors


def test_an_admin_reads_by_keyboard_on_a_phone_that_everything_runs(visit: Visitors) -> None:
    visitor = visit("ada", width=360)
    page = visitor.go("/me")
    page.locator("#main").get_by_role("link", name="Operations").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
    for part in ("Workflow engine", "Database", "Worker"):
        expect(page.locator("li.row").filter(has_text=part).filter(has_text="Runs")).to_be_visible()
    assert visitor.findings("operations") == []
    visitor.go("/operations/deliveries")
    expect(page.get_by_text("No message has failed")).to_be_visible()
    assert visitor.findings("operations, no failed message") == []
    assert visitor.complaints == []


def test_the_pages_read_well_on_a_wide_screen_in_the_dark_and_in_german(visit: Visitors) -> None:
    visitor = visit("ada", color_scheme="dark", locale="de-DE")
    page = visitor.go("/operations")
    expect(page.get_by_role("heading", level=1)).to_have_text("Betrieb")
    assert visitor.findings("operations in the dark") == []
    visitor.go("/operations/deliveries")
    assert visitor.findings("operations, no failed message in the dark") == []
    assert visitor.complaints == []
