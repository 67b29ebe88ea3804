"""Pages for a German reader: what the core refuses or finds is said in German; the answers of the API are English."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.test_web_drafts import form_of
from tests.integration.test_web_forms import PROCESS
from tests.pages import LOCAL, browser_of, send

GERMAN = {"Accept-Language": "de-DE,de;q=0.9"}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


async def german(desk: ApiDesk, person: str) -> httpx.AsyncClient:
    browser = await browser_of(desk, person)
    browser.headers.update(GERMAN)
    return browser


async def test_a_fault_of_a_form_is_told_in_german_beside_its_field_and_above_the_form(desk: ApiDesk) -> None:
    name = await desk.publish(PROCESS, owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    template = next(one["id"] for one in listed if one["name"] == name)
    refused = await send(await german(desk, "ann"), f"/requests/new/{template}", **{"input.amount": "-5"})
    assert refused.status_code == 422, refused.text
    page = unescape(refused.text)
    assert page.count("mindestens 0 ist nötig") == 2
    assert "is needed" not in page
    answer = await desk.post("/workflow/requests/", {"template": name, "input": {"amount": "-5"}}, as_="ann")
    assert answer.json()["errors"][0]["message"] == "at least 0 is needed", "the API speaks English"


async def test_findings_about_a_draft_are_german(desk: ApiDesk) -> None:
    browser = await german(desk, "desi")
    draft = (await send(browser, "/drafts", how="blank", name="Reise")).headers["location"]
    page = (await browser.get(f"{draft}?at=node:approval")).text
    await send(browser, draft, **form_of(page) | {"op": "save", "p1.approvers": "Max ("})
    found = unescape((await browser.get(f"{draft}/findings")).text)
    assert "benennt niemanden; schreiben Sie user:ID" in found, found[found.find("data-report") :][:2000]
    assert "names nobody" not in found


async def test_an_error_page_says_in_german_what_there_is_not(desk: ApiDesk) -> None:
    missing = await (await german(desk, "ann")).get("/requests/req-none")
    assert missing.status_code == 404
    assert "Es gibt keinen Antrag 'req-none', oder Sie dürfen ihn nicht sehen" in unescape(missing.text)


async def test_whoever_is_not_logged_in_is_told_in_the_language_of_the_browser(desk: ApiDesk) -> None:
    async with httpx.AsyncClient(transport=desk.http._transport, base_url=LOCAL, headers=GERMAN) as browser:
        refused = await browser.post("/login", data={"token": "nobodys"})
    assert refused.status_code == 401
    assert "Dieses Token ist unbekannt, abgelaufen oder widerrufen" in unescape(refused.text)


async def test_a_link_that_decides_nothing_says_so_in_the_language_of_the_browser(desk: ApiDesk) -> None:
    async with httpx.AsyncClient(transport=desk.http._transport, base_url=LOCAL, headers=GERMAN) as browser:
        page = unescape((await browser.get("/decide?token=forged")).text)
    assert '<html lang="de"' in page
    assert "Link" in page
    assert "This link" not in page
