"""Forms that are checked as one types, in a real browser: in the words of the server, and without a request."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import MAX, Visitor, Visitors
from tests.contract import Placet, open_tasks

VARIABLES: list[dict[str, Any]] = [
    {
        "name": "amount",
        "type": "decimal",
        "required": True,
        "currency": "EUR",
        "minimum": 0,
        "maximum": 5000,
        "scale": 2,
    },
    {"name": "rate", "type": "decimal"},
    {"name": "pieces", "type": "integer", "minimum": 1},
    {
        "name": "code",
        "type": "string",
        "pattern": r"^([A-Z][^\s\d]|[^a-zA-Z-])-\d{4}$",
        "description": "As on the order.",
    },
    {"name": "note", "type": "string", "min_length": 5, "max_length": 12},
    {"name": "day", "type": "date", "minimum": "2026-03-02"},
    {"name": "department", "type": "string", "enum": ["sales", "it"], "required": True},
    {"name": "shares", "type": "list", "items": {"type": "decimal", "maximum": 100}},
    {"name": "teams", "type": "list", "items": {"type": "string", "enum": ["a", "b", "c"]}, "min_length": 2},
    {
        "name": "lines",
        "type": "list",
        "items": {
            "type": "object",
            "properties": {"what": {"type": "string", "required": True}, "price": {"type": "decimal", "minimum": 1}},
        },
    },
]
# What is typed into each field, and in which words that is wrong.
WRONG: dict[str, tuple[str, str, str]] = {
    "amount": ("5.000,01", "Enter at most €5,000.00.", "Geben Sie höchstens 5.000,00 € ein."),
    "rate": ("12,3456,7", "Enter a number, such as 1,234.56.", "Geben Sie eine Zahl ein, etwa 1.234,56."),
    "pieces": ("1,5", "Enter a whole number, such as 12.", "Geben Sie eine ganze Zahl ein, etwa 12."),
    "code": ("AB-123", "This does not have the form", "Das hat nicht die Form"),
    "note": ("far too long a note", "Enter at most 12 characters (now 19).", "höchstens 12 Zeichen ein (jetzt 19)."),
    "day": ("2026-03-01", "Enter Mon, 2 Mar 2026 or a later one.", "Frühestens Mo., 2. März 2026."),
    "shares": ("12\n120", "Entry 2: Enter at most 100.", "Eintrag 2: Geben Sie höchstens 100 ein."),
    "lines-0-price": ("0,5", "Enter at least 1.", "Geben Sie mindestens 1 ein."),
}  # fmt: skip
RIGHT = {
    "amount": "1.234,50",
    "rate": "1,234.5",
    "pieces": "1.234.567",
    "code": "AB-1234",
    "note": "short",
    "day": "2026-03-02",
    "shares": "12\n99,5",
    "lines-0-price": "1,5",
}


_FILL = """([name, value]) => document.querySelector("[data-checked]").append(
  Object.assign(document.createElement("input"), { type: "hidden", name, value }))"""


def errors(page: Page) -> dict[str, str]:
    """Return what stands beside the fields, by the field."""
    said = page.locator("[data-error]:not(:empty)").all()
    return {str(one.get_attribute("id")).removesuffix("-error"): one.inner_text() for one in said}


def announced(page: Page, field: str) -> None:
    """Hold that what stands beside a field is told to whoever hears the page."""
    box, slot = page.locator(f"#{field}"), page.locator(f"#{field}-error")
    expect(slot).to_have_attribute("aria-live", "polite")
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_have_attribute("aria-describedby", re.compile(rf"\b{field}-error$"))


def sent_as_it_is(visitor: Visitor, **more: str) -> dict[str, str]:
    """Send the form past every check of the browser, and return what stands beside its fields on the server's page."""
    for pair in more.items():
        visitor.page.evaluate(_FILL, list(pair))
    with visitor.page.expect_navigation():
        visitor.page.evaluate("document.querySelector('[data-checked]').submit()")
    expect(visitor.page.locator(".alert.bad")).to_be_visible()
    return errors(visitor.page)


@pytest.fixture(scope="module")
def address(placet: Placet) -> str:
    """Publish the process, and return the address of its form."""
    made = placet.post("olivia", "process-templates/", placet.process(MAX, variables=VARIABLES), expect=201)
    placet.post("olivia", f"process-templates/{made['id']}/publish/")
    return f"/requests/new/{made['id']}"


