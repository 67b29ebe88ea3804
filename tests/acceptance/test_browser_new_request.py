"""A new request with its files in a real browser: by keyboard on a phone, in the dark in German, without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.browser import AMOUNT, MAX, PNG, Visitors
from tests.contract import Placet

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
LONG = "The offer of the maker of chairs, as it was sent on the second of March, with everything that belongs to it.pdf"


def file(name: str, content: bytes = PDF) -> FilePayload:
    return {"name": name, "mimeType": "application/pdf" if name.endswith("pdf") else "image/png", "buffer": content}


def process(placet: Placet) -> str:
    """Publish a process that takes three files, and return the address of its form."""
    limits: dict[str, Any] = {"max_files": 3, "max_bytes": 3000, "types": ["application/pdf", "image/*"]}
    made = placet.post(
        "olivia",
        "process-templates/",
        placet.process(MAX, variables=AMOUNT, settings={"attachments": limits}),
        expect=201,
    )
    placet.post("olivia", f"process-templates/{made['id']}/publish/")
    return f"/requests/new/{made['id']}"


def names(page: Page) -> list[str]:
    return page.locator("[data-chosen] .file-name").all_inner_texts()


def attached(placet: Placet, page: Page) -> list[str]:
    """Return the files that a request had before anybody was asked, from its page."""
    request = {"id": page.url.partition("?")[0].rpartition("/")[2]}
    entries = placet.timeline(request)
    kinds = [entry["kind"] for entry in entries]
    assert kinds.index("task_opened") > len(kinds) - 1 - kinds[::-1].index("attached") if "attached" in kinds else True
    return [entry["detail"]["name"] for entry in entries if entry["kind"] == "attached"]


@pytest.mark.parametrize(
    ("width", "more", "remove", "send"),
    [
        (360, {}, "Remove", "Ask for approval"),
        (1400, {"locale": "de-DE", "color_scheme": "dark"}, "Entfernen", "Genehmigung"),
    ],
)
def test_files_are_chosen_with_the_form_and_go_with_it(
    placet: Placet, visit: Visitors, width: int, more: dict[str, Any], remove: str, send: str
) -> None:
    rita = visit("rita", width=width, **more)
    page = rita.go(process(placet))
    findings = rita.findings(f"a new request {width}")
    page.locator("#file").set_input_files([file(LONG), file("chair.png", PNG), file("large.pdf", PDF + bytes(4000))])
    expect(page.locator("[data-chosen] .file-name")).to_have_count(2)
    expect(page.locator("[data-uploads] .wrong")).to_contain_text("large.pdf")
    findings += rita.findings(f"a new request with files {width}")
    page.locator("[data-uploads] [data-give-up]").press("Enter")
    expect(page.locator("[data-uploads] li")).to_have_count(0)
    page.locator("#file").set_input_files(file("fake.pdf", b"<!doctype html><html>"))
    expect(page.locator("[data-uploads] .wrong .error")).not_to_be_empty()
    page.locator("[data-uploads] [data-give-up]").press("Enter")
    expect(page.locator("#file")).to_be_focused()

    assert names(page) == [LONG, "chair.png"]
    page.reload()  # the address names the form
    assert names(page) == [LONG, "chair.png"]
    page.locator("[data-chosen] li", has_text="chair.png").get_by_role("button", name=remove).press("Enter")
    expect(page.locator("[data-chosen] .file-name")).to_have_count(1)
    page.locator("[name='input.amount']").fill("nonsense")
    page.locator("[name='input.amount']").press("Enter")  # would send the form, and removes nothing
    expect(page.locator("#f-input-amount-error")).not_to_be_empty()
    assert names(page) == [LONG]
    findings += rita.findings(f"a new request refused {width}")
    page.locator("[name='input.amount']").fill("120")
    page.get_by_role("button", name=send).click()
    page.wait_for_url("**/requests/*?done=start")
    expect(page.locator("#files")).to_contain_text(LONG)
    assert attached(placet, page) == [LONG]
    assert findings == []


def test_a_form_that_is_sent_while_a_file_is_on_its_way_waits_for_it(placet: Placet, visit: Visitors) -> None:
    rita = visit("rita")
    page = rita.go(process(placet))
    page.locator("[name='input.amount']").fill("120")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()  # the second file follows the first
        held.append(route)

    page.route("**/files", hold)
    page.locator("#file").set_input_files([file("offer.pdf"), file("plan.pdf", PDF + b"%")])
    expect(page.locator("[data-uploads] li")).to_have_count(2)
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.locator("[data-said]")).to_have_text("The request is sent in as soon as the files are there.")
    held[0].continue_()
    page.wait_for_url("**/requests/*?done=start")
    assert attached(placet, page) == ["offer.pdf", "plan.pdf"]


def test_a_file_whose_upload_fails_is_tried_again(placet: Placet, visit: Visitors) -> None:
    rita = visit("rita")
    page = rita.go(process(placet))
    page.locator("[name='input.amount']").fill("120")
    page.route("**/files", lambda route: route.fulfill(status=503, body="<p>away</p>", content_type="text/html"))
    page.locator("#file").set_input_files(file("offer.pdf"))
    again = page.get_by_role("button", name="Try again offer.pdf")
    expect(again).to_be_visible()
    page.get_by_role("button", name="Ask for approval").click()
    expect(again).to_be_focused()  # nothing is sent without the file
    page.unroute("**/files")
    again.press("Enter")
    expect(page.locator("[data-chosen] .file-name")).to_have_count(1)
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url("**/requests/*?done=start")
    assert attached(placet, page) == ["offer.pdf"]


def test_files_go_with_the_form_without_scripts_and_are_offered_again(placet: Placet, visit: Visitors) -> None:
    rita = visit("rita", width=360, scripts=False)
    address = process(placet)
    page = rita.go(address)
    page.locator("[name='input.amount']").fill("120")
    page.locator("#file").set_input_files([file("offer.pdf"), file("chair.png", PNG)])
    page.get_by_role("button", name="Attach").click()
    expect(page.locator("[data-chosen] .file-name")).to_have_text(["offer.pdf", "chair.png"])
    assert page.locator("[name='input.amount']").input_value() == "120"
    page.goto(rita.base + address)  # as if it had been closed meanwhile
    page.get_by_role("link", name="Go on with it").click()
    page.get_by_role("button", name="Remove offer.pdf").click()
    expect(page.locator("[data-chosen] .file-name")).to_have_text(["chair.png"])
    page.locator("[name='input.amount']").fill("120")
    page.locator("#file").set_input_files(file("plan.pdf"))
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url("**/requests/*?done=start")
    assert attached(placet, page) == ["chair.png", "plan.pdf"]


def test_what_was_typed_is_kept_until_it_is_sent_and_a_request_is_copied_as_new(
    placet: Placet, visit: Visitors
) -> None:
    rita = visit("rita", width=360)
    address = process(placet)
    page = rita.go(address)
    page.get_by_label("Title").fill("Half a thought")
    page.get_by_label("Amount").fill("12,50")
    page.wait_for_function("localStorage.length === 1")
    assert "thought" not in page.evaluate("JSON.stringify(localStorage) + atob(Object.values(localStorage)[0])")
    assert page.evaluate("Object.isFrozen(Object.prototype)")
    page.reload()
    expect(page.get_by_label("Title")).to_have_value("Half a thought")
    expect(page.get_by_label("Amount")).to_have_value("12,50")
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Half a thought")
    request = page.url.partition("?")[0]
    rita.go(address)
    expect(page.get_by_label("Title")).to_have_value("")
    page.goto(request)
    page.get_by_role("link", name="Copy as a new request").click()
    expect(page.get_by_label("Title")).to_have_value("Half a thought")
    expect(page.get_by_label("Amount")).to_have_value(re.compile("12.50?"))
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Half a thought")
