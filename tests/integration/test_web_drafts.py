"""The pages of drafts without scripts: forms that save, choices between two people, imports, and publishing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import LOCAL, browser_of, csrf_token, send
from tests.unit.core import blueprint
from tests.waiting import PATIENCE
from web.routes.editor import drafts

EXPENSE = Path(__file__).parents[2] / "blueprints/expense.json"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


async def begun(desk: ApiDesk, browser: httpx.AsyncClient) -> str:
    """Begin a draft of a published process, and return its page."""
    name = await desk.publish(blueprint({"stage_name": "Board", "approvers": ["user:bob"]}), owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    ident = next(one["id"] for one in listed if one["name"] == name)
    answer = await send(browser, "/drafts", how="version", **{"from": ident})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def form_of(page: str) -> dict[str, str | list[str]]:
    """Return what the form of the chosen part sends as it is."""
    form = page.partition('id="editor-form"')[2].partition("</form>")[0]
    found: dict[str, str | list[str]] = {}
    for name, value in re.findall(r'<input type="(?:hidden|text)"[^>]* name="([^"]+)"[^>]*?value="([^"]*)"', form):
        found[name] = unescape(value)
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
        found[name] = unescape(value)
    for name, text in re.findall(r'<textarea id="[^"]*" name="([^"]+)"[^>]*>([^<]*)</textarea>', form):
        found[name] = unescape(text)
    for name, inner in re.findall(r'<select id="[^"]*" name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', inner)
        found[name] = unescape(chosen[1]) if chosen else ""
    found.pop("csrf_token")
    return found


async def content_of(browser: httpx.AsyncClient, draft: str) -> dict[str, Any]:
    found: dict[str, Any] = (await browser.get(f"{draft}/export")).json()
    return found


async def test_a_field_is_saved_and_a_draft_published_without_scripts(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    draft = await begun(desk, browser)
    page = (await browser.get(f"{draft}?at=process")).text
    assert "<script>" not in page
    form = form_of(page)
    assert form["p0.version"]
    answer = await send(browser, draft, **form | {"op": "save", "p0.version": "2.0.0", "p0.description": "New"})
    assert answer.status_code == 303, answer.text
    content = await content_of(browser, draft)
    assert (content["version"], content["description"]) == ("2.0.0", "New")
    page = (await browser.get(f"{draft}/publish")).text
    assert 'value="publish"' in page
    revision = re.search(r'name="revision" value="(\d+)"', page)
    assert revision is not None
    answer = await send(browser, f"{draft}/publish", op="publish", revision=revision[1])
    assert (answer.status_code, answer.headers["location"]) == (303, f"{draft}/move?done=published"), answer.text
    page = (await browser.get(draft)).text
    assert "disabled" in page


async def test_two_people_change_different_fields_and_both_stand(desk: ApiDesk) -> None:
    one, other = await browser_of(desk, "desi"), await browser_of(desk, "adam")
    draft = await begun(desk, one)
    first, second = form_of((await one.get(draft)).text), form_of((await other.get(draft)).text)
    await send(one, draft, **first | {"op": "save", "p0.description": "By Desi"})
    await send(other, draft, **second | {"op": "save", "p0.version": "3.0.0"})
    content = await content_of(one, draft)
    assert (content["description"], content["version"]) == ("By Desi", "3.0.0")


async def test_two_people_change_the_same_field_and_one_chooses(desk: ApiDesk) -> None:
    one, other = await browser_of(desk, "desi"), await browser_of(desk, "adam")
    draft = await begun(desk, one)
    first, second = form_of((await one.get(draft)).text), form_of((await other.get(draft)).text)
    await send(one, draft, **first | {"op": "save", "p0.description": "Theirs", "p0.version": "2.0.0"})
    mine = {"op": "save", "p0.description": "Mine", "p0.version": "3.0.0"}
    page = (await send(other, draft, **second | mine)).text
    assert "changed this draft meanwhile" in page
    told = page.partition("data-conflict")[2].partition("</form>")[0]
    sent: dict[str, str | list[str]] = {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', told)
    }
    sent |= {"revision": re.search(r'name="revision" value="(\d+)"', told)[1]}  # type: ignore[index] # it is there
    sent.pop("csrf_token")
    number = next(name for name, value in sent.items() if value == "/description").rpartition(".")[2]
    answer = await send(other, draft, **sent | {"op": "settle", f"choice.{number}": "mine"})
    assert answer.status_code == 303, answer.text
    content = await content_of(one, draft)
    assert (content["description"], content["version"]) == ("Mine", "2.0.0")


async def test_a_file_becomes_a_draft_and_what_is_no_file_is_refused(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    file = {"file": ("expense.json", EXPENSE.read_bytes(), "application/json")}
    answer = await send(browser, "/drafts", files=file, how="file")
    assert answer.status_code == 303, answer.text
    content = await content_of(browser, answer.headers["location"])
    assert content["name"] == json.loads(EXPENSE.read_text())["name"]
    answer = await send(browser, "/drafts", files={"file": ("x.json", b"no", "application/json")}, how="file")
    assert answer.status_code == 422
    assert "neither JSON nor BPMN" in answer.text


async def test_a_file_with_a_slip_says_where_it_is_on_the_page_that_takes_the_next_one(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    slip = b'{"format": 1,\n "name": "Pens"\n "version": "1.0.0"}'
    answer = await send(browser, "/drafts", files={"file": ("x.json", slip, "application/json")}, how="file")
    assert answer.status_code == 422
    assert "This file is not JSON: line 3, column 2 cannot be read. Correct it there." in answer.text
    assert 'type="file" id="file"' in answer.text
    answer = await send(browser, "/drafts", files={"file": ("x.bpmn", b"<a>", "application/xml")}, how="file")
    assert answer.status_code == 422
    assert 'type="file" id="file"' in answer.text


async def test_an_empty_draft_is_sound_and_its_findings_are_told_beside_their_parts(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    answer = await send(browser, "/drafts", how="blank", name="<b>Trip</b>")
    draft = answer.headers["location"]
    page = (await browser.get(f"{draft}/findings")).text
    assert "<b>Trip" not in page
    assert "data-report" in page
    form = form_of((await browser.get(f"{draft}?at=node:approval")).text)
    await send(browser, draft, **form | {"op": "save", "p1.approvers.0.who": "nobody at all ("})
    page = (await browser.get(f"{draft}/findings")).text
    assert re.search(r'class="finding error" data-at="node:approval"', page), page[page.find("data-report") :][:3000]


async def test_a_draft_is_explored_and_a_rehearsal_takes_the_way_that_was_chosen(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    draft = await begun(desk, browser)
    page = unescape((await send(browser, f"{draft}/try", mode="explore")).text)
    assert re.search(r"\d ways lead to an end", page), page
    ways = re.findall(r'href="([^"]+&branch=[^"]+)" data-trial-fill', page)
    filled = [unescape((await browser.get(way)).text) for way in ways]
    said = [re.findall(r'name="along" value="([^"]+)" checked> ([^<]+)<', one) for one in filled]
    assert "Reject in: Board" in [one[0][1] for one in said]
    # A script is answered at once, with where it hears more.
    token = await csrf_token(browser)
    asked = {"csrf_token": token, "mode": "explore"}
    answer = await browser.post(f"{draft}/try", data=asked, headers={"X-Placet-Part": "try"})
    found = unescape(answer.text)
    events, again = re.search(r'data-events="([^"]+)" data-again="([^"]+)"', found).groups()  # type: ignore[union-attr]
    async with browser.stream("GET", events) as stream:
        assert [line async for line in stream.aiter_lines()][-3:-1] == ["event: ended", "data: {}"]
    assert len(re.findall("data-trial-fill", (await browser.get(again)).text)) == len(ways)


async def test_what_is_wrong_with_the_values_of_a_rehearsal_stands_beside_its_field(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    file = {"file": ("expense.json", EXPENSE.read_bytes(), "application/json")}
    draft = (await send(browser, "/drafts", files=file, how="file")).headers["location"]
    answer = await send(browser, f"{draft}/try", mode="rehearse", **{"input.amount": "-5"})
    assert answer.status_code == 422, answer.text
    field = answer.text.partition('name="input.amount"')[2].partition("</div>")[0]
    assert "at least 0" in unescape(field)


async def test_whoever_only_reads_sees_drafts_and_changes_none(desk: ApiDesk) -> None:
    draft = await begun(desk, await browser_of(desk, "desi"))
    auditor = await browser_of(desk, "audrey")
    page = await auditor.get(draft)
    assert page.status_code == 200
    assert "disabled" in page.text
    assert (await send(auditor, draft, op="save", at="process", revision="1")).status_code == 403
    assert (await (await browser_of(desk, "ann")).get(draft)).status_code == 403


async def test_a_check_ends_on_the_server_once_its_browser_has_gone(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    async def endless(*_: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("check")

    monkeypatch.setattr(drafts, "report_about", endless)
    browser = await browser_of(desk, "desi")
    draft = await begun(desk, browser)
    transport = desk.http._transport
    assert isinstance(transport, httpx.ASGITransport)

    async def left(scope: Any, receive: Any, send_on: Any) -> None:
        sent = iter([await receive()])

        async def gone() -> Any:
            return next(sent, {"type": "http.disconnect"})

        await transport.app(scope, gone, send_on)

    leaver = httpx.AsyncClient(transport=httpx.ASGITransport(app=left), base_url=LOCAL, cookies=browser.cookies)
    async with asyncio.timeout(PATIENCE):
        answer = await leaver.get(f"{draft}/findings?at=process")
    assert (answer.status_code, ended) == (499, ["check"])


async def test_a_field_that_the_format_does_not_have_is_removed_by_its_button(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "desi")
    step = {"stage_name": "Manager", "approvers": ["user:bob"], "sla_hour": 24}
    content = json.dumps({"format": 1, "name": "Pens", "version": "1.0.0", "process_steps": [step]}).encode()
    answer = await send(browser, "/drafts", files={"file": ("x.json", content, "application/json")}, how="file")
    draft = answer.headers["location"]
    page = (await browser.get(f"{draft}?at=stage:Manager")).text
    button = re.search(r'name="op" value="(drop:[^"]+)" aria-label="Remove sla_hour"', page)
    assert button is not None
    answer = await send(browser, draft, **form_of(page) | {"op": button[1]})
    assert answer.status_code == 303, answer.text
    assert (await content_of(browser, draft))["process_steps"] == [{"stage_name": "Manager", "approvers": ["user:bob"]}]
