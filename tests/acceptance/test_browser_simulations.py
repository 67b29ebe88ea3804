"""Simulations in a browser: ordered by form, watched, their branches, rows and two timelines, without scripts too."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import AMOUNT, Visitors
from tests.contract import Placet
from tests.waiting import poll

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenbeschaffung " * 2
GATE: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "trigger"},
        {"id": "manager", "type": "approval", "step": "Manager"},
        {"id": "large", "type": "decision"},
        {"id": "chief", "type": "approval", "step": "Chief"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ],
    "edges": [
        {"from": "start", "to": "manager"},
        {"from": "manager", "to": "large", "on": "approved"},
        {"from": "manager", "to": "no", "on": "rejected"},
        {"from": "large", "to": "chief", "condition": "amount > 5000"},
        {"from": "large", "to": "yes", "default": True},
        {"from": "chief", "to": "yes", "on": "approved"},
        {"from": "chief", "to": "no", "on": "rejected"},
    ],
}
STEPS: tuple[dict[str, Any], ...] = (
    {"stage_name": "Manager", "approvers": ["user:max"], "sla_hours": 8},
    {"stage_name": "Chief", "approvers": ["user:dana"], "sla_hours": 24},
)
NARROW = 360


def published(placet: Placet, **more: Any) -> tuple[str, str]:
    """Publish a process of two stages; return its name, and the id of its version."""
    blueprint = placet.process(*STEPS, variables=AMOUNT, graph_spec=GATE, **more)
    name = placet.publish(blueprint)
    found = placet.get("olivia", "process-templates/?name=" + name)
    return name, found["items"][0]["id"]


def simulated(page: Page) -> None:
    """Wait until the simulation that is shown has ended; the page renews itself."""
    expect(page.locator("#simulation[data-simulation]")).to_have_count(0)
    expect(page.locator(".lead-line .pill").first).to_have_text(re.compile("Completed|Abgeschlossen"))


def ordered(placet: Placet, who: str, spec: dict[str, Any]) -> str:
    """Order a simulation by the API and return its id once it has ended."""
    found = placet.post(who, "workflow-simulations/", spec, expect=201)
    address = f"workflow-simulations/{found['id']}/"
    poll(lambda: placet.get(who, address)["status"] != "running", what="the end of the simulation")
    return str(found["id"])


def test_branches_are_found_with_their_inputs_and_one_is_rehearsed(placet: Placet, visit: Visitors) -> None:
    _, template = published(placet)
    visitor = visit("rita")
    page = visitor.go(f"/simulations/new/{template}")
    page.get_by_label("amount").fill("many")
    expect(page.locator(".field", has=page.locator("[name='input.amount']")).locator(".error")).to_be_visible()
    assert visitor.findings("ordering an exploration") == []
    page.get_by_label("amount").fill("7200")
    expect(page.locator(".field", has=page.locator("[name='input.amount']")).locator(".error")).to_have_text("")
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url(re.compile(r"/simulations/[0-9a-f]{32}$"))
    simulated(page)
    expect(page.locator(".group-card")).to_have_count(2)
    expect(page.locator(".branches > li")).to_have_count(4)
    assert visitor.findings("an exploration") == []
    page.locator(".branches a.title", has_text="Manager: Approved → Chief: Rejected").click()
    expect(page.get_by_role("heading", name=re.compile("^Branch"))).to_be_visible()
    expect(page.locator("svg .done")).not_to_have_count(0)
    expect(page.locator(".timeline")).to_contain_text("Chief: a decision is asked of Dana")
    assert visitor.findings("a branch") == []
    page.get_by_role("link", name="Start from these inputs").click()
    page.wait_for_url("**mode=rehearse**")
    expect(page.locator("[name='script.0.decision']")).to_have_value("reject")
    amount = page.get_by_label("amount").input_value()
    assert float(amount) > 5000
    page.get_by_role("button", name="Simulate", exact=True).click()
    simulated(page)
    expect(page.locator(".timeline")).to_contain_text("The request ended: Rejected")
    expect(page.get_by_text("The engine did what the simulation of the core foresaw.")).to_be_visible()


def test_a_script_of_the_form_adds_an_approver(placet: Placet, visit: Visitors) -> None:
    _, template = published(placet)
    visitor = visit("rita")
    page = visitor.go(f"/simulations/new/{template}?mode=rehearse")
    page.get_by_label("amount").fill("10")
    for name, value in {"on": "Manager", "do": "add_approver"}.items():
        page.locator(f"[name='script.0.{name}']").select_option(value)
    page.locator("[name='script.0.after_hours']").fill("1")
    page.locator("[name='script.0.to']").fill("dana")
    page.get_by_role("button", name="Simulate", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Says: Write what they say.")
    assert visitor.findings("a script with a fault") == []
    page.locator("[name='script.0.comment']").fill("She knows the client.")
    page.get_by_role("button", name="Simulate", exact=True).click()
    simulated(page)
    expect(page.locator(".timeline")).to_contain_text("Max added Dana as an approver")


def test_two_versions_are_simulated_and_stand_side_by_side_on_a_phone(placet: Placet, visit: Visitors) -> None:
    name, template = published(placet)
    slower = [STEPS[0] | {"sla_hours": 80}, STEPS[1]]
    blueprint = placet.process(*slower, variables=AMOUNT, graph_spec=GATE) | {"name": name, "version": "1.1.0"}
    placet.publish(blueprint)
    visitor = visit("rita", width=NARROW, color_scheme="dark")
    page = visitor.go(f"/simulations/new/{template}?mode=explore")
    page.get_by_label("amount").fill("10")
    page.get_by_label("Compare with version").select_option(label="1.1.0")
    assert visitor.findings("ordering two simulations") == []
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url("**/simulations/compare?**")
    differs = page.locator(".compared .differs")
    expect(differs.first).to_be_visible()
    expect(page.locator(".compared")).to_contain_text("later")
    sides = differs.last.locator(".side")
    boxes = [sides.nth(number).bounding_box() for number in (0, 1)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"] - 1
    assert visitor.findings("two timelines") == []


def test_rows_of_a_backtest_are_filtered_and_open_both_timelines(placet: Placet, visit: Visitors) -> None:
    name, template = published(placet, owner="user:olivia")
    for number in range(3):
        request = placet.start(name, given={"amount": str(100 + 9000 * (number % 2))}, title=f"{LONG} {number}")
        placet.decide("max", request["tasks"][0]["id"], "reject" if number == 2 else "approve", comment="so")
        for task in placet.request(request)["tasks"]:
            if task["status"] == "open":
                placet.decide("dana", task["id"])
    graph = {**GATE, "edges": [e | ({"condition": "amount > 50"} if "condition" in e else {}) for e in GATE["edges"]]}
    placet.publish(placet.process(*STEPS, variables=AMOUNT, graph_spec=graph) | {"name": name, "version": "1.1.0"})
    visitor = visit("olivia")
    page = visitor.go(f"/simulations/new/{template}?mode=backtest")
    page.get_by_role("navigation", name="Version").get_by_role("link", name="1.1.0").click()
    assert visitor.findings("ordering a backtest") == []
    page.get_by_role("button", name="Simulate", exact=True).click()
    simulated(page)
    expect(page.locator(".tested > li")).to_have_count(3)
    assert visitor.findings("a backtest") == []
    page.get_by_role("link", name=re.compile("^Unknown")).click()
    rows = page.locator(".tested > li")
    expect(rows).to_have_count(1)
    assert "shown=unknown" in page.url
    page.get_by_role("link", name=re.compile("^The same")).click()
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Both timelines")).to_be_visible()
    expect(page.locator(".compared > li").first).to_contain_text("started the request")
    assert visitor.findings("a row of a backtest") == []
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert visitor.findings("a row of a backtest on a phone") == []


def test_a_real_request_is_replayed_from_the_form(placet: Placet, visit: Visitors) -> None:
    name, template = published(placet)
    request = placet.start(name, given={"amount": "10"}, title="Replay me")
    placet.decide("max", request["tasks"][0]["id"])
    visitor = visit("rita")
    page = visitor.go(f"/simulations/new/{template}?mode=replay")
    page.get_by_label("Request").select_option(label="Replay me")
    page.locator("[name='script.0.on']").select_option("Manager")
    page.locator("[name='script.0.decision']").select_option("reject")
    page.locator("[name='script.0.comment']").fill("no")
    page.get_by_role("button", name="Simulate", exact=True).click()
    simulated(page)
    expect(page.locator(".compared .differs").first).to_be_visible()
    assert visitor.findings("a replay") == []


def test_it_works_without_scripts_in_german_and_says_why_it_failed(placet: Placet, visit: Visitors) -> None:
    name, template = published(placet)
    visitor = visit("rita", scripts=False, width=NARROW, locale="de-DE")
    page = visitor.go("/simulations")
    expect(page.get_by_role("heading", name="Simulationen", exact=True)).to_be_visible()
    page.goto(f"{visitor.base}/simulations/new/{template}")
    page.locator("[name='input.amount']").fill("10")
    page.get_by_role("button", name="Simulieren").click()
    page.wait_for_url(re.compile(r"/simulations/[0-9a-f]{32}$"))
    poll(lambda: page.reload() and not page.get_by_role("link", name="Neu laden").count(), what="its end")
    expect(page.locator(".branches > li")).to_have_count(4)
    failed = ordered(
        placet, "rita", {"mode": "explore", "template": name, "version": "1.0.0", "input": {"amount": "-1"}}
    )
    page.goto(f"{visitor.base}/simulations/{failed}")
    expect(page.get_by_text("Es konnte nicht simuliert werden")).to_be_visible()
    expect(page.get_by_role("link", name="Ändern und erneut beauftragen")).to_be_visible()
    page.goto(f"{visitor.base}/simulations?status=failed")
    expect(page.locator(".rows > li").first).to_contain_text("Fehlgeschlagen")


def test_rows_are_chosen_by_keyboard_and_others_see_nothing_of_them(placet: Placet, visit: Visitors) -> None:
    name, _ = published(placet)
    mine = ordered(placet, "rita", {"mode": "explore", "template": name, "input": {"amount": "10"}})
    visitor = visit("rita")
    page = visitor.go("/simulations")
    assert visitor.findings("the list of simulations") == []
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/simulations/{mine}")
    other = visit("max")
    for path in (f"/simulations/{mine}", f"/simulations/{mine}/branches/branch-1"):
        answer = other.page.goto(other.base + path)
        assert answer is not None
        assert answer.status == 404
    other.go("/simulations?whose=all")
    expect(other.page.locator(".empty")).to_be_visible()
    assert other.findings("an empty list of simulations") == []
