"""BPMN files over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from worker.actions import seed_catalog

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
    stored = await desk.get(f"{PATH}{made.json()['template']['id']}/")
    assert stored.json()["blueprint"] == made.json()["blueprint"]


async def test_what_is_no_bpmn_is_refused_and_only_designers_import(desk: ApiDesk) -> None:
    refused = await desk.post(f"{PATH}import_bpmn/", {"bpmn": "<!DOCTYPE a><a/>"}, as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, ["/bpmn"])
    assert (await desk.post(f"{PATH}import_bpmn/", {"bpmn": INVOICE}, as_="ann")).status_code == 403
    assert (await desk.post(f"{PATH}import_bpmn/", {"bpmn": ""}, as_="desi")).status_code == 422
