"""The pages of operations and of stored tables in a real browser, on a phone by keyboard."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import Visitors
from tests.contract import Placet


def test_an_admin_reads_by_keyboard_on_a_phone_that_everything_runs(visit: Visitors) -> None:
    visitor = visit("ada", width=360)
    page = visitor.go("/me")
    page.locator("#main").get_by_role("link", name="Operations").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
    for part in ("Workflow engine", "Database", "Worker"):
        expect(page.locator("li.row").filter(has_text=part).filter(has_text="Runs")).to_be_visible()
    visitor.go("/operations/deliveries")
    expect(page.get_by_text("No message has failed")).to_be_visible()


def test_an_admin_finds_a_row_of_a_table_by_keyboard_on_a_phone_and_switches_an_action_off(
    placet: Placet, visit: Visitors
) -> None:
    visitor = visit("ada", width=360)
    page = visitor.go("/operations")
    page.get_by_role("link", name="Look at the stored tables").press("Enter")
    page.get_by_role("link", name="Action catalog", exact=True).press("Enter")
    page.get_by_label("Column").focus()
    page.keyboard.type("name")
    page.keyboard.press("Tab")
    page.keyboard.type("send_mail")
    page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="send_mail"))
    expect(row.get_by_role("cell")).to_have_count(6)  # it is a table to a screen reader, also on a phone
    expect(page.get_by_role("row")).to_have_count(2)
    for switched in (False, True):
        page.get_by_role("link", name="send_mail").press("Enter")
        page.get_by_role("link", name="Change").press("Enter")
        page.get_by_label("enabled").press("Space")
        page.get_by_label("description").press("Enter")
        expect(page.locator("[data-toast]")).to_have_text("Changed.")
        assert placet.get("ada", "action-catalog/send_mail/")["enabled"] is switched
        page.goto(f"{visitor.base}/admin/action_catalog?by=name&value=send_mail")
    page.goto(f"{visitor.base}/admin/action_catalog?by=name&value=nothing")
    expect(page.get_by_role("heading", level=2)).to_have_text("Nothing matches")
