"""The pictures of README and docs: each shows what stands below it. `make pictures` makes them again.

The tutorial is gone through as docs/tutorial.md has it: with its files and its commands.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.acceptance.test_browser_simulations import simulated
from tests.browser import Visitor, Visitors
from tests.contract import Placet, opened
from tests.doc_blocks import blocks_of
from tests.processes import BIN
from tests.waiting import PATIENCE, poll

ROOT = Path(__file__).parents[2]
EXPENSE: dict[str, Any] = json.loads((ROOT / "blueprints/expense.json").read_text())
WIDE, NARROW = 1400, 360


WHAT_IS_ASKED: list[dict[str, Any]] = [
    {"name": "amount", "type": "decimal", "required": True, "currency": "EUR", "minimum": 0},
    {"name": "city", "type": "string"},
    {"name": "supplier", "type": "string"},
]
COMPANY: list[dict[str, Any]] = [
    {"id": "mia", "name": "Mia Manager", "email": "mia@example.com", "access": ["approver"]},
    {"id": "robin", "name": "Robin Reyes", "email": "robin@example.com", "manager": "mia"},
    {"id": "sven", "name": "Sven Sommer", "email": "sven@example.com", "manager": "mia"},
]
WAITING: list[tuple[str, str, str, dict[str, str]]] = [
    ("Travel", "robin", "Visit to Meyer GmbH", {"amount": "1240.50", "city": "Lyon"}),
    ("Training", "sven", "Two days of negotiation training", {"amount": "1890", "city": "Köln"}),
    ("Expense report", "robin", "Trade fair stand, Berlin", {"amount": "7250", "city": "Berlin"}),
    ("Expense report", "sven", "Team dinner", {"amount": "480"}),
    ("Purchase order", "sven", "Demo phones", {"amount": "2099.70", "supplier": "Fernmann"}),
    ("Purchase order", "robin", "Standing desks for the new office", {"amount": "5868", "supplier": "Nordholz"}),
    ("Purchase order", "robin", "Licences of the drawing program", {"amount": "1150", "supplier": "Linie AG"}),
]


@pytest.fixture(scope="module")
def placet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placet]:
    """Give an installation in which nothing waits for anybody but what these tests ask for."""
    with opened(tmp_path_factory.mktemp("pictures") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def process(placet: Placet) -> str:
    """Publish the process that the pictures show, and return its name."""
    return placet.publish(EXPENSE | {"name": "Travel expenses"})


def version_of(placet: Placet, name: str) -> str:
    """Return the id of the first version of a process."""
    return str(placet.get("olivia", f"process-templates/?name={name}")["items"][0]["id"])


def kept(visitor: Visitor, name: str, *, shows: str | None = None) -> None:
    """Keep both pictures of a page: of a wide window and of a phone; nothing on them is wrong.

    `shows` is what has to be seen where the page is longer than the window.
    """
    for width, file in ((WIDE, name), (NARROW, f"{name}-phone")):
        visitor.page.set_viewport_size({"width": width, "height": 1000 if width == WIDE else 780})
        visitor.page.evaluate("scrollTo(0, 0)")
        if shows is not None:
            visitor.page.locator(shows).first.evaluate("one => one.scrollIntoView({ block: 'center' })")
        visitor.illustrate(file)
        assert visitor.findings(f"picture of {file}") == []


def test_a_request_of_9000_waits_in_its_process_for_the_cfo(placet: Placet, visit: Visitors, process: str) -> None:
    request = placet.start(process, given={"amount": "9000", "department": "it"}, title="Trade fair in Lyon")
    placet.decide("max", request["tasks"][0]["id"])
    visitor = visit("rita")
    page = visitor.go(f"/requests/{request['id']}/process")
    expect(page.locator(".canvas svg .now")).to_have_count(1)
    expect(page.locator(".outline [aria-current=step]")).to_contain_text("CFO Approval")
    kept(visitor, "process")


def test_a_draft_shows_the_gap_that_an_amount_of_5000_falls_into(placet: Placet, visit: Visitors, process: str) -> None:
    visitor = visit("ada")
    page = visitor.go("/drafts")
    page.locator(f"form:has(input[value='{version_of(placet, process)}']) button").click()
    page.wait_for_url(re.compile(r"/drafts/[0-9a-f]{32}$"))
    page.locator("#editor-outline").get_by_role("link", name=re.compile("large")).click()
    page.locator("[name='p2.default']").select_option(label="No")
    page.locator("[name='p2.condition']").fill("amount < 5000")
    expect(page.locator("#here-findings .finding.error dl")).to_contain_text("5,000")
    expect(page.locator("[data-saved][role=status]")).to_have_text("Everything is saved")
    kept(visitor, "editor", shows="#here-findings .finding.error")


def test_an_exploration_shows_each_branch_with_an_input_that_takes_it(
    placet: Placet, visit: Visitors, process: str
) -> None:
    visitor = visit("rita")
    page = visitor.go(f"/simulations/new/{version_of(placet, process)}?mode=explore")
    page.get_by_label(re.compile("^Amount|^amount")).fill("7200")
    page.get_by_label(re.compile("^Department|^department")).select_option("it")
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.wait_for_url(re.compile(r"/simulations/[0-9a-f]{32}$"))
    simulated(page)
    expect(page.locator(".branches > li")).to_have_count(4)
    kept(visitor, "simulation")


def test_the_inbox_of_a_manager_shows_seven_requests_by_their_deadlines(placet: Placet, visit: Visitors) -> None:
    for person in COMPANY:
        placet.post("ada", "people/", person, expect=201)
    placet.tokens["mia"] = placet.place.run("token", "mia").strip()
    common = {"owner": "user:olivia", "template_type": "approval", "version": "1.0.0"}
    for name, hours in {"Travel": 1 / 3600, "Training": 1, "Expense report": 24, "Purchase order": 72}.items():
        stage = {"stage_name": "Manager", "approvers": ["user:mia"], "sla_hours": hours, "escalation_enabled": False}
        settings = {"warn_before_hours": 0.5, "summary": ["city", "supplier"], "amount": "amount"}
        placet.publish(
            common | {"name": name, "process_steps": [stage], "variables": WHAT_IS_ASKED, "settings": settings}
        )
    for template, who, title, given in WAITING:
        placet.start(template, who="ada", requester=f"user:{who}", title=title, given=given)
    visitor = visit("mia")
    page = visitor.page
    page.set_viewport_size({"width": WIDE, "height": 1000})

    def late() -> bool:
        visitor.go("/")
        return page.locator(".row", has_text="Overdue").count() == 1

    poll(late, what="the first request is overdue")
    expect(page.locator(".row")).to_have_count(len(WAITING))
    expect(page.locator(".row .title").first).to_have_text("Visit to Meyer GmbH")
    visitor.illustrate("inbox")
    assert visitor.findings("picture of inbox") == []


class Tutorial:
    """The files and commands of docs/tutorial.md, in a folder of their own, on this installation."""

    def __init__(self, placet: Placet, folder: Path) -> None:
        self.placet = placet
        self.folder = folder
        self.commands = [block.text for block in blocks_of(ROOT / "docs/tutorial.md") if block.language == "sh"]
        texts = [block.text for block in blocks_of(ROOT / "docs/tutorial.md") if block.language == "json"]
        for name, text in zip(("people.json", "equipment.json"), texts, strict=True):
            (folder / name).write_text(text)

    def run(self, begin: str) -> str:
        """Run the block of commands that begins so, and return what it prints."""
        [commands] = [each for each in self.commands if each.startswith(begin)]
        env = self.placet.place.env
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=self.folder,
            env=env | {"PATH": f"{BIN.parent}{os.pathsep}{env['PATH']}"},
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
        return done.stdout

    def log_in(self, person: str, visit: Visitors) -> Visitor:
        """Log somebody in with the address that the tutorial has printed."""
        [address] = re.findall(r"https?://\S+/login/\S+", self.run(f"placet login {person}"))
        visitor = visit.stranger()
        visitor.page.set_viewport_size({"width": WIDE, "height": 800})
        visitor.page.goto(address)
        if visitor.page.get_by_role("button", name="Log in").count():
            visitor.page.get_by_role("button", name="Log in").click()
        visitor.page.wait_for_url(f"{visitor.base}/")
        return visitor


def test_the_tutorial_leads_from_nothing_to_an_approved_request(
    placet: Placet, visit: Visitors, tmp_path: Path
) -> None:
    tutorial = Tutorial(placet, tmp_path)
    tutorial.run("placet people load")

    nina = tutorial.log_in("nina", visit)
    nina.page.get_by_role("link", name="Processes", exact=True).click()
    nina.page.locator("#file").set_input_files(tmp_path / "equipment.json")
    nina.page.get_by_role("button", name="Import", exact=True).click()
    nina.page.wait_for_url(re.compile(r"/drafts/[0-9a-f]{32}"))
    expect(nina.page.locator("#editor-outline")).to_contain_text("Manager")
    nina.illustrate("tutorial-draft")
    assert nina.findings("picture of tutorial-draft") == []
    nina.page.get_by_role("link", name="Publish").first.click()
    nina.page.get_by_role("button", name="Publish", exact=True).click()
    expect(nina.page.get_by_text("No request runs under another version")).to_be_visible()

    tom = tutorial.log_in("tom", visit)
    tom.page.get_by_role("link", name="New request").first.click()
    tom.page.locator(".tiles a", has_text="Equipment").first.click()
    tom.page.get_by_label("Title").fill("A chair")
    tom.page.locator("[name='input.item']").fill("One that is good for the back")
    tom.page.locator("[name='input.price']").fill("250")
    tom.page.get_by_role("button", name="Ask for approval").click()
    expect(tom.page.get_by_role("heading", level=1)).to_have_text("A chair")
    tom.illustrate("tutorial-request")
    assert tom.findings("picture of tutorial-request") == []

    vera = tutorial.log_in("vera", visit)
    expect(vera.page.locator(".row .title")).to_have_text(["A chair"])
    vera.illustrate("tutorial-inbox")
    vera.page.get_by_role("button", name="Approve").first.click()
    expect(vera.page.locator(".row")).to_have_count(0)
    tom.page.reload()
    expect(tom.page.locator(".lead-line .pill")).to_have_text("Approved")

    request = tom.page.url.partition("?")[0].rpartition("/")[2]
    link = placet.get("ada", f"requests/{request}/")["links"]["temporal_ui"]
    watcher = visit.stranger()
    watcher.page.set_viewport_size({"width": WIDE, "height": 800})
    watcher.page.goto(link)
    expect(watcher.page.get_by_text("Completed").first).to_be_visible()
    watcher.illustrate("tutorial-temporal")
    watcher.complaints.clear()  # the page is not ours
    tutorial.run("placet verify")
