"""The editor: a blueprint is mended, rehearsed, published and moved to; by keyboard, on a phone, by two people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Visitors
from tests.contract import Placet
from tests.waiting import poll

EXPENSE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "blueprints/expense.json").read_text())
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenbeschaffung " * 2
NARROW = 360


def drafted(placet: Placet, page: Page, name: str) -> str:
    """Begin a draft of a published process from the list of drafts, and return its address."""
    found = placet.get("olivia", f"process-templates/?name={name}")["items"][0]
    page.locator(f"form:has(input[value='{found['id']}']) button").click()
    page.wait_for_url(re.compile(r"/drafts/[0-9a-f]{32}$"))
    return page.url


def saved(page: Page) -> None:
    """Wait until what was typed is saved."""
    expect(page.locator("[data-saved][role=status]")).to_have_text("Everything is saved")


def draft_of(placet: Placet, address: str) -> dict[str, Any]:
    """Return a draft as the API shows it."""
    found: dict[str, Any] = placet.get("ada", f"blueprint-drafts/{address.rpartition('/')[2]}/")
    return found


def test_a_gap_is_found_with_its_witness_and_mended_and_requests_move_to_what_is_published(
    placet: Placet, visit: Visitors
) -> None:
    name = placet.publish(EXPENSE | {"name": placet.name()})
    running = placet.start(name, given={"amount": "120", "department": "it"}, title="A chair")
    visitor = visit("ada")
    page = visitor.go("/drafts")
    address = drafted(placet, page, name)

    # The decision: no way is the default any more, and one value between the two conditions is left out.
    page.locator("#editor-outline").get_by_role("link", name=re.compile("large")).click()
    expect(page.locator("#edit-title")).to_be_visible()
    page.locator("[name='p2.default']").select_option(label="No")
    page.locator("[name='p2.condition']").fill("amount < 5000")
    gap = page.locator("#here-findings .finding.error")
    expect(gap).to_contain_text("no condition of 'large' holds for some input")
    expect(gap.locator("dl")).to_contain_text("5,000")
    expect(page.locator("[data-choose='large'].has-error")).to_have_count(1)
    assert visitor.findings("the editor with a gap") == []

    page.locator("[name='p2.condition']").fill("amount <= 5000")
    expect(page.locator("#findings .finding.error")).to_have_count(0)
    page.locator("#editor-outline").get_by_role("link", name=re.compile("^Process")).first.click()
    page.locator("[name='p0.version']").fill("1.1.0")
    expect(page.locator("#findings")).to_contain_text("What changes since 1.0.0")
    saved(page)
    assert draft_of(placet, address)["content"]["version"] == "1.1.0"

    page.get_by_role("link", name="Try it out").click()
    page.get_by_label(re.compile("^Amount")).fill("7200")
    page.get_by_label(re.compile("^Department")).select_option("it")
    page.get_by_role("button", name="Explore").click()
    expect(page.locator("#trial .trial")).not_to_have_count(0)
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator("#trial table")).to_be_visible()
    assert visitor.findings("a rehearsal of a draft") == []

    page.goto(f"{address}/publish")
    assert visitor.findings("publishing a draft") == []
    page.get_by_role("button", name="Publish", exact=True).click()
    page.wait_for_url(re.compile("/move"))
    row = page.locator("tbody tr", has_text="A chair")
    expect(row).to_contain_text("can move")
    assert visitor.findings("moving requests") == []
    page.get_by_label(re.compile("^Reason")).fill("The limit is clearer.")
    page.get_by_role("button", name="Move them").click()
    expect(page.locator("tbody tr", has_text="A chair")).to_contain_text("moved")
    poll(
        lambda: placet.request(running)["version"] == "1.1.0",
        what="the request under the version that was published",
    )


def test_two_people_edit_one_draft_and_both_are_told(placet: Placet, visit: Visitors) -> None:
    name = placet.publish(EXPENSE | {"name": placet.name()})
    one, other = visit("olivia"), visit("ada")
    address = drafted(placet, one.go("/drafts"), name)
    path = address.removeprefix(one.base)
    theirs, mine = one.page, other.go(path)
    theirs.locator("[name='p0.description']").fill("Olivia's words")
    saved(theirs)
    mine.locator("[name='p0.description']").fill("Ada's words")
    conflict = mine.locator("[data-conflict]")
    expect(conflict).to_contain_text("Olivia changed this draft meanwhile")
    expect(conflict).to_contain_text("Olivia's words")
    assert other.findings("a draft that two changed") == []
    conflict.locator("input[value=mine]").check()
    conflict.get_by_role("button", name="Keep what I chose").click()
    expect(mine.locator("[data-conflict]")).to_have_count(0)
    poll(lambda: draft_of(placet, address)["content"]["description"] == "Ada's words", what="the choice")


def test_a_draft_is_edited_by_keyboard_on_a_phone_in_the_dark(placet: Placet, visit: Visitors) -> None:
    name = placet.publish(EXPENSE | {"name": f"{LONG} {placet.name()}"})
    visitor = visit("olivia", width=NARROW, color_scheme="dark")
    address = drafted(placet, visitor.go("/drafts"), name)
    page = visitor.page
    assert visitor.findings("the editor on a phone") == []
    step = page.locator("[data-choose='manager']")
    step.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-editor-form] input[name=at]")).to_have_value("node:manager")
    before = draft_of(placet, address)["revision"]
    page.locator("[data-choose='manager']").focus()
    page.keyboard.press("Alt+ArrowDown")
    poll(lambda: draft_of(placet, address)["revision"] > before, what="the step at its new place")
    undo = page.locator("[data-undo-edit]")
    expect(undo).to_be_visible()
    undo.focus()
    page.keyboard.press("Enter")
    poll(
        lambda: draft_of(placet, address)["content"]["graph_spec"] == EXPENSE["graph_spec"],
        what="the step at its old place",
    )
    page.goto(f"{address}?at=node:large")
    assert visitor.findings("a decision on a phone") == []
    visitor.go("/drafts")
    assert visitor.findings("drafts on a phone") == []


LINES: dict[str, Any] = {
    "name": "lines",
    "title": LONG[:80],
    "type": "list",
    "items": {"type": "object", "properties": {"what": {"type": "string", "title": LONG[:60]}}},
}


@pytest.mark.parametrize(("width", "scheme"), [(1400, "dark"), (360, "light")])
def test_what_a_list_of_objects_holds_is_edited_level_by_level(
    placet: Placet, visit: Visitors, width: int, scheme: Any
) -> None:
    content = placet.process({"stage_name": "One", "approvers": ["user:max"]}, variables=[LINES])
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    visitor = visit("ada", width=width, color_scheme=scheme)
    page = visitor.go(f"/drafts/{draft}?at=variable:lines")
    page.locator("[name='p0.items.properties.1.type']").select_option("list")
    page.locator("[name='p0.items.properties.1.name']").fill("nights")
    inner = page.locator("[name='p0.items.properties.1.items.type']")
    expect(inner).to_be_visible()  # what the new list holds can be said as soon as it is saved
    expect(page.locator("[name='p0.items.properties.2.name']")).to_be_visible()
    inner.select_option("date")
    expect(page.locator("#findings .finding.error")).to_have_count(0)
    saved(page)
    fields = draft_of(placet, page.url.partition("?")[0].partition("#")[0])["content"]["variables"][0]["items"][
        "properties"
    ]
    assert fields["nights"] == {"type": "list", "items": {"type": "date"}}
    assert fields["what"] == LINES["items"]["properties"]["what"]
    assert visitor.findings(f"nested variables in the editor {scheme}") == []


def test_without_scripts_a_list_gets_another_field_by_the_button(placet: Placet, visit: Visitors) -> None:
    content = placet.process({"stage_name": "One", "approvers": ["user:max"]}, variables=[LINES])
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    page = visit("ada", scripts=False).go(f"/drafts/{draft}?at=variable:lines")
    page.locator("[name='p0.items.properties.1.name']").fill("city")
    page.locator("[name='p0.items.properties.1.required']").select_option("true")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("[name='p0.items.properties.2.name']")).to_be_visible()
    found = placet.get("ada", f"blueprint-drafts/{draft}/")["content"]["variables"][0]["items"]["properties"]
    assert found["city"] == {"type": "string", "required": True}
