"""The drawing of a process in a real browser: its size and place by buttons, keys and pointer, print, and the file."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import MAX, Visitors, started
from tests.contract import Placet, open_tasks


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


LONG_STAGE = "Finance committee of the Donaudampfschifffahrtsgesellschaft, second reading"
WORDS = ("Approve", "Reject", "Request changes", "Abstain")
STAGES: list[dict[str, Any]] = [
    MAX,
    {"stage_name": LONG_STAGE, "approvers": ["user:carla"]},
    {"stage_name": "Legal", "approvers": ["user:carla"]},
]
WAYS: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "trigger"},
        {"id": "manager", "type": "approval", "step": "Manager"},
        {"id": "large", "type": "decision"},
        {"id": "finance", "type": "approval", "step": LONG_STAGE},
        {"id": "legal", "type": "approval", "step": "Legal"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ],
    "edges": [
        {"from": "start", "to": "manager"},
        {"from": "manager", "to": "large", "on": "approved"},
        {"from": "manager", "to": "no", "on": "rejected"},
        {"from": "large", "to": "legal", "condition": "amount > 5000"},
        {"from": "large", "to": "finance", "default": True},
        *({"from": one, "to": "yes", "on": "approved"} for one in ("finance", "legal")),
        *({"from": one, "to": "no", "on": "rejected"} for one in ("finance", "legal")),
    ],
}


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1400, "dark")])
def test_what_may_still_come_is_said_by_words_and_shape_where_a_request_is_shown(
    placet: Placet, visit: Visitors, width: int, scheme: Any
) -> None:
    request = started(placet, "An expense whose way depends on its amount", *STAGES, graph_spec=WAYS)
    rita = visit("rita", width=width, color_scheme=scheme)
    page = rita.go(f"/requests/{request['id']}")
    panel = page.locator("#ahead")
    expect(panel).to_contain_text(f"{LONG_STAGE} in 2 of 3 explored branches")
    expect(panel).to_contain_text("3 branches lead to an end")
    expect(panel).not_to_contain_text("Legal")
    findings = rita.findings(f"a request with what may come {scheme}")
    page.get_by_role("link", name="See it in the process").click()
    expect(page.locator('.node[data-node="finance"]')).to_have_class(re.compile("ahead in-some"))
    expect(page.locator('.node[data-node="legal"]')).to_have_class(re.compile("ahead in-none"))
    outline = page.locator(".outline > li")
    legal = outline.filter(has=page.locator("strong", has_text="Legal"))
    expect(legal).to_contain_text("in no explored branch")
    expect(page.locator(".legend")).to_contain_text("in some explored branches")
    findings += rita.findings(f"what may still come in the drawing {scheme}")
    rita.go(f"/requests/{request['id']}/ahead")
    findings += rita.findings(f"what may still come alone {scheme}")
    rita.go(f"/requests/{request['id']}/audit")
    findings += rita.findings(f"the audit of a request {scheme}")
    placet.post("max", f"tasks/{request['tasks'][0]['id']}/decide/", {"decision": "reject", "comment": "No."})
    expect(rita.go(f"/requests/{request['id']}/ahead").locator("#ahead")).to_contain_text("The request has ended.")
    expect(rita.go(f"/requests/{request['id']}").locator("#ahead")).to_have_count(0)
    assert findings == []


def test_what_may_still_come_is_said_in_german(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Ein Antrag", *STAGES, graph_spec=WAYS)
    rita = visit("rita", width=1400, locale="de-DE")
    page = rita.go(f"/requests/{request['id']}/process")
    expect(page.locator(".outline")).to_contain_text("in 2 von 3 untersuchten Zweigen")
    assert rita.findings("what may still come in German") == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1400, "dark")])
def test_what_each_decision_leads_to_is_said_beside_the_decision(
    placet: Placet, visit: Visitors, width: int, scheme: Any
) -> None:
    request = started(placet, "An expense to decide", *STAGES, graph_spec=WAYS)
    (task,) = open_tasks(request).values()
    visitor = visit("max", width=width, color_scheme=scheme)
    page = visitor.go(f"/tasks/{task}")
    panel = page.locator("#consequences")
    said = [panel.locator("dt", has_text=word).locator("xpath=following-sibling::dd[1]") for word in WORDS]
    expect(said[0]).to_contain_text(f"Next is {LONG_STAGE}: Carla.")
    expect(said[0]).to_contain_text("Forecast end:")
    expect(said[1]).to_contain_text("The request ends: Rejected.")
    expect(said[2]).to_contain_text("The request goes back to its requester.")
    expect(said[3]).to_contain_text("The request ends: Rejected.")
    findings = visitor.findings(f"a task with what each decision leads to {scheme}")
    assert open_tasks(placet.request(request)) == open_tasks(request), "looking decides nothing"
    visitor.go(f"/tasks/{task}/consequences")
    findings += visitor.findings(f"what each decision leads to alone {scheme}")
    assert findings == []
