"""The drawing of a process in a real browser: its size and place by buttons, keys and pointer, print, and the file."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser import Visitors, started
from tests.contract import Placet


def _width(page: Page) -> float:
    box = page.locator(".canvas svg").bounding_box()
    assert box is not None
    return box["width"]


def test_a_drawing_is_sized_moved_printed_and_saved(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A drawing")
    rita = visit("rita", width=360)
    page = rita.go(f"/requests/{request['id']}/process")
    first = _width(page)
    page.get_by_role("button", name="Zoom in").click()
    assert _width(page) > first
    canvas = page.locator(".canvas")
    canvas.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    large = _width(page)
    assert large > first * 1.5
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.canvas').scrollLeft > 0")
    page.keyboard.press("-")
    assert _width(page) < large

    page.get_by_role("button", name="Zoom in").click()
    canvas.evaluate("canvas => canvas.scrollTo(0, 0)")
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.8, box["y"] + 40
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y)
    page.mouse.up()
    assert canvas.evaluate("canvas => canvas.scrollLeft") > 0

    page.evaluate("window.print = () => { window.printed = true }")
    page.get_by_role("button", name="Print").click()
    assert page.evaluate("window.printed") is True
    page.emulate_media(media="print")
    expect(page.locator(".bar")).to_be_hidden()
    expect(page.locator(".drawing-tools")).to_be_hidden()
    expect(page.locator(".canvas svg")).to_be_visible()
    page.emulate_media(media="screen")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as SVG").click()
    assert download.value.suggested_filename == "process.svg"
    expect(page.locator(".outline [aria-current=step]")).to_have_count(1)
    assert rita.findings("the drawing, enlarged") == []


def test_an_audit_is_verified_and_its_entries_are_chosen_by_keyboard(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "An audit of a request with quite a long title that has to be broken on a phone")
    rita = visit("rita", width=360)
    page = rita.go(f"/requests/{request['id']}")
    page.get_by_role("link", name="Verify the audit chain").click()
    expect(page.get_by_text("does not hold")).to_have_count(0)
    findings = rita.findings("the audit")
    page.locator("#kind").focus()
    page.locator("#kind").select_option("task_opened")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".outline")).to_contain_text("Decision asked")
    expect(page.locator(".outline")).not_to_contain_text("Request started")
    assert findings + rita.findings("the audit, one kind") == []
