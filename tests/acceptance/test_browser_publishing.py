"""A blueprint is written in rows and published by a second person, where the installation asks for two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import Visitors
from tests.contract import PEOPLE, Placet
from tests.processes import installation
from tests.waiting import PATIENCE, poll

WRITERS = tuple({**person, "access": ["designer"]} for person in PEOPLE if person["id"] in {"carla", "olivia"})
OTHERS = tuple(person for person in PEOPLE if person["id"] not in {"carla", "olivia"})


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placet]:
    """Give an installation in which nobody publishes what they wrote."""
    with installation(tmp_path_factory.mktemp("strict") / "home", PLACET_PUBLISH_NEEDS_TWO="true") as place:
        tokens = place.load((*OTHERS, *WRITERS))
        _, where = place.up()
        with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
            yield Placet(place=place, where=where, tokens=tokens, http=http, first_metrics="")


@pytest.fixture
def people(browser: Browser, strict: Placet) -> Iterator[Visitors]:
    """Give browsers for its people."""
    visitors = Visitors(browser=browser, placet=strict)
    yield visitors
    for visitor in visitors.every:
        visitor.page.context.close()
    assert [one for visitor in visitors.every for one in visitor.complaints] == []


def draft_of(strict: Placet, **step: Any) -> str:
    """Begin a draft of a process with one stage, and return its address."""
    blueprint = strict.process({"stage_name": "Board", "approvers": ["user:max"], **step})
    made = strict.post("olivia", "blueprint-drafts/", {"content": blueprint}, expect=201)
    return f"/drafts/{made['id']}"


def stage(strict: Placet, address: str) -> dict[str, Any]:
    found = strict.get("olivia", f"blueprint-drafts/{address.rpartition('/')[2]}/")
    step: dict[str, Any] = found["content"]["process_steps"][0]
    return step


def saved(page: Page) -> None:
    expect(page.locator("[data-saved][role=status]")).to_have_text("Everything is saved")


@pytest.mark.parametrize("width", [360, 1400])
def test_approvers_with_weights_and_the_form_of_a_decision_are_written_in_rows(
    strict: Placet, people: Visitors, width: int
) -> None:
    form = {"type": "object", "properties": {"note": {"type": "string", "maxLength": 200}}, "required": ["note"]}
    address = draft_of(strict, form=form)
    olivia = people("olivia", width=width, color_scheme="dark" if width == 360 else "light")
    page = olivia.go(f"{address}?at=stage:Board")
    assert olivia.findings(f"a stage in rows {width}") == []
    page.locator("[name='p0.approvers.0.weight']").fill("2")
    page.locator("[name='p0.approvers.1.who']").press_sequentially("role:cfo")
    expect(page.locator("[name='p0.approvers.2.who']")).to_be_visible()
    expect(page.locator("[name='p0.approvers.1.who']")).to_be_focused()  # the row after it has come, and nothing moved
    page.locator("[name='p0.form.1.name']").fill("cost_centre")
    page.locator("[name='p0.form.1.enum']").fill("100\n200")
    page.locator("[name='p0.form.1.required']").select_option("true")
    saved(page)
    poll(
        lambda: (
            stage(strict, address)
            == {
                "stage_name": "Board",
                "approvers": [{"who": "user:max", "weight": 2}, "role:cfo"],
                "form": {
                    "type": "object",
                    "properties": {
                        "note": {"type": "string", "maxLength": 200},
                        "cost_centre": {"type": "string", "enum": ["100", "200"]},
                    },
                    "required": ["note", "cost_centre"],
                },
            }
        ),
        what="the rows in the draft",
    )
    expect(page.locator("#findings .finding.error")).to_have_count(0)
    assert olivia.findings(f"a stage in filled rows {width}") == []


def test_whoever_wrote_a_draft_submits_it_and_a_second_person_publishes_it(strict: Placet, people: Visitors) -> None:
    address = draft_of(strict)
    olivia, carla = people("olivia"), people("carla", width=360, locale="de-DE", color_scheme="dark")
    page = olivia.go(f"{address}/publish")
    expect(page.get_by_role("button", name="Publish", exact=True)).to_have_count(0)
    assert olivia.findings("publishing needs somebody else") == []
    page.get_by_role("button", name="Submit to be published by somebody else").press("Enter")
    page.goto(f"{olivia.base}{address}/publish")
    expect(page.locator(".alert.warn")).to_be_visible()
    expect(page.get_by_role("button", name="Publish", exact=True)).to_have_count(0)
    assert olivia.findings("a draft that waits for its publication") == []

    theirs = carla.go("/drafts")
    assert carla.findings("drafts of others on a phone") == []
    theirs.locator(f"a[href='{address}']").first.click()
    theirs.goto(f"{carla.base}{address}/publish")
    assert carla.findings("publishing what somebody else wrote") == []
    theirs.get_by_role("button", name=re.compile("^Veröffentlichen$")).press("Enter")
    draft = address.rpartition("/")[2]
    poll(lambda: strict.get("olivia", f"blueprint-drafts/{draft}/")["status"] == "published", what="the publication")
    acts = strict.get("olivia", f"blueprint-drafts/{draft}/acts/")["items"]
    assert [(act["act"], act["by"]) for act in acts] == [
        ("created", "user:olivia"),
        ("submitted", "user:olivia"),
        ("published", "user:carla"),
    ]
    name = strict.get("olivia", f"blueprint-drafts/{draft}/")["content"]["name"]
    request = strict.start(name, given={})
    assert [task["assignee"] for task in request["tasks"]] == ["user:max"]
