"""A store that is slow for one request does not stop the others: not their updates, and not their queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest
from temporalio.client import Client, WorkflowHandle

from placet.engine.events import Comment, Decide
from storage.database import WRITERS, Database
from tests.approvals import Desk, by, desk, store_people
from tests.waiting import until
from workflows.approval import Answer, ApprovalWorkflow

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
SOON = 30.0  # seconds; rows are held for as long as the test takes, so nothing of it comes from waiting for them


@pytest.fixture
async def office(client: Client, postgresql_url: str) -> AsyncIterator[Desk]:
    database = Database(postgresql_url)
    await store_people(database)
    async with desk(client, database) as opened:
        yield opened
    await database.close()


@asynccontextmanager
async def held(url: str, handles: Sequence[Handle]) -> AsyncIterator[None]:
    """Hold the rows of requests, as a worker does that is stopped in the middle of a transaction."""
    async with await psycopg.AsyncConnection.connect(url) as other:
        ids = [handle.id for handle in handles]
        await other.execute("SELECT id FROM approval_request WHERE id = ANY(%s) FOR UPDATE", [ids])
        yield


async def decide(handle: Handle) -> Answer:
    event = Decide(by=by("bob"), task_id=f"{handle.id}.1", decision="approve", key="k")
    return await handle.execute_update("decide", event, id="k", result_type=Answer)


async def comment(handle: Handle, key: str) -> Answer:
    event = Comment(by=by("ann"), text=key, key=key)
    return await handle.execute_update("comment", event, id=key, result_type=Answer)


async def started(office: Desk, number: int) -> list[Handle]:
    """Start requests, and return them once each waits for its approver."""
    handles = await asyncio.gather(*(office.start() for _ in range(number)))
    await asyncio.gather(*(comment(handle, "begun") for handle in handles))
    return list(handles)


@pytest.mark.parametrize("stuck", [1, 2 * WRITERS], ids=["one", "more than are written at the same time"])
async def test_a_slow_store_does_not_stop_queries_and_updates_of_other_requests(
    office: Desk, postgresql_url: str, stuck: int
) -> None:
    slow, others = await started(office, stuck), await started(office, 6)
    async with held(postgresql_url, slow):
        waiting = [asyncio.create_task(decide(handle)) for handle in slow]
        await until(lambda: _waits_for_a_lock(postgresql_url), what="a recording that waits for its row")
        async with asyncio.timeout(SOON):
            answers = await asyncio.gather(*map(decide, others))
            queried = await asyncio.gather(*(handle.query("recorded", result_type=Answer) for handle in others))
        assert [(a.seq, a.head) for a in answers] <= [(q.seq, q.head) for q in queried]
        assert not any(task.done() for task in waiting), "their rows are held"
    assert all([await task for task in waiting])


async def _waits_for_a_lock(url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url) as other:
        query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return await (await other.execute(query)).fetchone() is not None
