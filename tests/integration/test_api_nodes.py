"""Actions, outside events and sub-processes over HTTP, from the catalog and published processes to the outcome."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from storage.database import Database
from storage.tables.approvals import AuditEntry
from tests.api_desk import ApiDesk, api_desk, pointers
from tests.approvals import worker
from tests.stored import reading
from tests.unit.core import blueprint, graph
from tests.waiting import until
from worker.actions import action_worker
from worker.catalog import seed_catalog

TEMPLATES = "/workflow/process-templates/"
AMOUNT = {"name": "amount", "type": "decimal", "default": "0"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is tested here is the same on every database."""
    return sqlite_url


@pytest_asyncio.fixture
async def desk(client: Client, database: Database) -> AsyncIterator[ApiDesk]:
    await seed_catalog(database)
    queue = f"nodes-{uuid.uuid4().hex[:8]}"
    async with (
        worker(client, database, queue),
        action_worker(client, database, task_queue=queue),
        api_desk(database, client, task_queue=queue) as opened,
    ):
        yield opened


def process(*edges: str, nodes: dict[str, dict[str, Any]], steps: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return blueprint(*steps, variables=[AMOUNT], graph_spec=graph(*edges, nodes=nodes, ends=("approved",)))


def doubled() -> dict[str, Any]:
    node = {"type": "action", "action": "set_variables", "input": {"amount": {"expr": "amount * 2"}}}
    nodes: dict[str, dict[str, Any]] = {
        "act": {**node, "output": {"amount": "amount"}},
        "w": {"type": "wait", "event": "go"},
    }
    return process("start -> act", "act -> w", "w -> approved", nodes=nodes)


async def ended(desk: ApiDesk, request_id: str) -> dict[str, Any]:
    async def asked() -> dict[str, Any] | None:
        found: dict[str, Any] = (await desk.get(f"/workflow/requests/{request_id}/")).json()
        return found if found["status"] != "pending" else None

    found = await until(asked)
    assert found is not None
    return found


async def timeline(desk: ApiDesk, request_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await desk.get(f"/workflow/requests/{request_id}/timeline/")).json()["items"]
    return items


async def test_an_action_sets_variables_and_an_event_ends_the_wait(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(doubled()), amount=12.5)
    events = f"/workflow/requests/{request['id']}/events/"

    async def waits() -> bool:
        return any(item["kind"] == "waiting" for item in await timeline(desk, request["id"]))

    await until(waits)
    assert (await desk.post(events, {"name": "go"})).status_code == 403
    assert (await desk.post(events, {"name": "stop"}, as_="adam")).status_code == 409
    told = await desk.post(events, {"name": "go", "payload": {"by": "post"}}, as_="olivia", key="once")
    assert (told.status_code, told.json()["outcome"]) == (200, "approved")
    assert (
        await desk.post(events, {"name": "go", "payload": {"by": "post"}}, as_="olivia", key="once")
    ).json() == told.json()
    run = next(item for item in await timeline(desk, request["id"]) if item["kind"] == "action_run")
    assert run["detail"]["after"] == {"amount": "25"}


async def salts(database: Database) -> dict[str, dict[str, str]]:
    """Return the salts of each request's first entry."""
    query = select(col(AuditEntry.request_id), col(AuditEntry.salts)).where(col(AuditEntry.seq) == 1)
    with reading(database) as session:
        return {request_id: json.loads(found or "{}") for request_id, found in session.execute(query)}


async def test_content_is_sealed_however_a_request_began_and_the_timeline_shows_it(
    desk: ApiDesk, database: Database
) -> None:
    inner = process("start -> act", "act -> approved", nodes={"act": {"type": "wait", "event": "never"}})
    sub = {"type": "subprocess", "template": await desk.publish(inner)}
    nodes: dict[str, dict[str, Any]] = {
        "both": {"type": "fork"},
        "sub": sub,
        "other": {
            "type": "action",
            "action": "create_request",
            "input": {"template": await desk.publish(doubled()), "title": "Another one", "input": {"amount": "5"}},
        },
        "any": {"type": "join", "need": "any"},
    }
    edges = ("start -> both", "both -> sub", "both -> other", "sub -> any", "other -> any", "any -> approved")
    for number in (1, 2):  # of the blueprint: what was published long ago is sealed from now on, too
        raw = {**process(*edges, nodes=nodes), "format": number}
        request = await desk.start(await desk.publish(raw), amount=number)
        assert (await ended(desk, request["id"]))["outcome"] == "approved"
        items = await timeline(desk, request["id"])
        assert items[0]["detail"]["input"] == {"amount": str(number)}
        branch = next(item for item in items if item["kind"] == "branch_ended")
        assert branch["detail"] == {
            "node": "sub",
            "why": "any has been reached by enough branches",
            "code": "branch_not_needed",
            "parameters": {"node": "any"},
        }
    found = await salts(database)
    assert len(found) == 6
    titles = {places["/title"] for places in found.values()}
    assert len(titles) == 6


async def test_a_published_process_is_run_as_a_sub_process(desk: ApiDesk) -> None:
    node = {"type": "action", "action": "set_variables", "input": {"amount": 7}, "output": {"amount": "amount"}}
    inner = await desk.publish(process("start -> act", "act -> approved", nodes={"act": node}))
    sub = {"type": "subprocess", "template": inner, "output": {"amount": "amount"}}
    outer = await desk.publish(process("start -> sub", "sub -> approved", nodes={"sub": sub}))
    request = await desk.start(outer, amount=1)
    assert (await ended(desk, request["id"]))["outcome"] == "approved"
    child = (await desk.get(f"/workflow/requests/{request['id']}~1/")).json()
    assert (child["template"], child["outcome"]) == (inner, "approved")
    last = next(item for item in await timeline(desk, request["id"]) if item["kind"] == "child_ended")
    assert last["detail"]["after"] == {"amount": "7"}


async def test_what_the_catalog_and_the_processes_do_not_have_is_refused_at_its_place(desk: ApiDesk) -> None:
    nodes = {"a": {"type": "action", "action": "fly"}, "b": {"type": "subprocess", "template": "Nothing"}}
    raw = process("start -> a", "a -> b", "b -> approved", nodes=nodes)
    places = ["/graph_spec/nodes/2/action", "/graph_spec/nodes/3/template"]
    refused = await desk.post(TEMPLATES, raw, as_="desi")
    assert (refused.status_code, pointers(refused)) == (422, places)
    findings = (await desk.post(f"{TEMPLATES}check/", raw, as_="desi")).json()["findings"]
    assert [(f["code"], f["pointer"]) for f in findings if f["severity"] == "error"] == [
        ("unknown_action", places[0]),
        ("unknown_process", places[1]),
    ]


async def test_a_circle_is_refused_at_the_version_that_closes_it(desk: ApiDesk) -> None:
    def running(*names: str, **more: Any) -> dict[str, Any]:
        nodes = {f"run{n}": {"type": "subprocess", "template": name, **more} for n, name in enumerate(names)}
        edges = ["start", *nodes, "approved"]
        return process(*(f"{a} -> {b}" for a, b in itertools.pairwise(edges)), nodes=nodes)

    first = await desk.publish(running())
    middle = await desk.publish(running(first))
    last = await desk.publish(running(middle))
    place = "/graph_spec/nodes/2/template"
    for name in (first, middle, last):  # the process itself, and those that run it
        closing = {**running(name), "name": first, "version": "2.0.0"}
        refused = await desk.post(TEMPLATES, closing, as_="desi")
        assert (refused.status_code, pointers(refused)) == (422, [place]), name
        findings = (await desk.post(f"{TEMPLATES}check/", closing, as_="desi")).json()["findings"]
        assert [(f["code"], f["pointer"]) for f in findings if f["severity"] == "error"] == [("unknown_process", place)]
    # What they run goes on being another version where this one will not be the newest, or is not the one they name.
    elder = {**running(middle), "name": first, "version": "0.9.0"}
    assert (await desk.post(TEMPLATES, elder, as_="desi")).status_code == 201
    pinned = await desk.publish(running(first, version="1.0.0"))
    newer = {**running(pinned), "name": first, "version": "2.0.0"}
    assert (await desk.post(TEMPLATES, newer, as_="desi")).status_code == 201
    itself = {**running(first, version="3.0.0"), "name": first, "version": "3.0.0"}
    assert (await desk.post(TEMPLATES, itself, as_="desi")).status_code == 422


async def test_the_schema_of_the_format_is_served(desk: ApiDesk) -> None:
    published = Path(__file__).parents[2] / "docs" / "blueprint.schema.json"
    assert (await desk.get(f"{TEMPLATES}schema/")).json() == json.loads(published.read_text())
