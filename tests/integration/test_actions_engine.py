"""Catalog actions on the real engine: run by processes that are published over HTTP, on a task queue of their own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, worker
from tests.waiting import until
from worker.actions import action_worker, seed_catalog


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


async def test_action_that_may_not_be_carried_out_is_on_the_timeline(desk: ApiDesk) -> None:
    name = await desk.publish(_running({"action": "http_call", "input": {"url": "https://nobody.example/"}}))
    request = await desk.start(name, amount="1")
    await _ended(desk, request["id"])
    entries = (await desk.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    failed = next(entry for entry in entries if entry["kind"] == "action_failed")
    assert "PLACET_ACTION_HOSTS" in str(failed["detail"])
    fared = (await desk.get("/workflow/action-catalog/http_call/")).json()["statistics"]
    assert (fared["count"], fared["success_rate"]) == (1, 0.0)  # it is sent at most once
