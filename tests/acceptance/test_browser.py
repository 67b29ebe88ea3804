"""The pages in a real browser: decisions by mouse, by keyboard and without scripts, and what people write."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.browser import AMOUNT, MAX, SCRIPT, Visitors, started
from tests.contract import Placet, open_tasks


def test_of_two_tabs_that_decide_the_second_is_told_what_stands(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Two tabs")
    (task,) = open_tasks(request).values()
    first, second = visit("max"), visit("max")
    for tab in (first, second):
        tab.go(f"/tasks/{task}")
    first.page.get_by_role("button", name="Approve", exact=True).click()
    first.page.wait_for_url("**done=approve")
    second.page.get_by_role("button", name="Reject", exact=True).click()
    alert = second.page.get_by_role("alert")
    expect(alert).to_contain_text("You have decided this")
    expect(alert).to_contain_text("has decided this: Approved. Nothing more was decided.")
    expect(alert).not_to_contain_text("user:")
    assert second.findings("a decision that came second") == []
    assert [entry["detail"]["decision"] for entry in placet.timeline(request, "decided")] == ["approve"]


def test_a_decision_on_what_has_changed_meanwhile_shows_the_difference_and_decides_nothing(
    placet: Placet, visit: Visitors
) -> None:
    carla = {"stage_name": "Board", "approvers": ["role:cfo"]}
    request = started(placet, "Changing", MAX, carla, graph_spec=_side_by_side(), settings={"on_change": "stage"})
    tasks = open_tasks(request)
    seen = visit("max")
    seen.go(f"/tasks/{tasks['max']}")
    placet.decide("carla", tasks["carla"], "request_changes", comment="Less.")
    placet.post("rita", f"requests/{request['id']}/resubmit/", {"input": {"amount": "60"}})
    seen.page.get_by_role("button", name="Approve", exact=True).click()
    alert = seen.page.get_by_role("alert")
    expect(alert).to_contain_text("The request has changed since you opened it")
    expect(alert.locator(".changes")).to_contain_text("€60.00")
    assert seen.findings("a decision on what has changed") == []
    assert placet.timeline(request, "decided") == []


def _side_by_side() -> dict[str, Any]:
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "trigger"},
        {"id": "fork", "type": "fork"},
        {"id": "manager", "type": "approval", "step": "Manager"},
        {"id": "board", "type": "approval", "step": "Board"},
        {"id": "join", "type": "join"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ]
    edges = [
        {"from": "start", "to": "fork"},
        {"from": "fork", "to": "manager"},
        {"from": "fork", "to": "board"},
        {"from": "manager", "to": "join", "on": "approved"},
        {"from": "manager", "to": "no", "on": "rejected"},
        {"from": "board", "to": "join", "on": "approved"},
        {"from": "board", "to": "no", "on": "rejected"},
        {"from": "join", "to": "yes"},
    ]
    return {"nodes": nodes, "edges": edges}


def test_what_people_write_is_shown_as_text(placet: Placet, visit: Visitors) -> None:
    template = placet.publish(placet.process(MAX | {"description": SCRIPT}, variables=AMOUNT))
    request = placet.start(template, given={"amount": "1", "reason": SCRIPT}, title=SCRIPT)
    placet.post("rita", f"requests/{request['id']}/comments/", {"text": SCRIPT})
    (task,) = open_tasks(request).values()
    page = visit("max").go(f"/tasks/{task}")
    expect(page.get_by_role("heading", level=1)).to_have_text(SCRIPT)
    assert page.locator("b", has_text="bold").count() == 0
    assert page.get_by_text(SCRIPT, exact=True).count() >= 3


def test_the_inbox_works_by_keyboard_alone(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "By keyboard")
    page = visit("max").go("/?q=By+keyboard")
    page.keyboard.press("j")
    expect(page.locator(".row.current .title")).to_have_text("By keyboard")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("decided")
    expect(page.locator("[data-palette-list] li.chosen")).to_contain_text("What I have decided")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_url("**done=approve")
    assert placet.request(request)["outcome"] == "approved"


def test_a_single_decision_needs_no_script(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Without scripts")
    (task,) = open_tasks(request).values()
    page = visit("max", scripts=False).go(f"/tasks/{task}")
    page.fill("#comment", "Fine.")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("[data-toast]")).to_have_text("Approved.")
    assert placet.request(request)["outcome"] == "approved"


def test_several_are_decided_after_a_summary_with_a_result_for_each(placet: Placet, visit: Visitors) -> None:
    requests = [started(placet, f"Bulk {number}") for number in range(2)]
    page = visit("max").go("/?q=Bulk")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Decide the selected…").click()
    page.get_by_role("button", name=re.compile("Approve all")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("decided")
    assert {placet.request(request)["outcome"] for request in requests} == {"approved"}


def test_the_drawing_of_a_request_shows_where_it_is_and_is_moved_by_keys(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Drawn")
    visitor = visit("rita")
    page = visitor.go(f"/requests/{request['id']}")
    page.get_by_role("link", name="See it in the process").click()
    expect(page.locator("svg .node.now .name").first).to_be_visible()
    drawn = page.locator("svg.process")
    before = drawn.get_attribute("width")
    page.locator(".canvas").press("+")
    assert float(drawn.get_attribute("width") or 0) > float(before or 0)
    page.locator(".canvas").press("0")
    assert drawn.get_attribute("width") == before
    expect(page.locator(".outline li[aria-current=step]").first).to_contain_text("going on")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as SVG").click()
    assert "<style>" in download.value.path().read_text()


def test_a_reader_of_german_reads_german(visit: Visitors) -> None:
    page = visit("max", locale="de-DE").go("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eingang")
    assert page.locator("html").get_attribute("lang") == "de"


def test_a_page_shows_what_is_new_since_its_reader_last_looked(placet: Placet, visit: Visitors) -> None:
    carla = {"stage_name": "Board", "approvers": ["role:cfo"]}
    request = started(
        placet, "Looked at twice", MAX, carla, graph_spec=_side_by_side(), settings={"on_change": "stage"}
    )
    tasks = open_tasks(request)
    visitor = visit("max")
    page = visitor.go(f"/tasks/{tasks['max']}")
    expect(page.locator("#news")).to_have_count(0)
    placet.post("rita", f"requests/{request['id']}/comments/", {"text": "It is for two."})
    placet.decide("carla", tasks["carla"], "request_changes", comment="Less.")
    placet.post("rita", f"requests/{request['id']}/resubmit/", {"input": {"amount": "60"}})

    early = page.request.get(f"{visitor.base}/tasks/{tasks['max']}", headers={"Sec-Purpose": "prefetch"})
    assert "New since you last looked" in early.text()
    for _ in range(2):  # loading it again loses nothing
        visitor.go(f"/tasks/{tasks['max']}")
        news = page.locator("#news")
        expect(news.locator(".changes")).to_contain_text("€120.00")
        expect(news.locator(".changes")).to_contain_text("€60.00")
        expect(news).to_contain_text("It is for two.")
        expect(page.locator("#conversation .chip.new")).to_have_count(2)
    assert visitor.findings("a task with news") == []
    page.fill("#comment-text", "For two, then.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#conversation")).to_contain_text("For two, then.")
    expect(page.locator("#news")).not_to_contain_text("For two, then.")
