"""The editor: a blueprint is mended, rehearsed, published and moved to; by keyboard, on a phone, by two people."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, FilePayload, Page, Request, Route, expect

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

    # Tried out beside the drawing: every way with its witness, and one of them rehearsed with it.
    page.get_by_role("link", name="Try it out").click()
    panel = page.locator("#try")
    expect(panel.get_by_role("heading", name="Try it out")).to_be_focused()
    panel.get_by_role("button", name="Explore").click()
    ways = panel.locator("#trial .trial")
    expect(ways.first).to_be_visible()
    rejected = ways.filter(has_text="Rejected").filter(has_text="CFO").first
    rejected.locator("summary").click()
    expect(rejected.locator("dl")).to_contain_text("Amount")
    rejected.hover()
    expect(page.locator("[data-choose='cfo'].on-way")).to_have_count(1)
    assert visitor.findings("exploring beside the drawing") == []
    rejected.get_by_role("link", name=re.compile("rehearse this way")).click()
    expect(panel.get_by_label("Reject in: CFO Approval")).to_be_checked()
    expect(panel.get_by_label(re.compile("^Amount"))).not_to_have_value("")
    expect(panel.get_by_role("button", name="Rehearse")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.locator("#trial table")).to_contain_text("CFO Approval")
    expect(panel.locator("[data-trial-summary]")).to_have_text("It ends: Rejected")
    assert visitor.findings("a rehearsal beside the drawing") == []
    assert page.url.startswith(address), "all of it on the page of the editor"

    # A change makes the rehearsal one of an earlier draft, and the page says so.
    old = panel.locator("[data-trial-old]")
    expect(old).to_be_hidden()
    page.locator("[name='p0.description']").fill("Every expense is approved by somebody else.")
    expect(old).to_be_visible()
    saved(page)

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
    page.get_by_role("link", name="Try it out").press("Enter")
    panel = page.locator("#try")
    panel.get_by_role("button", name="Explore").press("Enter")
    expect(panel.locator("#trial .trial").first).to_be_visible()
    assert visitor.findings("exploring on a phone") == []
    panel.get_by_role("button", name="Rehearse").press("Enter")
    expect(panel.locator("#trial .trial").first).to_be_visible()  # the amount is missing, and what was found stays
    panel.get_by_label(re.compile("^Amount")).fill("7,200")
    panel.get_by_label(re.compile("^Department")).select_option("it")
    panel.get_by_role("button", name="Rehearse").press("Enter")
    expect(panel.locator("#trial-form .wrong")).to_contain_text("Write 7200, or 7.200.")
    expect(panel.locator("#trial .trial").first).to_be_visible()
    panel.get_by_label(re.compile("^Amount")).fill("7200")
    panel.get_by_role("button", name="Rehearse").press("Enter")
    expect(panel.locator("#trial table")).to_be_visible()
    assert visitor.findings("a rehearsal on a phone") == []
    panel.get_by_role("button", name="Close").press("Enter")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("link", name="Try it out")).to_be_focused()
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


def test_without_scripts_a_draft_is_tried_out_on_a_page_of_its_own(placet: Placet, visit: Visitors) -> None:
    content = EXPENSE | {"name": placet.name()}
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    page = visit("ada", scripts=False).go(f"/drafts/{draft}")
    page.get_by_role("link", name="Try it out").click()
    page.get_by_role("button", name="Explore").click()  # it needs no values
    way = page.locator("#trial .trial").filter(has_text="Rejected").first
    way.get_by_role("link", name=re.compile("rehearse this way")).click()
    expect(page.get_by_role("checkbox", name=re.compile("^Reject in: "))).to_be_checked()
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator("[data-trial-summary]")).to_have_text("It ends: Rejected")
    expect(page.locator("#trial table")).to_be_visible()


def test_what_is_typed_is_saved_and_checked_once_after_a_pause(placet: Placet, visit: Visitors) -> None:
    content = EXPENSE | {"name": placet.name()}
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    visitor = visit("ada")
    page = visitor.page
    page.clock.install(time=datetime(2026, 1, 1, tzinfo=UTC))
    visitor.go(f"/drafts/{draft}")
    expect(page.locator("[data-report]")).to_have_count(1)
    page.clock.pause_at(datetime(2026, 1, 2, tzinfo=UTC))  # from here on the page's timers run when the test says so
    sent: list[str] = []

    def note(request: Request) -> None:
        if draft in request.url:
            sent.append(f"{request.method} {request.url.partition(draft)[2].partition('?')[0]}".strip())

    page.on("request", note)
    field = page.locator("[name='p0.description']")
    field.fill("")
    for letter in "Who travels":
        page.clock.run_for(100)
        field.press_sequentially(letter)
    page.clock.run_for(499)
    assert sent == [], "while somebody types, nothing is sent"
    page.clock.run_for(1)
    saved(page)
    expect(page.locator("#findings")).to_have_attribute("aria-busy", "false")
    expect(page.locator("[data-report]")).to_have_attribute("data-report", "2")
    page.clock.run_for(60_000)
    assert sent == ["POST", "GET /findings"]


def test_a_check_that_is_out_of_date_is_given_up_and_its_answer_replaces_nothing(
    placet: Placet, visit: Visitors
) -> None:
    content = EXPENSE | {"name": placet.name()}
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    visitor = visit("ada")
    page = visitor.page
    visitor.go(f"/drafts/{draft}")
    expect(page.locator("[data-report='1']")).to_have_count(1)
    held: list[Route] = []
    given_up: list[str] = []

    def hold(route: Route) -> None:
        held.append(route)
        if not route.request.url.endswith("revision=2"):
            route.continue_()

    page.route("**/findings?*", hold)
    page.on("requestfailed", lambda request: given_up.append(request.url.partition("?")[2]))
    field = page.locator("[name='p0.description']")
    field.fill("First")
    poll(lambda: page.evaluate("true") and len(held) == 1, what="a check that takes long")
    expect(page.locator("#findings")).to_have_attribute("aria-busy", "true")
    assert visitor.findings("a draft whose check takes long") == []
    field.fill("Second")
    expect(page.locator("[data-report='3']")).to_have_count(1)
    poll(lambda: page.evaluate("true") and given_up == ["revision=2"], what="the first check given up")
    with suppress(Error):  # nobody waits for it any more
        held[0].fulfill(body="<div data-report='2'>The older answer</div>", content_type="text/html")
    expect(page.locator("[data-report='3']")).to_have_count(1)
    expect(page.locator("#findings")).not_to_contain_text("The older answer")


def test_what_is_typed_while_another_part_is_chosen_is_not_lost(placet: Placet, visit: Visitors) -> None:
    content = EXPENSE | {"name": placet.name()}
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    visitor = visit("ada")
    page = visitor.page
    visitor.go(f"/drafts/{draft}")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    page.route("**/drafts/*?at=settings*", hold)
    page.locator("#editor-outline").get_by_role("link", name="Settings").click()
    poll(lambda: page.evaluate("true") and len(held) == 1, what="the part on its way")
    page.locator("[name='p0.description']").fill("Typed meanwhile")
    held[0].continue_()
    expect(page.locator("[data-editor-form] input[name=at]")).to_have_value("settings")
    assert placet.get("ada", f"blueprint-drafts/{draft}/")["content"]["description"] == "Typed meanwhile"


def test_a_file_with_an_unknown_field_says_which_it_is_and_is_mended_and_then_drawn(
    placet: Placet, visit: Visitors
) -> None:
    visitor = visit("ada")
    page = visitor.go("/drafts")
    step = {"stage_name": "Manager", "approvers": ["user:max"], "sla_hour": 24}
    content = {"format": 1, "name": placet.name(), "version": "1.0.0", "process_steps": [step]}
    file = FilePayload(name="pens.json", mimeType="application/json", buffer=json.dumps(content).encode())
    page.locator("input[type=file]").set_input_files(file)
    page.locator("form:has(input[type=file]) button").click()
    page.wait_for_url(re.compile(r"/drafts/[0-9a-f]{32}$"))
    finding = page.locator("#findings .finding.error")
    expect(finding).to_contain_text("Manager · sla_hour: there is no such field here")
    expect(page.locator("#editor-canvas")).to_have_text("The process can be drawn once its faults are mended.")
    finding.get_by_role("link").click()
    expect(page.locator("#here-findings .finding")).to_be_visible()
    page.get_by_role("button", name="Remove sla_hour").click()
    expect(page.locator("#editor-canvas svg")).to_be_visible()
    expect(page.locator("#findings .finding.error")).to_have_count(0)
    # The drawing that has come can be made larger as one that was there from the beginning.
    width = page.locator("#editor-canvas svg").get_attribute("width")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#editor-canvas svg")).not_to_have_attribute("width", str(width))
    assert visitor.complaints == []
