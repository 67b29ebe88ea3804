"""The pages of canaries: one is begun by a form, shown with its intervals, and ended after a question."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator

import pytest_asyncio

from service.canaries.monitoring import CanaryMonitor
from storage.database import Database
from tests.api_desk import api_desk, no_engine
from tests.integration.test_canaries import CANARIES, LATER, Office
from tests.pages import browser_of, send


@pytest_asyncio.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with api_desk(database, await no_engine(), seconds=0.05) as desk:
        made = Office(desk=desk, monitor=CanaryMonitor(database))
        made.process = await desk.publish()
        made.draft = await made.version()
        yield made


async def shown(office: Office, address: str, person: str = "desi", *, status: int = 200, **headers: str) -> str:
    browser = await browser_of(office.desk, person)
    answer = await browser.get(address, headers=headers)
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


async def test_a_canary_is_begun_by_the_form_and_a_form_that_is_sent_twice_begins_one(office: Office) -> None:
    browser = await browser_of(office.desk, "desi")
    page = html.unescape((await browser.get(f"/canaries?version={office.draft}")).text)
    assert f'value="{office.draft}" selected' in page
    fields = {"version": office.draft, "share": "50", "days": "7", "outcome": "10", "key": "k"}
    for _ in range(2):
        answer = await send(browser, "/canaries", **fields)
        assert answer.status_code == 303, answer.text
    (canary,) = (await office.desk.get(CANARIES, as_="desi")).json()["items"]
    assert answer.headers["location"].startswith(f"/canaries/{canary['id']}")
    assert (canary["share"], canary["margins"]["outcome"], canary["horizon_seconds"]) == (0.5, 0.1, 604_800)
    assert "compared with 1.0.0" in await shown(office, "/canaries", "audrey")


async def test_a_form_that_cannot_be_keeps_what_was_written_and_says_why(office: Office) -> None:
    browser = await browser_of(office.desk, "desi")
    fields = {"version": office.draft, "share": "lots", "notes": "Half the time."}
    answer = await send(browser, "/canaries", **fields)
    assert answer.status_code == 422
    page = html.unescape(answer.text)
    assert "Share of new requests, in per cent: write a number from 0 to 100." in page
    assert 'value="lots"' in page
    assert "Half the time." in page
    none = await send(browser, "/canaries", version=office.draft, share="50")
    assert "declare at least one margin" in html.unescape(none.text)


async def test_the_page_shows_intervals_and_verdicts_and_why_it_was_reverted(office: Office) -> None:
    canary = await office.begin(notes="Half the time.")
    page = await shown(office, f"/canaries/{canary['id']}", "olivia")
    assert page.count('class="bar-line') == 9
    assert "Not known yet" in page
    assert "/promote" in page
    await office.give(canary, {"new": "reject", "old": "approve"})
    await office.monitor.look(LATER)
    page = await shown(office, f"/canaries/{canary['id']}", "audrey")
    assert "It reverted itself, for harm has shown" in page
    assert "−100 %" in page  # noqa: RUF001 - the sign as it is printed
    german = await shown(office, f"/canaries/{canary['id']}", "audrey", **{"Accept-Language": "de"})
    assert "Er hat sich selbst zurückgesetzt" in german
    await shown(office, f"/canaries/{canary['id']}", "ann", status=404)


async def test_promoting_asks_first_and_what_was_ended_meanwhile_is_shown(office: Office) -> None:
    canary = await office.begin()
    browser = await browser_of(office.desk, "desi")
    address = f"/canaries/{canary['id']}"
    assert "Give the new version to all?" in await shown(office, f"{address}/promote")
    for _ in range(2):
        answer = await send(browser, f"{address}/promote", notes="As good.")
        assert answer.status_code == 303
    late = await send(browser, f"{address}/revert", notes="")
    assert late.status_code == 409
    assert "It was ended meanwhile" in html.unescape(late.text)


async def test_the_form_of_a_new_request_is_that_of_the_version_that_its_request_is_given(office: Office) -> None:
    canary = await office.begin(share=0.5)
    browser = await browser_of(office.desk, "ann")
    listed = html.unescape((await browser.get("/requests/new")).text)
    assert f"/requests/new/{canary['baseline_id']}" in listed
    assert f"/requests/new/{canary['version_id']}" not in listed
    assert (await browser.get(f"/requests/new/{canary['version_id']}")).status_code == 200
    assert (await office.desk.post(f"{CANARIES}{canary['id']}/revert/", as_="desi")).is_success
    assert (await browser.get(f"/requests/new/{canary['baseline_id']}")).status_code == 200
