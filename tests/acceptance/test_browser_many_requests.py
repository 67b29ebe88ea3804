"""Many requests at once and the acts of administration in a real browser: by keyboard, on a phone, without scripts."""

from __future__ import annotations

import re
from uuid import uuid4

from playwright.sync_api import expect

from tests.browser import SCRIPT, Visitors, started
from tests.contract import Placet

LONG = "A journey to Castrop-Rauxel with Donaudampfschifffahrtsgesellschaftskapitänsmützen and more"


def test_an_admin_cancels_by_keyboard_on_a_phone_what_the_preview_shows(visit: Visitors, placet: Placet) -> None:
    mark = uuid4().hex[:8]
    for title in (f"{LONG} {mark}", f"{SCRIPT} {mark}"):
        started(placet, title)
    visitor = visit("ada", width=360)
    page = visitor.go(f"/requests?whose=all&q={mark}")
    for box in page.locator("[data-pick]").all():
        box.press("Space")
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    assert visitor.findings("many requests, selected") == []
    page.get_by_role("button", name="Cancel requests…").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel several requests")
    assert visitor.findings("many requests, why") == []
    page.get_by_label("Reason").fill("Ordered twice")
    page.get_by_role("button", name="Show what would happen").press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("This would happen to 2")
    expect(page.get_by_text("The request ends as cancelled.")).to_have_count(2)
    assert visitor.findings("many requests, previewed") == []
    page.get_by_role("button", name="Cancel all 2").press("Enter")
    expect(page.get_by_role("status").first).to_have_text("2 of 2 done")
    assert visitor.findings("many requests, done") == []
    assert visitor.complaints == []


def test_choosing_a_status_filters_the_requests_that_an_admin_then_acts_on(visit: Visitors, placet: Placet) -> None:
    mark = uuid4().hex[:8]
    started(placet, f"Chairs {mark}")
    visitor = visit("ada")
    page = visitor.go(f"/requests?whose=all&q={mark}")
    page.get_by_label("Status").select_option("failed")
    expect(page).to_have_url(re.compile("status=failed"))
    assert f"q={mark}" in page.url
    assert "whose=all" in page.url
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_label("Status").select_option("pending")
    expect(page.locator("li.row")).to_have_count(1)
    expect(page.locator("[data-bulk] input[name=status]")).to_have_value("pending")
    assert visitor.complaints == []


def test_what_waits_for_somebody_goes_to_another_without_scripts_and_in_german(visit: Visitors, placet: Placet) -> None:
    mark = uuid4().hex[:8]
    own = {"stage_name": "Jury", "approvers": ["user:cid"], "sla_hours": 8}
    started(placet, f"Chairs {mark}", own)
    visitor = visit("ada", scripts=False, locale="de-DE", color_scheme="dark")
    page = visitor.go("/operations/people/cid")
    page.get_by_role("button", name="Alle ihre Aufgaben neu zuweisen …").click()
    page.get_by_label("Person, die sie erhält").fill("ben")
    page.get_by_label("Grund").fill("Ist gegangen")
    page.get_by_role("button", name="Zeigen, was geschehen würde").click()
    expect(page.get_by_text(re.compile("„Jury“: Ben erhält sie von Cid")).first).to_be_visible()
    page.get_by_role("button", name=re.compile("neu zuweisen|Neu zuweisen")).click()
    expect(page.locator("li", has_text=f"Chairs {mark}")).to_contain_text("Erledigt")
    visitor = visit("ada", locale="de-DE", color_scheme="dark")  # with scripts, which axe is
    page = visitor.go("/operations/acts?kind=tasks_reassigned")
    expect(page.locator("li.row").first).to_contain_text("Mehrere Aufgaben neu zugewiesen")
    assert visitor.findings("acts in the dark") == []
    assert visitor.complaints == []


def test_an_auditor_finds_who_did_what_on_a_phone(visit: Visitors) -> None:
    visitor = visit("aud", width=360)
    page = visitor.go("/operations/acts")
    expect(page.get_by_role("heading", level=1)).to_have_text("Administrative acts")
    page.locator("#kind").select_option("people_loaded")
    page.get_by_role("button", name="Show", exact=True).press("Enter")
    expect(page.locator("li.row").first).to_contain_text("Operator")
    page.locator("li.row summary").first.press("Enter")
    expect(page.locator("li.row").first).to_contain_text("rita")
    assert visitor.findings("acts, people loaded") == []
    visitor.go("/operations/acts?actor=nobody")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    assert visitor.findings("acts, none") == []
    assert visitor.complaints == []
