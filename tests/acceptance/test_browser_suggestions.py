"""Suggestions in a real browser: read, accepted into a draft, and rejected; by keyboard, on a phone, in the dark."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import MAX, SCRIPT, Visitors, choose_process
from tests.contract import Placet, open_tasks

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützen of the second reading wait " * 2
FASTER = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 4}]


def suggested(placet: Placet, title: str = "Halve the deadline", *, name: str | None = None, **more: Any) -> Any:
    """Publish a process with two decided requests, and suggest a change of it."""
    content = placet.process(MAX, {"stage_name": LONG[:80], "approvers": ["user:carla"]})
    template = placet.publish(content | ({"name": name} if name else {}))
    for _ in range(2):
        request = placet.start(template, title=f"{SCRIPT} {LONG}")
        placet.decide("max", request["tasks"][0]["id"])
        placet.decide("carla", next(iter(open_tasks(placet.request(request)).values())))
    body = {"template": template, "title": title, "description": f"{SCRIPT} {LONG}", "patch": FASTER} | more
    return placet.post("ada", "workflow-suggestions/", body, expect=201)


def test_a_suggestion_goes_by_keyboard_from_the_list_to_a_published_version_and_a_request(
    placet: Placet, visit: Visitors
) -> None:
    made = suggested(placet)
    olivia = visit("olivia", width=360)
    page = olivia.go("/drafts")
    page.get_by_role("link", name="Suggestions", exact=True).first.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Suggestions")
    page.locator("select[name=process]").first.select_option(made["template"])
    page.wait_for_url("**process=**")
    findings = olivia.findings("suggestions on a phone")
    page.get_by_role("link", name="Halve the deadline").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Halve the deadline")
    page.get_by_text("As a JSON Patch").press("Enter")
    expect(page.get_by_role("region", name="JSON Patch")).to_contain_text('"op": "replace"')
    findings += olivia.findings("a suggestion on a phone")
    page.get_by_role("link", name="Accept…").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accept this suggestion?")
    page.get_by_label("Notes").fill("Half the time is enough.")
    findings += olivia.findings("accepting on a phone")
    page.get_by_role("button", name="Accept it").press("Enter")
    page.wait_for_url("**/drafts/suggestion-*")
    expect(page.locator("#toasts")).to_contain_text("This is the draft of the next version")
    olivia.go(f"{page.url.partition('?')[0].removeprefix(olivia.base)}/publish")
    page.get_by_role("button", name="Publish", exact=True).press("Enter")
    page.wait_for_url("**/move*")
    page = olivia.go(f"/suggestions/{made['id']}")
    expect(page.get_by_role("link", name="Version 1.1.0, published")).to_be_visible()
    expect(page.locator(".quote")).to_have_text("Half the time is enough.")
    findings += olivia.findings("an accepted suggestion on a phone")
    request = placet.start(made["template"])
    assert request["version"] == "1.1.0"
    assert findings == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light"), (1400, "dark")])
def test_a_suggestion_with_long_names_is_whole_and_rejected_with_notes(
    placet: Placet, visit: Visitors, width: int, scheme: Any
) -> None:
    made = suggested(placet, f"{SCRIPT} {LONG}"[:200], name=f"{placet.name()} {LONG}"[:100].strip())
    ada = visit("ada", width=width, color_scheme=scheme)
    page = ada.go("/suggestions")
    expect(page.locator(f'[data-row-id="{made["id"]}"]')).to_contain_text("at least")
    findings = ada.findings(f"suggestions {scheme}")
    page = ada.go(f"/suggestions/{made['id']}")
    expect(page.get_by_text("2 past requests were compared.")).to_be_visible()
    findings += ada.findings(f"a suggestion {scheme}")
    page.get_by_role("link", name="Reject…").click()
    page.get_by_label("Notes").fill(LONG)
    findings += ada.findings(f"rejecting {scheme}")
    page.get_by_role("button", name="Reject it").click()
    expect(page.locator(".side-column .pill").first).to_have_text("Rejected")
    expect(page.locator("#toasts")).to_contain_text("It comes back only with other evidence.")
    findings += ada.findings(f"a rejected suggestion {scheme}")
    assert findings == []


def test_an_empty_list_says_how_suggestions_come_about_and_looks_for_some(placet: Placet, visit: Visitors) -> None:
    name = placet.publish(placet.process(MAX))
    olivia = visit("olivia", width=360, locale="de-DE", color_scheme="dark")
    page = olivia.go(f"/suggestions?process={name}&status=all")
    expect(page.get_by_role("heading", level=2).first).to_have_text("Nichts gefunden")
    findings = olivia.findings("no suggestions in German")
    choose_process(page, name)
    page.get_by_role("button", name="Vorschläge suchen").press("Enter")
    expect(page.get_by_role("heading", name="Es wurde nichts Neues gefunden")).to_be_visible()
    findings += olivia.findings("nothing new in German")
    aud = visit("aud")
    page = aud.go(f"/suggestions?process={name}")
    expect(page.get_by_role("button", name=re.compile("Look for"))).to_have_count(0)
    findings += aud.findings("no suggestions for an auditor")
    assert findings == []
