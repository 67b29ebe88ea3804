"""Deciding from a real mail in a real browser: by the links in it, logged in or not, on a phone and by keyboard."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.browser import MAX, Visitors, started
from tests.contract import Placet, open_tasks
from tests.waiting import poll

LINK = re.compile(r"^(Approve|Reject): +(\S+)$", re.MULTILINE)
STRICT = MAX | {"decision_links": "session"}


def mail_about(placet: Placet, title: str) -> str:
    """Return the address of the mail that asks for a decision on this, once it is there."""
    subject = re.compile(rf'href="/?(\d+)">Your decision, please: {re.escape(title)}<')

    def arrived() -> str | None:
        found = subject.search(placet.http.get(placet.where["mailbox"]).text)
        return f"{placet.where['mailbox'].rstrip('/')}/{found.group(1)}" if found else None

    address = poll(arrived, what=f"the mail about {title}")
    assert address is not None
    return address


def links_in(placet: Placet, mail: str) -> dict[str, str]:
    """Return the links that decide in a mail."""
    return dict(LINK.findall(html.unescape(placet.http.get(mail).text)))


def decided(placet: Placet, request: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["detail"] for entry in placet.timeline(request, "decided")]


def test_a_manager_approves_by_a_link_of_a_mail(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A lamp from a mail", STRICT)
    max_ = visit("max")
    max_.page.goto(mail_about(placet, "A lamp from a mail"))
    mail = max_.page.frame_locator("iframe")
    expect(mail.get_by_role("link", name="Open", exact=True)).to_be_visible()
    with max_.page.expect_popup() as opened:
        mail.get_by_role("link", name="Approve").click()
    page = opened.value
    expect(page.get_by_role("heading", level=1)).to_have_text("Approve “A lamp from a mail”?")
    expect(page.locator(".amount")).to_have_text("€120.00")
    assert decided(placet, request) == []
    page.get_by_label("Comment").fill("A warm one.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    (detail,) = decided(placet, request)
    assert (detail["decision"], detail["via"], detail["why"]) == ("approve", "link", "A warm one.")
    assert "token" not in page.url
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("You have decided this")
    page.get_by_role("link", name="Open the task").click()
    expect(page.locator("#refused")).to_contain_text("Max has decided this")


def test_a_link_is_used_on_a_phone_without_a_session_or_scripts(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A desk for a phone")
    phone = visit.stranger(width=360, scripts=False, color_scheme="dark", locale="de-DE")
    phone.page.goto(links_in(placet, mail_about(placet, "A desk for a phone"))["Reject"])
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("„A desk for a phone“ ablehnen?")
    phone.page.get_by_label("Kommentar").focus()
    phone.page.keyboard.type("Zu teuer.")
    phone.page.keyboard.press("Tab")
    phone.page.keyboard.press("Enter")
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Abgelehnt")
    (detail,) = decided(placet, request)
    assert (detail["decision"], detail["via"], detail["why"]) == ("reject", "link", "Zu teuer.")


def test_a_forwarded_link_asks_for_its_person(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A forwarded desk", STRICT)
    link = links_in(placet, mail_about(placet, "A forwarded desk"))["Approve"]
    stranger = visit.stranger()
    stranger.page.goto(link)
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert "A forwarded desk" not in stranger.page.content()
    stranger.page.fill("#token", placet.tokens["max"])
    stranger.page.get_by_role("button", name="Log in").click()
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Approve “A forwarded desk”?")
    dana = visit("dana")
    dana.page.goto(link)
    expect(dana.page.get_by_role("alert")).to_contain_text("It was sent to Max, and you are logged in as Dana.")
    dana.page.get_by_role("button", name="Log out").click()
    dana.page.wait_for_url("**/login")
    assert decided(placet, request) == []


def test_a_scanner_that_opens_every_link_of_a_mail_decides_nothing(placet: Placet) -> None:
    request = started(placet, "A scanned desk")
    mail = placet.http.get(mail_about(placet, "A scanned desk")).text
    links = set(re.findall(r"http://[^\s\"'<>]+", html.unescape(html.unescape(mail))))
    assert len([link for link in links if "/decide?token=" in link]) == 2
    for link in sorted(links):
        for method in ("HEAD", "GET", "OPTIONS", "GET"):
            placet.http.request(method, link)
    assert decided(placet, request) == []
    assert list(open_tasks(placet.request(request))) == ["max"]


def test_no_page_of_a_link_has_a_serious_finding_of_axe_on_a_phone(placet: Placet, visit: Visitors) -> None:
    found: list[str] = []
    form = {"type": "object", "required": ["centre"], "properties": {"centre": {"type": "string", "title": "Centre"}}}
    request = started(placet, "A desk that is looked at", MAX | {"form": form, "comment_required": ["reject"]})
    links = links_in(placet, mail_about(placet, "A desk that is looked at"))
    phone = visit.stranger(width=360)
    (task,) = open_tasks(request).values()

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            phone.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
            found.extend(phone.findings(f"{name} ({scheme})"))

    for decision, link in links.items():
        phone.page.goto(link)
        look(decision)
    phone.page.goto(links["Approve"][:-3])
    look("a link that is not whole")
    phone.page.goto(links["Approve"])
    phone.page.get_by_label("Centre").fill("4711")
    phone.page.get_by_role("button", name="Approve").click()
    expect(phone.page.get_by_role("status")).to_contain_text("A desk that is looked at")
    look("a decision")
    phone.page.goto(links["Reject"])
    look("a link of what was decided")
    assert placet.request(request)["tasks"][0]["id"] == task
    assert found == []


def test_no_log_holds_the_token_of_a_link(placet: Placet) -> None:
    started(placet, "A logged desk")
    link = links_in(placet, mail_about(placet, "A logged desk"))["Approve"]
    for address in (link, link[:-2]):
        placet.http.get(address)
    token = urlsplit(link).query.partition("=")[2][:60]
    logs = [file.read_text(errors="replace") for file in placet.place.home.rglob("*.log")]
    assert logs
    assert not any(token in log for log in logs)
