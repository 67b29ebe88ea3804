"""Pages for a German reader: what the core refuses or finds is said in German; the answers of the API are English."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest_asyncio
from sqlalchemy import Connection, update

from storage.database import Database
from storage.tables.suggestions import WorkflowSuggestion
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.test_web_drafts import form_of
from tests.integration.test_web_forms import PROCESS
from tests.integration.test_web_simulations import store
from tests.pages import LOCAL, browser_of, send
from tests.unit.core import blueprint

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
    assert page.count("Geben Sie mindestens 0 ein.</") == 2
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


async def test_what_changes_since_the_last_version_is_told_in_german_beside_a_draft(desk: ApiDesk) -> None:
    name = await desk.publish(PROCESS, owner="user:desi")
    browser = await german(desk, "desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    version = next(one["id"] for one in listed if one["name"] == name)
    draft = (await send(browser, "/drafts", how="version", **{"from": version})).headers["location"]
    page = (await browser.get(f"{draft}?at=node:board")).text
    await send(browser, draft, **form_of(page) | {"op": "save", "p1.sla_hours": "7"})
    found = unescape((await browser.get(f"{draft}/findings")).text)
    assert "Stufe 'Board': sla_hours ist 7.0, vorher keine" in found, found[found.find("data-report") :][:2000]


async def test_what_an_imported_file_left_out_is_told_in_german(desk: ApiDesk) -> None:
    browser = await german(desk, "desi")
    file = {"file": ("order.bpmn", ORDER.encode(), "application/xml")}
    page = unescape((await send(browser, "/drafts", files=file, how="file")).text)
    assert "das Skript wird nicht übernommen und läuft nicht" in page
    assert "der Katalog hat keine Aktion dafür" in page, page[page.find("<ul") :][:2000]
    broken = {"file": ("order.bpmn", b"<definitions", "application/xml")}
    refused = await send(browser, "/drafts", files=broken, how="file")
    assert (refused.status_code, "das ist kein XML" in unescape(refused.text)) == (422, True)


async def test_the_findings_and_remarks_of_a_stored_simulation_are_told_in_german_with_their_values(
    desk: ApiDesk,
) -> None:
    escalates = {"stage_name": "Board", "approvers": ["user:bob"], "sla_hours": 8, "escalation_to": "user:bob"}
    wrong = blueprint(escalates, variables=[{"name": "amount", "type": "decimal"}], graph_spec=UNSOUND)
    asked = {"mode": "explore", "blueprint": wrong, "requester": "mo"}
    answer = await desk.post("/workflow/workflow-simulations/", asked, as_="desi")
    told = answer.json()
    assert answer.is_success, told
    assert "sentences" not in told, "the API tells texts alone"
    page = unescape((await (await german(desk, "desi")).get(f"/simulations/{told['id']}")).text)
    assert told["validation_errors"]
    assert told["warnings"]
    texts = [*(one["message"] for one in told["validation_errors"]), *told["warnings"]]
    assert [one for one in texts if one in page] == [], page


async def test_a_simulation_that_was_stored_before_is_told_as_it_was_stored(desk: ApiDesk) -> None:
    fault = {"pointer": "/process_steps/0", "message": "stage 'Board' was odd"}
    store(desk, "earlier", status="failed", result={"validation_errors": [fault], "warnings": ["cut after 7"]})
    page = unescape((await (await german(desk, "desi")).get("/simulations/earlier")).text)
    assert ("stage 'Board' was odd" in page, "cut after 7" in page) == (True, True)


async def test_what_the_proofs_find_in_a_suggestion_is_told_in_german_with_its_values(desk: ApiDesk) -> None:
    name = await desk.publish(variables=[{"name": "amount", "type": "decimal"}])
    body = {
        "template": name,
        "title": "A branch",
        "patch": [
            {"op": "add", "path": "/graph_spec", "value": UNSOUND},
            {
                "op": "replace",
                "path": "/process_steps",
                "value": [
                    {"stage_name": "Board", "approvers": ["user:bob"], "sla_hours": 8, "escalation_to": "user:bob"}
                ],
            },
        ],
    }
    made = await desk.post("/workflow/workflow-suggestions/", body, as_="desi")
    assert made.status_code == 201, made.text
    messages = [one["message"] for one in made.json()["findings"]]
    assert messages
    assert not {"words", "sentences"} & {*made.json(), *made.json()["findings"][0]}, "the API tells texts alone"
    address = f"/suggestions/{made.json()['id']}"
    page = unescape((await (await german(desk, "desi")).get(address)).text)
    assert [one for one in messages if one in page] == [], page
    english = unescape((await (await browser_of(desk, "desi")).get(address)).text)
    assert [one for one in messages if one not in english] == []
    assert "nothing to compare it with" in english
    assert "at least 0" not in english

    # As the first form has it, which held nothing but the texts: they are told as they were stored.
    def older(connection: Connection) -> None:
        connection.execute(update(WorkflowSuggestion).values(stored_format=1, words=None))

    await desk.database.write(older)
    page = unescape((await (await german(desk, "desi")).get(address)).text)
    assert [one for one in messages if one not in page] == []


UNSOUND = {
    "nodes": [
        {"id": "start", "type": "trigger"},
        {"id": "choose", "type": "decision"},
        {"id": "board", "type": "approval", "step": "Board"},
        {"id": "approved", "type": "terminator", "outcome": "approved"},
        {"id": "rejected", "type": "terminator", "outcome": "rejected"},
    ],
    "edges": [
        {"from": "start", "to": "choose"},
        {"from": "choose", "to": "board", "condition": "amount > 5.0"},
        {"from": "choose", "to": "approved", "condition": "amount > 7.0"},
        {"from": "board", "to": "approved", "on": "approved"},
        {"from": "board", "to": "rejected", "on": "rejected"},
    ],
}
ORDER = """<?xml version="1.0"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="x">
<process id="order" name="Order" isExecutable="true">
<startEvent id="s"/><sequenceFlow id="a" sourceRef="s" targetRef="t"/>
<userTask id="t" name="Approve"/><sequenceFlow id="b" sourceRef="t" targetRef="c"/>
<scriptTask id="c" name="Reckon"><script>x = 1</script></scriptTask><sequenceFlow id="e" sourceRef="c" targetRef="f"/>
<endEvent id="f"/></process></definitions>
"""
