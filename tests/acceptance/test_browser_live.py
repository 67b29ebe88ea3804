"""What changes on an open page: rows that others decide are struck out in place, and uploads show their progress."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.browser import AMOUNT, MAX, Visitors, started
from tests.contract import Placet, open_tasks

EITHER: dict[str, Any] = {
    "stage_name": "Either",
    "approvers": ["user:max", "user:carla"],
    "quorum": "any",
    "sla_hours": 8,
}
LARGE: FilePayload = {
    "name": "plan.pdf",
    "mimeType": "application/pdf",
    "buffer": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n" + bytes(2_000_000),
}
_SLOW = 150_000  # bytes a second that go up


@pytest.mark.parametrize("width", [360, 1400])
def test_a_row_that_somebody_else_decided_is_greyed_where_it_is_and_the_others_stay(
    placet: Placet, visit: Visitors, width: int
) -> None:
    titles = [f"{name} of {width}" for name in ("The first chair", "The second chair")]
    first, second = (started(placet, title, EITHER) for title in titles)
    visitor = visit("max", width=width)
    with visitor.page.expect_response("**/live/forecasts*") as forecasts:
        page = visitor.go(f"/?q=chair+of+{width}")
    forecasts.value.finished()
    page.evaluate("() => new Promise((done) => setTimeout(done))")  # the forecasts are written into their rows before
    rows = page.locator(".row")
    expect(rows).to_have_count(2)
    assert [row.locator(".title").inner_text() for row in rows.all()] == titles
    button = page.get_by_role("button", name=f"Approve {titles[1]}")
    button.scroll_into_view_if_needed()
    before = [row.bounding_box() for row in rows.all()], button.bounding_box()

    placet.decide("carla", open_tasks(first)["carla"])
    expect(page.locator("#fresh")).to_be_visible(timeout=60_000)
    expect(rows.first).to_have_class("row sla-edge-ok gone")
    expect(rows.first.locator(".title")).to_have_text(f"{titles[0]} (no longer waits for you)")
    expect(rows.nth(1)).not_to_have_class("gone")
    assert ([row.bounding_box() for row in rows.all()], button.bounding_box()) == before, "nothing moves"
    assert visitor.findings(f"a row that somebody else decided {width}") == []

    place = before[1]
    assert place is not None
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)  # as if one had been about to
    page.wait_for_url("**done=approve")
    assert placet.request(second)["outcome"] == "approved"
    expect(page.locator(".row", has_text=titles[0])).to_have_count(0)


def test_the_open_page_of_a_request_offers_to_show_what_has_changed(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A lamp")
    visitor = visit("rita", width=360)
    page = visitor.go(f"/requests/{request['id']}")
    expect(page.locator(".stages .stage-current")).to_be_visible()
    fresh = page.get_by_role("button", name="Something has changed. Show it")
    expect(fresh).to_be_hidden()
    placet.decide("max", open_tasks(request)["max"])
    expect(fresh).to_be_visible(timeout=60_000)
    assert visitor.findings("a request that has changed 360") == []
    fresh.click()
    expect(page.locator(".lead-line")).to_contain_text("Approved")
    expect(fresh).to_have_count(0)


def test_an_empty_inbox_shows_a_new_task_by_itself_and_counts_it_in_words(placet: Placet, visit: Visitors) -> None:
    visitor = visit("dana")
    page = visitor.page
    expect(page.get_by_text("New tasks appear here by themselves.")).to_be_visible()
    started(placet, "A chair for Dana", EITHER | {"approvers": ["user:dana"]})
    expect(page.locator(".row .title")).to_have_text("A chair for Dana", timeout=60_000)
    expect(page.get_by_role("link", name="Inbox 1 waiting for you")).to_be_visible()
    assert visitor.complaints == []


def test_a_large_file_shows_how_far_it_is_while_it_goes_up(placet: Placet, visit: Visitors) -> None:
    visitor = visit("rita", width=360)
    made = placet.post("olivia", "process-templates/", placet.process(MAX, variables=AMOUNT), expect=201)
    placet.post("olivia", f"process-templates/{made['id']}/publish/")
    page = visitor.go(f"/requests/new/{made['id']}")
    page.get_by_label("Amount").fill("120")
    uploaded(page, "[data-uploads] progress")
    expect(page.locator("[data-chosen] .file-name")).to_have_text("plan.pdf")
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url("**/requests/*?done=start")
    expect(page.locator("#files li")).to_have_count(1)
    uploaded(page, "#files progress", "Attach")
    expect(page.locator("#files li")).to_have_count(2)


def uploaded(page: Page, bar: str, button: str | None = None) -> None:
    """Send a large file over a slow line; its bar stands somewhere between the ends, and then it goes on fast."""
    line = page.context.new_cdp_session(page)
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": _SLOW})
    page.set_input_files("#file", [LARGE])
    if button is not None:
        page.get_by_role("button", name=button).click()
    expect(page.locator(bar)).to_be_visible()
    page.wait_for_function("bar => (value => value > 0 && value < 100)(document.querySelector(bar)?.value)", arg=bar)
    line.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": -1})
    line.detach()
