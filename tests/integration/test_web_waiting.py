"""The pages of what a request waits for, without a browser: what they say, and to whom."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import worker
from tests.pages import browser_of
from worker.jobs import presence_job

ALWAYS = {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What pages say is the same on every database; tests of the API run on both."""
    return sqlite_url


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"pages-{uuid.uuid4().hex[:8]}"
    async with (
        worker(client, database, queue),
        presence_job(database, client, queue),
        api_desk(database, client, task_queue=queue) as opened,
    ):
        yield opened


async def put(desk: ApiDesk, person: str, **changes: Any) -> None:
    read = (await desk.get(f"/workflow/people/{person}/", as_="adam")).json()
    answer = await desk.call("PUT", f"/workflow/people/{person}/", body=read | changes, as_="adam")
    assert answer.status_code == 200, answer.text


async def page_of(desk: ApiDesk, person: str, path: str, *, status: int = 200) -> str:
    answer = await (await browser_of(desk, person)).get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_page_says_why_to_its_reader_and_why_of_others_to_whoever_may_know(desk: ApiDesk) -> None:
    await put(desk, "dora", away=[ALWAYS])
    steps = [{"stage_name": "Stage 1", "approvers": ["user:dora", "user:bob"], "sla_hours": 8}]
    request = await desk.start(await desk.publish(process_steps=steps), amount=1)
    address = f"/requests/{request['id']}"
    for path in (address, f"{address}/waiting"):
        assert "Why not me?" in await page_of(desk, "ann", path)
        assert "Why me?" in await page_of(desk, "bob", path)
        assert "Show why" not in await page_of(desk, "ann", path)
    told = await page_of(desk, "olivia", f"{address}/waiting?person=dora")
    assert "Is Dora asked?" in told
    assert "Was away when people were chosen, and had no substitute." in told
    assert "Considered because the process asks Dora." in told
    assert "Name a person by their id" in await page_of(desk, "olivia", f"{address}/waiting?person=nobody")
    assert "Name a person by their id" in await page_of(desk, "olivia", f"{address}/waiting?person=%2F%2F")
    await page_of(desk, "ann", f"{address}/waiting?person=dora", status=403)
    await page_of(desk, "zoe", f"{address}/waiting", status=404)
    task = await page_of(desk, "bob", f"/tasks/{request['tasks'][0]['id']}")
    assert "The process asks Bob here." in task
    await desk.post(f"/workflow/requests/{request['id']}/withdraw/")
    assert "Nothing: the request has ended." in await page_of(desk, "ann", f"{address}/waiting")
    assert "No stage is open" in await page_of(desk, "olivia", f"{address}/waiting?person=dora")


async def test_page_shows_a_stuck_request_and_a_queue(desk: ApiDesk) -> None:
    steps = [{"stage_name": "Stage 1", "approvers": ["group:finance"], "claim": True}]
    request = await desk.start(await desk.publish(process_steps=steps), amount=1)
    found = await page_of(desk, "ann", f"/requests/{request['id']}")
    assert "finance: Gus, Gwen" in found
    assert "Nobody has claimed the task since" in found
    for one in ("gus", "gwen"):
        await put(desk, one, groups=[])
    assert "Stuck:" in await page_of(desk, "ann", f"/requests/{request['id']}")
