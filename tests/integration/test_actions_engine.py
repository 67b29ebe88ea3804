"""Catalog actions on the real engine: run by processes that are published over HTTP, on a task queue of their own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.client import Client

from service.requests import MOST_GENERATIONS
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, worker
from tests.waiting import until
from worker.actions import action_worker
from worker.catalog import seed_catalog


@pytest_asyncio.fixture
async def desk(sqlite_url: str, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    database = Database(sqlite_url)
    await seed_catalog(database)
    async with (
        worker(client, database, queue),
        action_worker(client, database, task_queue=queue),
        api_desk(database, client, task_queue=queue) as opened,
    ):
        yield opened
    await database.close()


def _running(action: dict[str, Any]) -> dict[str, Any]:
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "do", "type": "action", **action},
        {"id": "ends", "type": "terminator", "outcome": "approved"},
    ]
    edges = [{"from": "start", "to": "do"}, {"from": "do", "to": "ends"}]
    return {**EXPENSE, "process_steps": [], "graph_spec": {"nodes": nodes, "edges": edges}}


async def _ended(desk: ApiDesk, request_id: str) -> dict[str, Any]:
    async def ended() -> dict[str, Any]:
        found = (await desk.get(f"/workflow/requests/{request_id}/")).json()
        return found if found["status"] != "pending" else {}

    return await until(ended, what="the end of the request")


async def test_process_starts_another_request_once_for_the_same_requester(desk: ApiDesk) -> None:
    other = await desk.publish(EXPENSE)
    given = {"template": other, "input": {"amount": {"expr": "amount"}}, "title": "Started by another"}
    name = await desk.publish(_running({"action": "create_request", "input": given}))
    parent = await desk.start(name, amount="12.5")
    assert (await _ended(desk, parent["id"]))["outcome"] == "approved"

    async def children() -> list[dict[str, Any]]:
        found = (await desk.get("/workflow/requests/")).json()["items"]
        return [one for one in found if one["template"] == other]

    (child,) = await until(children, what="the other request")
    assert (child["title"], child["status"], child["requester"]) == ("Started by another", "pending", "user:ann")
    fared = (await desk.get("/workflow/action-catalog/create_request/")).json()["statistics"]
    assert (fared["count"], fared["success_rate"]) == (1, 1.0)


async def test_processes_that_start_each_other_come_to_an_end(desk: ApiDesk) -> None:
    # Two processes in a circle: each starts the other, whose name is known only once both are published.
    names = {"ping": f"Ping {uuid.uuid4().hex[:8]}", "pong": f"Pong {uuid.uuid4().hex[:8]}"}
    for name, other in (("ping", "pong"), ("pong", "ping")):
        given = {"template": names[other], "input": {"amount": {"expr": "amount"}}, "title": "Round and round"}
        await desk.publish({**_running({"action": "create_request", "input": given})}, name=names[name])
    first = await desk.start(names["ping"], amount="1")

    async def family() -> list[dict[str, Any]]:
        found = (await desk.get("/workflow/requests/?limit=100")).json()["items"]
        ours = [one for one in found if one["template"] in names.values()]
        return ours if len(ours) > MOST_GENERATIONS and all(one["status"] != "pending" for one in ours) else []

    ours = await until(family, what="the end of the circle")
    assert len(ours) == MOST_GENERATIONS + 1
    assert sorted(one["status"] for one in ours) == ["completed"] * MOST_GENERATIONS + ["failed"]
    last = next(one for one in ours if one["status"] == "failed")
    entries = (await desk.get(f"/workflow/requests/{last['id']}/timeline/")).json()["items"]
    assert "started each other 8 times" in str(next(e for e in entries if e["kind"] == "action_failed")["detail"])
    assert entries[0]["detail"]["created_from"] in {one["id"] for one in ours} - {last["id"]}
    assert first["id"] in {one["id"] for one in ours}


async def test_action_that_may_not_be_carried_out_is_on_the_timeline(desk: ApiDesk) -> None:
    name = await desk.publish(_running({"action": "http_call", "input": {"url": "https://nobody.example/"}}))
    request = await desk.start(name, amount="1")
    await _ended(desk, request["id"])
    entries = (await desk.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    failed = next(entry for entry in entries if entry["kind"] == "action_failed")
    assert "PLACET_ACTION_HOSTS" in str(failed["detail"])
    fared = (await desk.get("/workflow/action-catalog/http_call/")).json()["statistics"]
    assert (fared["count"], fared["success_rate"]) == (1, 0.0)  # it is sent at most once