@pytest.mark.parametrize(
    ("width", "more", "language", "send"),
    [
        (360, {}, 0, "Ask for approval"),
        (1400, {"locale": "de-DE", "color_scheme": "dark"}, 1, "Genehmigung beantragen"),
    ],
)
def test_what_is_wrong_is_said_as_one_types_in_the_words_that_the_server_has_for_it(
    placet: Placet, visit: Visitors, address: str, width: int, more: dict[str, Any], language: int, send: str
) -> None:
    visitor = visit("rita", width=width, **more)
    page = visitor.go(address)
    asked: list[str] = []
    page.on("request", lambda call: call.resource_type in {"document", "fetch", "xhr"} and asked.append(call.url))
    for name, words in WRONG.items():
        field = page.locator(f"#f-input-{name}")
        if name == "day":
            field.fill(words[0])
        else:
            field.focus()
            page.keyboard.type(words[0])
        expect(page.locator(f"#f-input-{name}-error")).to_contain_text(words[1 + language])  # without leaving the field
        announced(page, f"f-input-{name}")
    page.locator("#f-input-teams input").first.check()
    expect(page.locator("#f-input-teams-error")).to_contain_text("2")
    expect(page.locator("#f-input-lines-0-what-error")).to_be_empty()  # nobody was there yet
    page.get_by_role("button", name=send).click()
    expect(page.locator("#f-input-amount")).to_be_focused()
    seen = errors(page)
    assert seen.keys() == {f"f-input-{name}" for name in (*WRONG, "department", "teams", "lines-0-what")}
    assert asked == [], "the browser tells by itself"
    findings = visitor.findings(f"a form that is checked {width}")
    assert sent_as_it_is(visitor) == seen, "the server says the same"
    findings += visitor.findings(f"a form that was refused {width}")
    assert findings == []

    for name, text in RIGHT.items():
        field = page.locator(f"#f-input-{name}")
        field.fill(text)
        expect(page.locator(f"#f-input-{name}-error")).to_be_empty()
        expect(field).not_to_have_attribute("aria-invalid", "true")
    page.locator("#f-input-department").select_option("it")
    page.locator("#f-input-teams input").last.check()
    page.locator("#f-input-lines-0-what").fill("A chair")
    assert errors(page) == {}
    page.get_by_role("button", name=send).click()
    page.wait_for_url("**/requests/*?done=start")
    given = placet.request({"id": page.url.partition("?")[0].rpartition("/")[2]})["input"]
    assert (given["amount"], given["rate"], given["pieces"]) == ("1234.50", "1234.5", 1234567)
    assert given["lines"] == [{"what": "A chair", "price": "1.5"}]


def test_a_row_that_is_added_is_checked_and_an_empty_one_is_left_out(visit: Visitors, address: str) -> None:
    page = visit("rita").go(address)
    page.locator("[data-add-row]").click()
    page.locator("#f-input-lines-1-price").fill("much")
    page.locator("#f-input-lines-1-price").press("Tab")
    expect(page.locator("#f-input-lines-1-price-error")).to_have_text("Enter a number, such as 1,234.56.")
    announced(page, "f-input-lines-1-price")
    page.locator("#f-input-amount").fill("1")
    page.locator("#f-input-department").select_option("it")
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.locator("#f-input-lines-1-what-error")).to_have_text("Fill this in.")
    page.locator("#f-input-lines-1-price").fill("")
    expect(page.locator("#f-input-lines-1-price-error")).to_be_empty()
    page.locator("#f-input-amount").focus()
    assert errors(page) == {}, "an empty row is no row"
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url("**/requests/*?done=start")


def test_without_scripts_the_same_words_stand_beside_the_fields_after_sending(visit: Visitors, address: str) -> None:
    page = visit("rita", width=360, scripts=False).go(address)
    page.locator("#f-input-amount").fill("5.000,01")
    page.locator("#f-input-pieces").fill("1,5")
    page.locator("#f-input-department").select_option("it")
    page.get_by_role("button", name="Ask for approval").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Amount: Enter at most €5,000.00.")
    assert errors(page) == {
        "f-input-amount": WRONG["amount"][1],
        "f-input-pieces": WRONG["pieces"][1],
    }
    page.locator("#f-input-amount").fill("5.000,00")
    page.locator("#f-input-pieces").fill("1")
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url("**/requests/*?done=start")


