"""The pages where they are hardest to get right: what people write, a thousand rows or none, refusals, and keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import create_engine, text

from storage.database import driver_url
from storage.queries.requests import titles
from tests.browser import AMOUNT, MAX, PNG, SCRIPT, Visitor, Visitors, started
from tests.contract import Placet, open_tasks
from worker.settings import Settings

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 3


def _is_plain(page: Page) -> None:
    """AssertionError where something that somebody wrote has become markup; a script would be a complaint."""
    assert page.locator("b", has_text="bold").count() == 0, page.url


def test_what_people_write_is_text_on_every_page_and_no_name_is_too_long(placet: Placet, visit: Visitors) -> None:
    variables = [*AMOUNT, {"name": "kind", "type": "string", "enum": [SCRIPT, LONG]}]
    stage = MAX | {"stage_name": f"{SCRIPT} {LONG}"[:100], "description": f"{SCRIPT} {LONG}"}
    template = placet.publish(placet.process(stage, variables=variables) | {"name": f"{SCRIPT} {placet.name()}"})
    given = {"amount": "1", "reason": f"{SCRIPT} {LONG}", "kind": LONG}
    request = placet.start(template, given=given, title=f"{SCRIPT} {LONG}"[:200])
    placet.post("rita", f"requests/{request['id']}/comments/", {"text": f"{SCRIPT} {LONG}"})
    (task,) = open_tasks(request).values()
    max_, rita = visit("max", width=360), visit("rita", width=360)
    max_.go(f"/tasks/{task}").fill("#comment", f"{SCRIPT} {LONG}")
    _is_plain(max_.page)
    max_.page.get_by_role("button", name="Request changes").click()
    max_.page.wait_for_url("**done=request_changes")
    rita.go(f"/requests/{request['id']}/edit").get_by_label("Amount").fill("2")
    rita.page.get_by_role("button", name="Look at the changes").click()
    expect(rita.page.locator(".changes")).to_be_visible()
    _is_plain(rita.page)
    wide = []
    for visitor in (max_, rita):
        for path in ("/", "/requests", "/requests?whose=all", "/requests/new", f"/requests/{request['id']}"):
            _is_plain(visitor.go(path))
            visitor.picture(f"long names {path}")
            if visitor.page.evaluate("document.documentElement.scrollWidth") > 360:
                wide.append(path)
    _is_plain(max_.go(f"/tasks/{task}"))
    assert wide == []


@contextmanager
def _copied(placet: Placet, request: dict[str, Any], copies: int) -> Iterator[None]:
    """Put copies of a request and its task straight into the store, and take them out again."""
    engine = create_engine(driver_url(Settings(home=placet.place.home).database).set(drivername="sqlite"))
    tables = {"approval_request": "id", "approval_task": "request_id"}
    try:
        with engine.begin() as connection:
            for table, key in tables.items():
                query = text(f"SELECT * FROM {table} WHERE {key} = :id")
                row = dict(connection.execute(query, {"id": request["id"]}).mappings().one())
                names = ", ".join(row)
                places = ", ".join(f":{name}" for name in row)
                rows = [_numbered(row, number) for number in range(copies)]
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), rows)
                if table == "approval_request":
                    titles.put(connection, rows)
        yield
    finally:
        with engine.begin() as connection:
            for table, key in (tables | {"request_title": "request_id"}).items():
                connection.execute(text(f"DELETE FROM {table} WHERE {key} LIKE 'copy-%'"))
        engine.dispose()


def _numbered(row: dict[str, Any], number: int) -> dict[str, Any]:
    changed = {name: f"copy-{number:05}-{row[name]}" for name in ("id", "request_id") if name in row}
    return row | changed | ({"title": f"Copied {number:05}"} if "title" in row else {})


def test_an_inbox_of_a_thousand_rows_shows_each_once_page_by_page(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Copied original")
    with _copied(placet, request, 999):
        visitor = visit("max")
        page = visitor.go("/?q=Copied")
        expect(page.locator(".tabs .count").first).to_have_text("99+")
        seen: list[str] = []
        while True:
            shown = page.locator("[data-row-id]").evaluate_all("rows => rows.map(row => row.dataset.rowId)")
            assert len(shown) == 25
            seen += shown
            following = page.locator("a[rel=next]")
            if following.count() == 0:
                break
            address = following.get_attribute("href")
            following.click()
            page.wait_for_url(f"{visitor.base}{address}")
        assert len(seen) == len(set(seen)) == 1000


@pytest.mark.parametrize("width", [1400, 360])
def test_an_inbox_of_ten_thousand_rows_reads_well_and_is_counted_as_far_as_anybody_counts(
    placet: Placet, visit: Visitors, width: int
) -> None:
    request = started(placet, f"Many of {LONG}"[:200])
    with _copied(placet, request, 9_999):
        visitor = visit("max", width=width)
        visitor.go("/?sort=age")
        found = []
        for scheme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme=scheme)
            found += visitor.findings(f"ten thousand rows ({scheme})")
        assert found == []
        expect(visitor.page.locator("#badge")).to_contain_text("99+")


def test_an_empty_inbox_says_so(visit: Visitors) -> None:
    visitor = visit("aud", width=360)
    page = visitor.go("/")
    expect(page.get_by_role("heading", level=2)).to_have_text("Nothing waits for you")
    assert visitor.findings("an empty inbox") == []
    expect(page.get_by_role("button", name="Decide the selected…")).to_have_count(0)


def test_rows_are_selected_and_opened_by_keyboard(placet: Placet, visit: Visitors) -> None:
    for number in range(2):
        started(placet, f"Selected {number}")
    page = visit("max").go("/?q=Selected")
    for key in "jxjxk":
        page.keyboard.press(key)
    expect(page.locator("[data-pick]:checked")).to_have_count(2)
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    expect(page.locator("[data-row-id]").first).to_have_class(re.compile("current"))
    page.keyboard.press("r")
    page.wait_for_url("**/tasks/*#decide")
    page.keyboard.press("r")
    expect(page.locator("#comment")).to_be_focused()


def test_no_page_of_an_act_has_a_serious_finding_of_axe_in_light_or_dark(placet: Placet, visit: Visitors) -> None:
    found: list[str] = []

    def look(visitor: Visitor, name: str) -> None:
        for scheme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme=scheme)
            found.extend(visitor.findings(f"{name} ({scheme})"))

    request, late = started(placet, "Looked at"), started(placet, "Looked at too")
    (task,), (second,) = open_tasks(request).values(), open_tasks(late).values()
    max_, rita, aud = visit("max", width=360), visit("rita", width=360), visit("aud", width=360)
    max_.go("/?q=Looked").get_by_label("Select all on this page").check()
    max_.page.get_by_role("button", name="Decide the selected…").click()
    expect(max_.page.get_by_role("button", name=re.compile("Approve all"))).to_be_visible()
    look(max_, "the summary before several decisions")
    placet.decide("max", task, "request_changes", comment="Less.")
    max_.page.get_by_role("button", name=re.compile("Approve all")).click()
    expect(max_.page.get_by_role("heading", level=1)).to_contain_text("decided")
    look(max_, "the results of several decisions")
    max_.go(f"/tasks/{second}")
    look(max_, "a decided task")
    rita.go(f"/requests/{request['id']}/edit").get_by_label("Amount").fill("60")
    look(rita, "a change")
    rita.page.get_by_role("button", name="Look at the changes").click()
    expect(rita.page.locator(".changes")).to_be_visible()
    look(rita, "the difference")
    aud.go(f"/requests/{request['id']}")
    look(aud, "a request as an auditor sees it")
    aud.page.context.clear_cookies()
    aud.go("/login")
    look(aud, "the log-in page")
    assert found == []


def test_a_view_is_saved_and_opened_by_keyboard_and_among_the_commands(placet: Placet, visit: Visitors) -> None:
    started(placet, "Kept in view")
    visitor = visit("max", width=360)
    page = visitor.go("/?q=Kept+in+view")
    page.keyboard.press("v")
    page.keyboard.type("My chairs")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=saved")
    assert visitor.findings("the inbox with a saved view") == []
    page = visitor.go("/requests")
    page.keyboard.press("g")
    page.keyboard.press("1")
    page.wait_for_url("**/?q=Kept+in+view")
    expect(page.locator(".views a[aria-current]")).to_have_text("My chairs")
    page.keyboard.press("Control+k")
    page.keyboard.type("chairs")
    expect(page.locator("[data-palette-list] li.chosen")).to_contain_text("My chairs")
    page.keyboard.press("Escape")
    visitor.go("/views")
    assert visitor.findings("the saved views") == []
    page.get_by_role("button", name="Delete My chairs").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("You have no saved views")


def test_a_file_that_cannot_be_attached_is_told_where_it_was_chosen(
    placet: Placet, visit: Visitors, tmp_path: Path
) -> None:
    limits = {"max_files": 1, "max_bytes": 2000, "types": ["image/*"]}
    request = started(placet, "With a picture", settings={"attachments": limits})
    visitor = visit("rita", width=360)
    page = visitor.go(f"/requests/{request['id']}")
    expect(page.locator("#file-limits")).to_have_text("One more file, of 2 kB at most. Taken are: images.")
    large, lying, picture = (tmp_path / name for name in ("large.png", "lying.png", "picture.png"))
    large.write_bytes(PNG + bytes(3000))
    lying.write_bytes(b"<html><script>alert(1)</script></html>")
    picture.write_bytes(PNG)
    attach = page.get_by_role("button", name="Attach")
    page.set_input_files("#file", large)
    assert page.locator("#file").evaluate("field => field.validationMessage") == "A file may have 2 kB at most."
    expect(page.get_by_role("alert").filter(has_text="A file may have 2 kB at most.")).to_be_visible()
    assert visitor.findings("a file that is too large") == []
    page.set_input_files("#file", lying)
    attach.click()
    expect(page.locator("#files").get_by_role("alert")).to_contain_text("its content is text/html")
    assert visitor.findings("a refused file") == []
    page.set_input_files("#file", picture)
    attach.click()
    expect(page.locator(".files img")).to_be_visible()
    expect(page.locator("#files")).to_contain_text("as many files as its process allows")
    expect(attach).to_have_count(0)


def test_on_a_phone_fields_stand_below_each_other_and_nothing_is_squeezed(placet: Placet, visit: Visitors) -> None:
    def box(page: Page, which: Locator) -> dict[str, float]:
        found = which.bounding_box()
        assert found is not None, page.url
        return {name: float(value) for name, value in found.items()}

    max_, rita = visit("max", width=360), visit("rita", width=360)
    page = max_.go("/me")
    fields = [
        box(page, page.get_by_label(label, exact=label == "Substitute"))
        for label in ("First day", "Last day", "Substitute")
    ]
    assert {field["x"] for field in fields} == {fields[0]["x"]}, "below each other"

    (task,) = open_tasks(started(placet, "A narrow one", MAX | {"undo_seconds": 110})).values()
    page = max_.go(f"/tasks/{task}")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.wait_for_url("**undo=*")
    button = box(page, page.locator(".toast").get_by_role("button"))
    assert button["x"] + button["width"] <= 360
    assert box(page, page.locator(".toast .grow"))["width"] > 120, "its words are no narrow column beside the button"

    request = started(placet, "Returned")
    (task,) = open_tasks(request).values()
    placet.decide("max", task, "request_changes", comment="Why?")
    page = rita.go(f"/requests/{request['id']}/edit")
    page.get_by_label("Reason").fill(LONG)
    page.get_by_role("button", name="Look at the changes").click()
    expect(page.locator(".changes")).to_contain_text("Donau")
    widths = page.locator(".changes").locator("th, td").evaluate_all("cells => cells.map(one => one.offsetWidth)")
    assert min(widths) >= 64, "a long word in one column leaves the others theirs"

    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "later", "type": "wait", "hours": 100},
        {"id": "asked", "type": "approval", "step": "Manager"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ]
    ways = [
        ("start", "later", None),
        ("later", "asked", None),
        ("asked", "yes", "approved"),
        ("asked", "no", "rejected"),
    ]
    edges = [{"from": one, "to": other} | ({"on": on} if on else {}) for one, other, on in ways]
    request = started(placet, "Not yet", MAX, graph_spec={"nodes": nodes, "edges": edges})
    page = rita.go(f"/requests/{request['id']}")
    empty = page.locator(".stages .none")
    expect(empty).to_have_text("No stage has begun yet.")
    assert empty.evaluate("line => getComputedStyle(line).display") == "block", "a sentence in one piece"


def test_on_a_phone_what_is_asked_for_comes_before_the_decision_and_the_rest_after_it(
    placet: Placet, visit: Visitors
) -> None:
    request = started(placet, "From top to bottom")
    (task,) = open_tasks(request).values()
    page = visit("max", width=360).go(f"/tasks/{task}")
    tops = [page.locator(one).bounding_box() for one in (".lead", ".asked", "#decide", "#conversation")]
    places = [box["y"] for box in tops if box is not None]
    assert places == sorted(places)
    assert len(places) == 4


# Words of buttons and of tables that are scrolled which stand in more than one line; what cannot fit at all may break.
_BROKEN = """() => {
  const broken = [];
  for (const place of document.querySelectorAll("button, .button, .scroll :is(td, th)")) {
    const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (texts.nextNode())
      for (const { 0: word, index } of texts.currentNode.data.matchAll(/[^\\s-]+/g)) {
        const range = new Range();
        range.setStart(texts.currentNode, index);
        range.setEnd(texts.currentNode, index + word.length);
        if (new Set([...range.getClientRects()].map(rect => Math.round(rect.top))).size > 1) broken.push(word);
      }
  }
  return broken;
}"""


def test_on_a_phone_no_word_of_a_button_or_a_table_is_broken_into_letters(placet: Placet, visit: Visitors) -> None:
    (task,) = open_tasks(started(placet, "A lamp")).values()
    content = json.loads((Path(__file__).parents[2] / "blueprints/expense.json").read_text())
    draft = placet.post("ada", "blueprint-drafts/", {"content": content}, expect=201)
    broken, wide = [], []
    for person, path in (
        ("max", f"/tasks/{task}"),
        ("max", "/me/sessions"),
        ("max", "/"),
        ("ada", "/operations/retention"),
        ("ada", f"/drafts/{draft['id']}?at=node:{content['graph_spec']['nodes'][1]['id']}"),
    ):
        page = visit(person, width=360, locale="de-DE").go(path)
        broken += [f"{path}: {word}" for word in page.evaluate(_BROKEN)]
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide.append(path)
    assert (broken, wide) == ([], [])


@pytest.mark.parametrize("width", [360, 1400])
def test_what_an_address_leads_to_is_not_behind_the_bar(placet: Placet, visit: Visitors, width: int) -> None:
    page = visit("max", width=width).go("/preferences")
    expect(page.locator("#notices h2")).to_be_in_viewport(ratio=1)
    bar, place = page.locator(".bar").bounding_box(), page.locator("#notices").bounding_box()
    assert bar is not None
    assert place is not None
    assert place["y"] >= bar["y"] + bar["height"], page.url
