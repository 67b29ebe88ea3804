"""The preflight of a move to another version, over running requests on the real engine."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import worker

PATH = "/workflow/process-templates/"
TWO_STAGES: dict[str, Any] = {
    "name": "Order",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}],
    "process_steps": [
        {"stage_name": "Manager", "approvers": ["user:bob"]},
        {"stage_name": "Finance", "approvers": ["user:carl"]},
    ],
}


@pytest_asyncio.fixture
async def desk(sqlite_url: str, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    database = Database(sqlite_url)
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue) as opened:
        yield opened
    await database.close()


async def _draft(desk: ApiDesk, name: str, version: str, **changes: Any) -> str:
    body = {**TWO_STAGES, "name": name, "version": version, **changes}
    made = await desk.post(PATH, body, as_="desi")
    assert made.status_code == 201, made.text
    return f"{PATH}{made.json()['id']}/"


async def test_preflight_tells_for_each_request_what_a_move_would_mean(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    fresh = (await desk.start(name, amount="5"))["id"]
    later = await desk.start(name, amount="500")
    decided = await desk.post(f"/workflow/tasks/{later['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert decided.status_code == 200, decided.text
    ended = await desk.start(name, amount="1")
    assert (await desk.post(f"/workflow/requests/{ended['id']}/withdraw/", {})).status_code == 200

    async def verdicts(path: str, body: dict[str, Any] | None = None) -> dict[str, str]:
        answer = await desk.post(f"{path}migrate/", body or {}, as_="adam")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert sum(found["totals"].values()) == len(found["requests"])
        assert all(bool(one["reasons"]) == (one["verdict"] != "maps") for one in found["requests"])
        return {one["request_id"]: one["verdict"] for one in found["requests"]}

    same = await _draft(desk, name, "1.0.1", description="In other words")
    assert await verdicts(same) == {fresh: "maps", later["id"]: "maps"}
    assert await verdicts(same, {"from_version": "0.9.0"}) == {}

    manager_only = await _draft(desk, name, "2.0.0", process_steps=TWO_STAGES["process_steps"][:1])
    assert await verdicts(manager_only) == {fresh: "maps", later["id"]: "does_not_map"}

    ends = await _draft(desk, name, "3.0.0", graph_spec=_ends_when_large())
    assert await verdicts(ends) == {fresh: "maps", later["id"]: "changes_outcome"}

    stricter = await _draft(desk, name, "4.0.0", variables=[{"name": "amount", "type": "decimal", "maximum": 100}])
    assert await verdicts(stricter) == {fresh: "maps", later["id"]: "does_not_map"}

    for person, status in (("ann", 403), ("desi", 403)):
        assert (await desk.post(f"{same}migrate/", {}, as_=person)).status_code == status
    assert (await desk.post(f"{same}migrate/", {"dry_run": False}, as_="adam")).status_code == 409  # a draft
    assert (await desk.post(f"{PATH}unknown/migrate/", {}, as_="adam")).status_code == 404
    # nothing has moved
    assert (await desk.get(f"/workflow/requests/{fresh}/")).json()["version"] == "1.0.0"


def _ends_when_large() -> dict[str, Any]:
    return {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "manager", "type": "approval", "step": "Manager"},
            {"id": "large", "type": "decision"},
            {"id": "finance", "type": "approval", "step": "Finance"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "manager"},
            {"from": "manager", "to": "large", "on": "approved"},
            {"from": "manager", "to": "no", "on": "rejected"},
            {"from": "large", "to": "no", "condition": "amount != null && amount > 100"},
            {"from": "large", "to": "finance", "default": True},
            {"from": "finance", "to": "yes", "on": "approved"},
            {"from": "finance", "to": "no", "on": "rejected"},
        ],
    }
