"""Undoing a decision in a real browser: from the notice, by keyboard, on its pages, and without scripts."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser import MAX, Visitors, started
from tests.contract import Placet, open_tasks
from tests.waiting import poll

UNDOABLE: dict[str, Any] = MAX | {"undo_seconds": 110}


def test_a_decision_is_undone_from_its_notice_by_keyboard(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Quickly by key", UNDOABLE)
    visitor = visit("max")
    page = visitor.go("/?q=Quickly+by+key")
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.wait_for_url("**undo=*")
    notice = page.get_by_role("status")
    expect(notice).to_contain_text("You approved “Quickly by key”.")
    expect(notice).to_contain_text("You can undo this until")
    expect(notice.locator("[data-undo-left]")).to_contain_text("s left")
    assert visitor.findings("the notice") == []
    page.keyboard.press("u")
    page.wait_for_url("**done=undo")
    expect(page.get_by_role("status")).to_contain_text("Undone. The task is open again.")
    assert placet.request(request)["tasks"][0]["status"] == "open"
    page.goto(f"{visitor.base}/?q=Quickly+by+key")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url("**undo=*")
    assert placet.request(request)["tasks"][0]["decision"] == "approve"


def test_a_decision_is_undone_without_scripts_from_the_notice_the_task_and_the_inbox(
    placet: Placet, visit: Visitors
) -> None:
    request = started(placet, "Plainly", UNDOABLE)
    (task,) = open_tasks(request).values()
    visitor = visit("max", scripts=False)
    ways = {"the notice": None, "the task": f"/tasks/{task}", "the inbox": "/?tab=decided&q=Plainly"}
    for way, address in ways.items():
        page = visitor.go(f"/tasks/{task}")
        page.get_by_role("button", name="Reject", exact=True).click()
        page.wait_for_url("**undo=**")
        if address is not None:
            visitor.go(address)
        page.get_by_role("button", name="Undo").click()
        page.wait_for_url("**done=undo**")
        assert placet.request(request)["tasks"][0]["status"] == "open", way
    assert len(placet.timeline(request, "decision_undone")) == len(ways)


def test_who_undoes_too_late_reads_that_and_what_stands(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Too late", MAX | {"undo_seconds": 4})
    (task,) = open_tasks(request).values()
    page = visit("max", scripts=False).go(f"/tasks/{task}")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.wait_for_url("**done=approve**")
    button = page.get_by_role("button", name="Undo")
    if button.count() == 0:  # the page came after four seconds: a machine that is very busy
        return
    poll(lambda: placet.request(request)["outcome"] == "approved", what="the decision stands")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("This can no longer be undone")
    expect(page.locator(".refused")).to_contain_text("Max has decided this: Approved.")
