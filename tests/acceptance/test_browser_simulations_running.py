"""Simulations in a browser while they run: cancelled, cut off and gone on with, shadows, and beside real requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from playwright.sync_api import Page, Route, expect
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from storage.database import driver_url
from storage.queries.simulations import simulation_rows
from storage.tables.simulations import WorkflowSimulation
from tests.acceptance.test_browser_simulations import GATE, LONG, NARROW, STEPS, published, simulated
from tests.browser import AMOUNT, Visitors
from tests.contract import Placet
from tests.waiting import poll
from worker.settings import Settings

REMINDED: dict[str, Any] = {"stage_name": "Board", "approvers": ["user:max"], "reminders": {"every_hours": 1}}
"""A stage whose rehearsal takes long: each hour has a point in time of its own."""
_FOUND = """() => [document.querySelectorAll("[data-found] > li").length,
                 document.querySelector("[data-progress-text]")?.textContent ?? ""]"""


def version_of(placet: Placet, name: str) -> str:
    """Return the id of the only version of a process."""
    return str(placet.get("olivia", f"process-templates/?name={name}")["items"][0]["id"])


def test_a_rehearsal_that_runs_long_is_cancelled_and_every_page_of_it_says_so(placet: Placet, visit: Visitors) -> None:
    template = version_of(placet, placet.publish(placet.process(REMINDED)))
    rita, elsewhere = visit("rita"), visit("rita", width=NARROW, color_scheme="dark")
    page = rita.go(f"/simulations/new/{template}?mode=rehearse")
    expect(page.locator("[data-effort]")).to_contain_text("It stops after 1,000 points in time")
    acts = ({"do": "comment", "after_hours": "48", "by": "rita", "comment": "Still waiting."},
            {"on": "Board", "do": "decide", "decision": "approve", "after_hours": "900"})  # fmt: skip
    for number, act in enumerate(acts):
        for field, value in act.items():
            box = page.locator(f"[name='script.{number}.{field}']")
            box.select_option(value) if field in {"on", "do", "decision"} else box.fill(value)
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url(re.compile(r"/simulations/[0-9a-f]{32}$"))
    address = page.url.removeprefix(rita.base)
    elsewhere.go(address)
    expect(elsewhere.page.locator("[data-progress-text]")).to_contain_text("of virtual time rehearsed")
    assert elsewhere.findings("a rehearsal that runs") == []
    page.get_by_role("button", name="Cancel the simulation").click()
    for watched in (page, elsewhere.page):
        expect(watched.locator(".lead-line .pill").first).to_have_text("Cancelled")
        expect(watched.get_by_text("It was cancelled before its end.")).to_be_visible()
        expect(watched.get_by_role("button", name="Cancel the simulation")).to_have_count(0)
    expect(page.get_by_text("The simulation was cancelled.", exact=True)).to_be_visible()
    assert rita.findings("a cancelled rehearsal") == []
    assert elsewhere.findings("a cancelled rehearsal on a phone") == []
    page.get_by_role("link", name="Change it and order it again").click()
    expect(page.locator("[name='script.1.after_hours']")).to_have_value("900")


def test_what_was_found_stands_once_after_the_connection_broke_off(placet: Placet, visit: Visitors) -> None:
    # Seven questions make many branches, each with a thousand reminders: that takes longer than to reconnect.
    letters = "abcdefg"
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "trigger"},
        {"id": "end", "type": "terminator", "outcome": "approved"},
    ]
    nodes += [{"id": letter, "type": "decision"} for letter in letters]
    nodes += [{"id": f"{letter}-yes", "type": "notify", "to": ["user:max"], "message": letter} for letter in letters]
    nodes += [
        {"id": "board", "type": "approval", "step": "Board"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ]
    edges: list[dict[str, Any]] = [{"from": "start", "to": "a"}]
    for letter, after in zip(letters, [*letters[1:], "board"], strict=True):
        edges += [
            {"from": letter, "to": f"{letter}-yes", "condition": letter},
            {"from": letter, "to": after, "default": True},
            {"from": f"{letter}-yes", "to": after},
        ]
    edges += [{"from": "board", "to": "end", "on": "approved"}, {"from": "board", "to": "no", "on": "rejected"}]
    variables = [{"name": letter, "type": "boolean", "required": True} for letter in letters]
    drawn = {"nodes": nodes, "edges": edges}
    template = version_of(placet, placet.publish(placet.process(REMINDED, variables=variables, graph_spec=drawn)))
    visitor = visit("rita")
    page = visitor.page
    asked: list[str] = []

    def cut_off(route: Route) -> None:
        """Hand on the first three events, and break the connection off; later calls reach the server."""
        asked.append(route.request.url)
        if len(asked) > 1:
            route.continue_()
            return
        with httpx.stream(
            "GET", route.request.url, headers={"Cookie": route.request.all_headers()["cookie"]}, timeout=60
        ) as stream:
            beginning = ""
            for part in stream.iter_text():
                beginning += part
                if beginning.count("\n\n") >= 3:
                    break
        body = "\n\n".join(beginning.split("\n\n")[:3]) + "\n\n"
        route.fulfill(status=200, headers={"Content-Type": "text/event-stream"}, body=body)

    page.route(re.compile(r"/simulations/[0-9a-f]{32}/events"), cut_off)
    visitor.go(f"/simulations/new/{template}?mode=explore")
    for letter in letters:
        page.locator(f"[name='input.{letter}']").select_option(index=1)
    page.locator("[name=decide_after_hours]").fill("900")
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url(re.compile(r"/simulations/[0-9a-f]{32}$"))
    listed, text = poll(lambda: (found := page.evaluate(_FOUND))[0] > 3 and found, what="what came afterwards")
    assert len(asked) == 2
    assert text == f"{listed} branches found", "the server counts what it found, the page what it was told"
    simulated(page)


def test_a_shadow_follows_requests_as_they_run_and_keeps_what_it_saw_when_cancelled(
    placet: Placet, visit: Visitors
) -> None:
    name, template = published(placet, owner="user:olivia")
    first = placet.start(name, given={"amount": "7000"}, title=f"{LONG} first")
    visitor = visit("olivia", color_scheme="dark")
    page = visitor.go(f"/simulations/new/{template}?mode=shadow")
    expect(page.locator("[data-effort]")).to_contain_text("It compares 1 request that runs now.")
    page.get_by_label("Watch for").fill("0")
    expect(page.locator("[data-effort]")).to_contain_text("It compares once, and ends.")
    page.get_by_label("Watch for").fill("48")
    expect(page.locator("[data-effort]")).to_contain_text("in the next 2 days as well")
    assert visitor.findings("ordering a shadow") == []
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url(re.compile(r"/simulations/[0-9a-f]{32}$"))
    rows = page.locator(".tested > li")
    expect(rows).to_have_count(1)
    assert visitor.findings("a shadow that runs") == []
    placet.start(name, given={"amount": "10"}, title="A second one")
    expect(rows).to_have_count(2)
    placet.decide("max", first["tasks"][0]["id"], "reject", comment="no")
    expect(rows.filter(has_text="first")).to_contain_text("Rejected")
    page.get_by_role("button", name="Cancel the simulation").click()
    expect(page.locator(".lead-line .pill").first).to_have_text("Cancelled")
    expect(rows).to_have_count(2)
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert visitor.findings("a cancelled shadow on a phone") == []
    rows.filter(has_text="first").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Both timelines")).to_be_visible()
    expect(page.locator(".compared")).to_contain_text("Max")
    expect(page.get_by_text("other details")).to_have_count(0)
    assert visitor.findings("a row of a shadow on a phone") == []


def test_a_simulation_stands_beside_the_real_request_and_says_what_a_person_cares_about(
    placet: Placet, visit: Visitors
) -> None:
    name, _ = published(placet)
    request = placet.start(name, given={"amount": "10"}, title=f"{LONG} real")
    placet.decide("max", request["tasks"][0]["id"])
    other = placet.start(name, given={"amount": "20"}, title="Another one")
    visitor = visit("rita")
    page = visitor.go(f"/requests/{request['id']}")
    page.get_by_role("link", name="Simulate it again").click()
    page.wait_for_url("**mode=replay**")
    page.get_by_role("navigation", name="Kind of simulation").get_by_role("link", name="Explore").click()
    expect(page.get_by_text("As in the real request")).to_be_visible()
    expect(page.get_by_label("amount")).to_have_value("10")
    page.locator("[name=decide_after_hours]").fill("3")
    assert visitor.findings("simulating a real request") == []
    page.get_by_role("button", name="Simulate", exact=True).click()
    simulated(page)
    choice = page.get_by_label("Put beside it")
    expect(choice.locator("optgroup[label='Real requests'] option").first).to_have_text(f"{LONG} real")
    choice.select_option(value=f"request:{request['id']}")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Two timelines")).to_be_visible()
    compared = page.locator(".compared > li")
    expect(compared.filter(has_text="Max: Approved").locator(".verdict")).to_contain_text("earlier")
    # The beginning is the same, though a simulation has no title and so another digest of its content.
    expect(compared.first).to_have_class("same")
    expect(page.get_by_text("other details")).to_have_count(0)
    assert visitor.findings("a simulation beside its real request") == []
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert visitor.findings("a simulation beside its real request on a phone") == []
    page.go_back()
    choice.select_option(value=f"request:{other['id']}")
    page.get_by_role("button", name="Compare").click()
    expect(compared.first.locator(".verdict")).to_have_text("other details: input")
    expect(page.get_by_text("It still runs; this is what has happened so far.")).to_be_visible()


@contextmanager
def _many_rows(placet: Placet, request: dict[str, Any], name: str, rows: int) -> Iterator[str]:
    """Put a backtest with many rows straight into the store, and take it out again; yield its id."""
    engine = create_engine(driver_url(Settings(home=placet.place.home).database).set(drivername="sqlite"))
    ident = f"many-{request['id']}"
    side = {"outcome": "approved", "duration_ms": 7_200_000, "sla_state": "ok", "approvers": ["max", "dana"]}
    kinds: list[tuple[list[str], str | None]] = [([], None), (["outcome", "duration"], None), (["route"], None),
                                                 ([], "the record does not tell what Dana would decide")]  # fmt: skip
    try:
        with Session(engine) as session:
            now = datetime.now(UTC)
            session.add(
                WorkflowSimulation(
                    id=ident, mode="backtest", status="completed", template=name, version="1.0.0",
                    question={"mode": "backtest", "template": name}, result={"template": name, "version": "1.0.0"},
                    created_by="olivia", created_at=now, finished_at=now,
                )
            )  # fmt: skip
            session.flush()
            made = []
            for number in range(1, rows + 1):
                changed, unknown = kinds[number % len(kinds)]
                after = side | {"duration_ms": 9_000_000} if changed else side
                made.append((number, {"request_id": request["id"], "before": side, "unknown": unknown,
                                      "after": None if unknown else after, "changed": changed}))  # fmt: skip
            simulation_rows.put(session.connection(), ident, made, revision=0)
            session.commit()
        yield ident
    finally:
        with engine.begin() as connection:
            for table, key in (("workflow_simulation_row", "simulation_id"), ("workflow_simulation", "id")):
                connection.execute(text(f"DELETE FROM {table} WHERE {key} = :id"), {"id": ident})
        engine.dispose()


def _pages(page: Page) -> int:
    """Go through the pages of rows to the third one, and return how many rows there were."""
    seen = page.locator(".tested > li").count()
    for _ in range(2):
        following = page.get_by_role("link", name="Next page")
        address = following.get_attribute("href") or ""
        following.click()
        page.wait_for_url(f"**{address}")
        seen += page.locator(".tested > li").count()
    return seen


def test_a_backtest_of_ten_thousand_requests_is_filtered_by_its_address(placet: Placet, visit: Visitors) -> None:
    graph = {**GATE, "edges": GATE["edges"]}
    name = placet.publish(placet.process(*STEPS, variables=AMOUNT, graph_spec=graph))
    request = placet.start(name, given={"amount": "10"}, title=f"{LONG} many")
    with _many_rows(placet, request, name, 10_000) as ident:
        for width in (1400, NARROW):
            visitor = visit("olivia", width=width)
            page = visitor.go(f"/simulations/{ident}")
            expect(page.locator(".row-filters [aria-current] .count")).to_have_text("10,000")
            assert visitor.findings("ten thousand rows") == []
            page.get_by_role("link", name=re.compile("^Other outcome")).click()
            page.wait_for_url("**shown=outcome**")
            expect(page.locator(".row-filters [aria-current] .count")).to_have_text("2,500")
            expect(page.locator(".tested > li").first).to_contain_text("30 mins later")
            assert _pages(page) == 150
            expect(page.locator(".row-filters [aria-current]")).to_contain_text("Other outcome")
            address = page.url.removeprefix(visitor.base)
            assert visitor.go(address).locator(".tested > li").count() == 50  # an address can be kept and sent
