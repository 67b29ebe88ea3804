"""Signing a decision in a real browser: with a passkey of Chromium's virtual authenticator, and with a token."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import CDPSession, expect

from tests.browser import MAX, Visitor, Visitors, started
from tests.contract import Placet, open_tasks

LONG = "I have reviewed the invoice, the offer and the delivery note, and they agree with each other in every position"
SIGNED: dict[str, Any] = MAX | {"sign": {"reauthenticate": True, "reasons": ["I reviewed the invoice", LONG]}}


def at_localhost(placet: Placet, visit: Visitors, person: str, **more: Any) -> Visitor:
    """Log somebody in under a host name, which passkeys need."""
    visitor = visit.stranger(**more)
    visitor.base = visitor.base.replace("127.0.0.1", "localhost")
    visitor.go("/login")
    visitor.page.fill("#token", placet.tokens[person])
    visitor.page.get_by_role("button", name="Log in").click()
    visitor.page.wait_for_url(f"{visitor.base}/")
    return visitor


def with_authenticator(visitor: Visitor) -> tuple[CDPSession, str]:
    """Give a browser a virtual authenticator, which verifies its user; return it with its id."""
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, made["authenticatorId"]


def test_a_person_adds_a_passkey_signs_with_it_and_removes_it(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A new fork-lift for the northern warehouse, with a very long title", SIGNED)
    (task,) = open_tasks(request).values()
    visitor = at_localhost(placet, visit, "max")
    session, authenticator = with_authenticator(visitor)
    page = visitor.go("/me/passkeys")
    assert visitor.findings("no passkeys") == []
    page.get_by_label("What you call it").fill("My laptop")
    page.get_by_role("button", name="Add a passkey").press("Enter")
    page.wait_for_url("**done=passkey_added")
    expect(page.get_by_role("listitem").filter(has_text="My laptop")).to_contain_text("never used")
    assert visitor.findings("a passkey") == []

    visitor.go(f"/tasks/{task}")
    page.get_by_label("What your signature means").select_option(LONG)
    assert visitor.findings("the task to sign") == []
    page.get_by_role("button", name="Approve", exact=True).click()
    page.wait_for_url("**/sign/*")
    expect(page.get_by_role("main")).to_contain_text(LONG)
    assert visitor.findings("the signature") == []
    session.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.get_by_role("button", name="Sign with your passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was decided")
    assert placet.request(request)["tasks"][0]["status"] == "open"
    session.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": True})
    page.get_by_role("button", name="Sign with your passkey").press("Enter")
    page.wait_for_url("**done=approve")
    expect(page.get_by_role("main")).to_contain_text("confirmed by a passkey")
    assert visitor.findings("the signed task") == []
    (decided,) = placet.request(request)["tasks"]
    assert (decided["decision"], decided["signature"]["method"]) == ("approve", "passkey")
    assert (decided["signature"]["name"], decided["signature"]["reason"]) == ("Max", LONG)

    visitor.go("/me/passkeys")
    page.get_by_role("button", name="Remove My laptop").click()
    page.wait_for_url("**done=passkey_removed")
    expect(page.get_by_role("main")).to_contain_text("You have no passkey yet.")


def test_a_token_signs_on_a_phone_in_the_dark(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "Plainly signed", SIGNED)
    (task,) = open_tasks(request).values()
    visitor = visit("max", width=360, color_scheme="dark")
    page = visitor.go(f"/tasks/{task}")
    page.get_by_label("What your signature means").select_option(LONG)
    page.get_by_role("button", name="Reject", exact=True).click()
    page.wait_for_url("**/sign/*")
    assert visitor.findings("the signature on a phone") == []
    page.get_by_label("Your token").fill("wrong")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("no token of yours")
    assert visitor.findings("a refused signature on a phone") == []
    page.get_by_label("Your token").fill(placet.tokens["max"])
    page.get_by_role("button", name="Sign", exact=True).click()
    page.wait_for_url("**done=reject")
    assert placet.request(request)["tasks"][0]["signature"]["method"] == "token"
    visitor.go("/me/passkeys")
    assert visitor.findings("no passkeys here on a phone") == []
