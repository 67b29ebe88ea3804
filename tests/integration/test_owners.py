"""Who owns a process by a role or a group sees and does in its requests what an owner may, as a person would."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, worker
from tests.pages import browser_of


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"owners-{uuid.uuid4().hex[:8]}"
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue) as it:
        yield it


@pytest.mark.parametrize(
    ("owner", "person", "stored"),
    [
        ("user:olivia", "olivia", "user:olivia"),
        ("role:cfo", "carl", "role:cfo"),
        ("group:finance", "gus", "group:finance"),
        ("department_head", "dora", "role:department_head"),  # the short form of a role
    ],
)
async def test_owners_see_and_operate_the_requests_of_their_process(
    desk: ApiDesk, owner: str, person: str, stored: str
) -> None:
    stage = {"stage_name": "Only", "approvers": ["user:bob"], "sla_hours": 8}
    request = await desk.start(await desk.publish(EXPENSE, owner=owner, process_steps=[stage]), amount=1)
    (task,) = request["tasks"]
    paths = [f"/workflow/requests/{request['id']}/{part}" for part in ("", "timeline/", "audit/verify/")]
    paths.append(f"/workflow/tasks/{task['id']}/")
    pages = [f"/requests/{request['id']}{part}" for part in ("", "/process", "/ahead", "/audit")]
    for who, expected in ((person, 200), ("zoe", 404)):
        browser = await browser_of(desk, who)
        assert {(await desk.get(path, as_=who)).status_code for path in paths} == {expected}
        assert {(await browser.get(page)).status_code for page in pages} == {expected}
        listed = (await desk.get("/workflow/requests/", as_=who)).json()["items"]
        assert [one["id"] for one in listed] == ([request["id"]] if expected == 200 else [])
    assert (await desk.get(paths[0], as_=person)).json()["owner"] == stored
    path = f"/workflow/requests/{request['id']}"
    assert (await desk.post(f"{path}/extend/", {"hours": 1}, as_="zoe")).status_code in {403, 404}
    assert (await desk.post(f"{path}/extend/", {"hours": 1}, as_=person)).status_code == 200
    moved = await desk.post(f"/workflow/tasks/{task['id']}/reassign/", {"to": "zoe", "reason": "x"}, as_=person)
    assert moved.status_code == 200, moved.text
    ended = await desk.post(f"{path}/cancel/", {"reason": "No more."}, as_=person)
    assert (ended.status_code, ended.json()["outcome"]) == (200, "cancelled")
