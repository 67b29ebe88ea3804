"""BPMN and DMN files over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from worker.catalog import seed_catalog

PATH = "/workflow/process-templates/"
INVOICE = (Path(__file__).parents[1] / "data" / "bpmn" / "invoice.bpmn").read_text()


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    await seed_catalog(database)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def test_file_becomes_a_draft_with_a_list_of_what_did_not_map(desk: ApiDesk) -> None:
    shown = await desk.post(f"{PATH}import_bpmn/", {"bpmn": INVOICE, "dry_run": True}, as_="desi")
    assert (shown.status_code, shown.json()["template"]) == (200, None)
    assert (await desk.get(PATH)).json()["items"] == []
    made = await desk.post(f"{PATH}import_bpmn/", {"bpmn": INVOICE, "name": "Invoices"}, as_="desi")
    assert made.status_code == 201, made.text
    assert made.json()["template"]["name"] == "Invoices"
    # a message that nobody throws, and an action that this catalog does not have
    assert {("lost", "told"), ("assumed", "pay")} <= {(left["kind"], left["id"]) for left in made.json()["left"]}
    stored = await desk.get(f"{PATH}{made.json()['template']['id']}/", as_="desi")
    assert stored.json()["blueprint"] == made.json()["blueprint"]


async def test_every_element_is_told_once_with_what_became_of_it(desk: ApiDesk) -> None:
    shown = await desk.post(f"{PATH}import_bpmn/", {"bpmn": INVOICE, "dry_run": True}, as_="desi")
    left = shown.json()["left"]
    assert {item["kind"] for item in left} == {"mapped", "assumed", "lost"}
    assert all(item["says"] == item["message"] and item["element"] and item["id"] for item in left)
    assert len({(item["element"], item["id"]) for item in left}) == len(left)


DECISION = (
    '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/"><decision id="level" name="Level">'
    '<decisionTable id="t"><input id="i"><inputExpression typeRef="number"><text>amount</text></inputExpression>'
    "</input>"
    '<output id="o" name="level" typeRef="string"/><rule id="r1"><inputEntry><text>&lt;= 1000</text></inputEntry>'
    '<outputEntry><text>"manager"</text></outputEntry></rule>'
    '<rule id="r2"><inputEntry><text>&gt; 1000</text></inputEntry>'
    '<outputEntry><text>"board"</text></outputEntry></rule></decisionTable></decision></definitions>'
)
RULED = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="c"><process id="p" name="Ruled">'
    '<startEvent id="s"/><businessRuleTask id="b" camunda:decisionRef="level"/><endEvent id="e"/>'
    '<sequenceFlow id="f" sourceRef="s" targetRef="b"/><sequenceFlow id="g" sourceRef="b" targetRef="e"/>'
    "</process></definitions>"
)


async def test_a_dmn_decision_becomes_a_draft_alone_and_behind_a_rule_task(desk: ApiDesk) -> None:
    made = await desk.post(f"{PATH}import_dmn/", {"dmn": DECISION}, as_="desi")
    assert made.status_code == 201, made.text
    assert (made.json()["template"]["name"], {item["kind"] for item in made.json()["left"]}) == ("Level", {"mapped"})
    tables = [node for node in made.json()["blueprint"]["graph_spec"]["nodes"] if "table" in node]
    assert [len(node["table"]["rules"]) for node in tables] == [2]
    shown = await desk.post(f"{PATH}import_bpmn/", {"bpmn": RULED, "dmn": [DECISION], "dry_run": True}, as_="desi")
    assert [node["id"] for node in shown.json()["blueprint"]["graph_spec"]["nodes"] if "table" in node] == ["b"]
    alone = await desk.post(f"{PATH}import_bpmn/", {"bpmn": RULED, "dry_run": True}, as_="desi")
    assert [item["kind"] for item in alone.json()["left"] if item["id"] == "b"] == ["lost"]


async def test_what_is_no_dmn_is_refused_at_its_place(desk: ApiDesk) -> None:
    for content in ("<!DOCTYPE a><a/>", INVOICE, DECISION.replace("&lt;= 1000", "f(x)")):
        refused = await desk.post(f"{PATH}import_dmn/", {"dmn": content}, as_="desi")
        assert (refused.status_code, pointers(refused)) == (422, ["/dmn"])
        assert "DMN" in refused.text or "document type" in refused.text
    assert (await desk.post(f"{PATH}import_dmn/", {"dmn": DECISION}, as_="ann")).status_code == 403


async def test_what_is_no_bpmn_is_refused_and_only_designers_import(desk: ApiDesk) -> None:
    refused = await desk.post(f"{PATH}import_bpmn/", {"bpmn": "<!DOCTYPE a><a/>"}, as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, ["/bpmn"])
    assert (await desk.post(f"{PATH}import_bpmn/", {"bpmn": INVOICE}, as_="ann")).status_code == 403
    assert (await desk.post(f"{PATH}import_bpmn/", {"bpmn": ""}, as_="desi")).status_code == 422