FORM: dict[str, Any] = {
    "type": "object",
    "required": ["centre"],
    "properties": {
        "centre": {"type": "string", "title": "Centre", "pattern": "^[0-9]{4}$"},
        "share": {"type": "number", "title": "Share", "minimum": 0.5, "maximum": 100},
        "parts": {"type": "integer", "title": "Parts"},
    },
}
ASKS: dict[str, Any] = MAX | {"form": FORM, "comment_required": ["reject"]}


@pytest.mark.parametrize(
    ("width", "more", "words", "approve", "reject", "why"),
    [
        (
            360,
            {},
            {
                "f-form-centre": "This does not have the form that is needed: ^[0-9]{4}$",
                "f-form-share": "Enter at most 100.",
                "f-form-parts": "Enter a whole number, such as 12.",
            },
            "Approve",
            "Reject",
            "Say why: rejecting needs a comment in this stage.",
        ),
        (
            1400,
            {"locale": "de-DE"},
            {
                "f-form-centre": "Das hat nicht die Form, die nötig ist: ^[0-9]{4}$",
                "f-form-share": "Geben Sie höchstens 100 ein.",
                "f-form-parts": "Geben Sie eine ganze Zahl ein, etwa 12.",
            },
            "Genehmigen",
            "Ablehnen",
            "",
        ),
    ],
)
def test_the_form_of_a_decision_is_checked_as_one_types_and_a_rejection_needs_none(
    placet: Placet,
    visit: Visitors,
    width: int,
    more: dict[str, Any],
    words: dict[str, str],
    approve: str,
    reject: str,
    why: str,
) -> None:
    request = placet.start(placet.publish(placet.process(ASKS)), title=f"A desk of {width}")
    (task,) = open_tasks(request).values()
    visitor = visit("max", width=width, **more)
    page = visitor.go(f"/tasks/{task}")
    for name, text in {"centre": "47", "share": "1.234,50", "parts": "7,5"}.items():
        page.locator(f"#f-form-{name}").focus()
        page.keyboard.type(text)
        expect(page.locator(f"#f-form-{name}-error")).to_have_text(words[f"f-form-{name}"])
        announced(page, f"f-form-{name}")
    page.get_by_role("button", name=approve, exact=True).click()
    expect(page.locator("#f-form-centre")).to_be_focused()
    seen = errors(page)
    assert seen == words
    findings = visitor.findings(f"the form of a decision that is checked {width}")
    assert sent_as_it_is(visitor, decision="approve") == seen
    assert findings + visitor.findings(f"the form of a decision that was refused {width}") == []

    for name in ("centre", "share", "parts"):
        page.locator(f"#f-form-{name}").fill("")
    page.get_by_role("button", name=reject, exact=True).click()
    expect(page.locator("#comment")).to_be_focused()
    said = page.locator("#comment-error").inner_text()
    assert errors(page).keys() == {"comment"}, "a rejection needs no form"
    assert said == why or not why
    assert sent_as_it_is(visitor, decision="reject") == {"comment": said}
    page.locator("#comment").fill("No desk.")
    page.get_by_role("button", name=reject, exact=True).click()
    page.wait_for_url("**done=reject")
    assert placet.request(request)["outcome"] == "rejected"


def test_what_is_sent_in_again_is_checked_as_one_types(placet: Placet, visit: Visitors) -> None:
    variables = [VARIABLES[0], VARIABLES[4]]
    request = placet.start(placet.publish(placet.process(MAX, variables=variables)), given={"amount": "10"})
    (task,) = open_tasks(request).values()
    placet.decide("max", task, "request_changes", comment="Less.")
    page = visit("rita", width=360).go(f"/requests/{request['id']}/edit")
    page.locator("#f-input-amount").fill("")
    page.locator("#f-input-amount").press("Tab")
    expect(page.locator("#f-input-amount-error")).to_have_text("Fill this in.")
    page.locator("#f-input-note").focus()
    page.keyboard.type("abc")
    expect(page.locator("#f-input-note-error")).to_have_text("Enter at least 5 characters (now 3).")
    page.get_by_role("button", name="Look at the changes").click()
    expect(page.locator("#f-input-amount")).to_be_focused()
    page.locator("#f-input-amount").fill("9,50")
    page.locator("#f-input-note").fill("a chair")
    page.get_by_role("button", name="Look at the changes").click()
    expect(page.locator(".changes")).to_contain_text("€9.50")
    page.get_by_role("button", name="Send in again").click()
    page.wait_for_url("**done=resubmit")
