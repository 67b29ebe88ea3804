"""The pictures of README and docs: each shows what stands below it. `make pictures` makes them again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.acceptance.test_browser_simulations import simulated
from tests.browser import Visitor, Visitors
from tests.contract import Placet

ROOT = Path(__file__).parents[2]
EXPENSE: dict[str, Any] = json.loads((ROOT / "blueprints/expense.json").read_text())
WIDE, NARROW = 1400, 360


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


def test_every_picture_that_readme_and_docs_name_is_there_and_made_here() -> None:
    named = set()
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        found = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", file.read_text())
        assert all((file.parent / one).is_file() for one in found), file
        named |= {Path(one).name for one in found}
    made = {f"{name}{kind}.png" for name in ("process", "editor", "simulation") for kind in ("", "-phone")}
    assert made <= named, "each picture stands somewhere"
    assert {file.name for file in (ROOT / "docs/images").glob("*.png")} == named
