"""One request through the hands of everybody, in real browsers: requester, three approvers, auditor and admin.

The first approver works on a phone of 360 px, the second by keyboard alone; axe looks at what each of them sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import AMOUNT, PNG, Visitor, Visitors
from tests.contract import Placet, open_tasks, opened

TITLE = "A chair that can be raised"
STAGES: tuple[dict[str, Any], ...] = (
    {"stage_name": "Manager", "approvers": ["user:max"], "sla_hours": 8, "description": "Be frugal."},
    {"stage_name": "Finance", "approvers": ["role:department_head"], "sla_hours": 24},
    {"stage_name": "Board", "approvers": ["role:cfo"], "comment_required": ["approve"]},
)


@pytest.fixture(scope="module")
def placet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placet]:
    """Give an installation in which nothing waits for anybody but what these tests ask for."""
    with opened(tmp_path_factory.mktemp("story") / "home") as running:
        yield running


class Story:
    """The people of the story with their browsers, and what axe finds on the way."""

    def __init__(self, placet: Placet, visit: Visitors) -> None:
        self.placet = placet
        self.findings: list[str] = []
        self.template = placet.publish(placet.process(*STAGES, variables=AMOUNT))
        self.rita, self.max, self.dana = visit("rita"), visit("max", width=360), visit("dana")
        self.carla, self.audrey, self.ada = visit("carla"), visit("aud"), visit("ada")
        self.address = ""

    def look(self, visitor: Visitor, what: str) -> None:
        """Have axe look at what somebody sees."""
        self.findings += visitor.findings(f"the story: {what}")

    def task_of(self, person: str) -> str:
        """Return the open task of somebody."""
        return open_tasks(self.placet.request({"id": self.address.rpartition("/")[2]}))[person]

    def decides(self, page: Page, button: str, done: str) -> None:
        """Press a button of a decision, and wait for its notice."""
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator("[data-toast]")).to_have_text(done)


@pytest.fixture
def story(placet: Placet, visit: Visitors) -> Iterator[Story]:
    told = Story(placet, visit)
    yield told
    assert told.findings == []


def test_a_request_goes_from_its_form_through_all_hands_to_its_record(story: Story) -> None:
    asked(story)
    questioned(story)
    changed(story)
    approved(story)
    audited(story)
    operated(story)


def asked(story: Story) -> None:
    """Rita asks, with a picture that goes with the form."""
    page = story.rita.go(f"/requests/new?q={story.template}")  # of all processes it shows a page
    page.get_by_role("link", name=story.template, exact=True).click()
    page.get_by_label("Title").fill(TITLE)
    page.get_by_label("Amount").fill("82,5")
    page.set_input_files("#file", [{"name": "chair.png", "mimeType": "image/png", "buffer": PNG}])
    expect(page.locator("[data-chosen] .file-name")).to_have_text("chair.png")
    story.look(story.rita, "the form of a new request")
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    expect(page.locator(".lead-line .amount")).to_have_text("€82.50")
    story.look(story.rita, "the request that was just made")
    story.address = page.url.partition("?")[0]


def questioned(story: Story) -> None:
    """Max is told in his open inbox, and asks Rita, who answers; the request stays with him."""
    page = story.max.page
    expect(page.locator("a.title", has_text=TITLE)).to_be_visible(timeout=60_000)  # it was empty, so nothing moves
    story.look(story.max, "the inbox on a phone")
    page.locator("a.title", has_text=TITLE).click()
    expect(page.locator(".policy")).to_contain_text("Be frugal.")
    expect(page.locator("#files img")).to_be_visible()
    page.locator("#question-text").fill("Is it for one desk?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#questions")).to_contain_text("Not answered yet")
    story.look(story.max, "a task with a question on a phone")

    page = story.rita.page
    page.goto(story.address)
    expect(page.locator("#questions")).to_contain_text("Is it for one desk?")
    story.look(story.rita, "a request with a question")
    page.locator("#answer-1").fill("For two.")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.locator("#questions")).to_contain_text("answered by Rita")


def changed(story: Story) -> None:
    """Max reads the answer and asks for changes; Rita sends the request in again."""
    page = story.max.go(f"/tasks/{story.task_of('max')}")
    expect(page.locator("#questions")).to_contain_text("For two.")
    page.locator("#comment").fill("One without a headrest, please.")
    story.decides(page, "Request changes", "Sent back with your request for changes.")

    page = story.rita.page
    page.goto(story.address)
    page.get_by_role("link", name="Change and send in again").click()
    expect(page.locator(".alert.warn")).to_contain_text("One without a headrest, please.")
    page.get_by_label("Amount").fill("60")
    page.get_by_role("button", name="Look at the changes").click()
    expect(page.locator(".changes")).to_contain_text("€82.50")
    expect(page.locator(".changes")).to_contain_text("€60.00")
    story.look(story.rita, "what sending in again changes")
    page.get_by_role("button", name="Send in again").click()
    page.wait_for_url("**done=resubmit")
    expect(page.locator(".alert.warn")).to_have_count(0)


def approved(story: Story) -> None:
    """Max approves on his phone, Dana by keyboard alone, and Carla with the comment that her stage needs."""
    page = story.max.go("/")
    page.locator("a.title", has_text=TITLE).click()
    expect(page.locator(".changed")).to_contain_text("What changed since you decided")
    story.look(story.max, "a task that came back on a phone")
    story.decides(page, "Approve", "Approved.")

    page = story.dana.go("/")
    expect(page.locator("a.title", has_text=TITLE)).to_be_visible()
    for _ in range(page.locator("[data-row-id]").count()):
        page.keyboard.press("j")
        if page.locator(".row.current .title").inner_text() == TITLE:
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    story.look(story.dana, "a task that is opened by keyboard")
    page.keyboard.press("a")
    page.wait_for_url("**done=approve")

    page = story.carla.go(f"/tasks/{story.task_of('carla')}")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("#comment-error")).to_have_text("Say why: approving needs a comment in this stage.")
    expect(page.locator("#comment")).to_be_focused()
    story.look(story.carla, "a decision without the comment that it needs")
    page.locator("#comment").fill("A good price.")
    story.decides(page, "Approve", "Approved.")

    page = story.rita.page
    page.goto(story.address)
    expect(page.locator(".lead-line .pill")).to_have_text("Approved")
    story.look(story.rita, "the request that is approved")


def audited(story: Story) -> None:
    """Audrey follows everything that happened, reads a receipt, and sees that the chain holds; she changes nothing."""
    page = story.audrey.page
    page.goto(story.address)
    timeline = page.locator(".timeline")
    for said in ("Is it for one desk?", "For two.", "One without a headrest, please.", "A good price."):
        expect(timeline).to_contain_text(said)
    expect(timeline).to_contain_text("Rita attached chair.png")
    expect(page.get_by_role("button", name="Send", exact=True)).to_have_count(0)
    story.look(story.audrey, "the request as an auditor sees it")
    expect(timeline.get_by_role("link", name=re.compile("^Receipt"))).to_have_count(4)  # three approvals and one return
    timeline.get_by_role("link", name=re.compile("^Receipt")).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Receipt of a decision")
    expect(page.locator(".receipt")).to_contain_text("A good price.")
    expect(page.locator(".receipt")).to_contain_text("Carla (carla)")
    story.look(story.audrey, "a receipt")
    page.goto(story.address)
    page.get_by_role("link", name="Verify the audit chain").click()
    expect(page.locator(".lead-line")).to_have_text("The record holds")
    expect(page.locator(".leads li", has_text="The engine's history beside the entries:")).to_contain_text("holds")
    story.look(story.audrey, "the verified chain")


def operated(story: Story) -> None:
    """Ada sees that every part runs, and who published the process."""
    page = story.ada.go("/operations")
    for part in ("Workflow engine", "Database", "Worker"):
        expect(page.locator("li.row").filter(has_text=part).filter(has_text="Runs")).to_be_visible()
    story.look(story.ada, "how everything runs")
    page.goto(f"{story.ada.base}/operations/acts?actor=olivia")
    expect(page.locator("li.row", has_text=story.template).first).to_contain_text("Olivia")
    story.look(story.ada, "the administrative acts")
