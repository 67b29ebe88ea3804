"""Calls that need the pool: they wait in a bounded queue, hold nothing meanwhile, and are told to come again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.pool.pool import Limits, ProcessPool
from storage.database import Database
from tests import pool_work as work
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.approvals import EXPENSE
from tests.waiting import until

CHECK = "/workflow/process-templates/check/"
SIMULATE = "/workflow/workflow-simulations/"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    limits = Limits(processes=1, waiting=4, seconds=2)
    async with api_desk(database, await no_engine(), seconds=1, limits=limits) as opened:
        yield opened


def pool_of(desk: ApiDesk) -> ProcessPool:
    pool: ProcessPool = desk.http._transport.app.state.context.pool  # type: ignore[attr-defined]
    return pool


async def busy(desk: ApiDesk) -> asyncio.Task[None]:
    """Keep the one process busy."""
    pool = pool_of(desk)
    task = asyncio.create_task(pool.run(work.sleep, by="somebody"))

    async def there() -> bool:
        return bool(pool.pids)

    await until(there)
    return task


async def test_beyond_the_queue_a_check_is_told_to_come_again_and_everything_else_goes_on(desk: ApiDesk) -> None:
    for person in ("desi", "adam", "audrey"):
        await desk.token(person)
    sleeping = await busy(desk)
    waiting = [asyncio.create_task(desk.post(CHECK, EXPENSE, as_=who)) for who in ("desi", "desi", "adam", "adam")]
    order = {"mode": "explore", "blueprint": EXPENSE, "input": {"amount": "7"}}

    async def full() -> bool:
        return pool_of(desk).waiting == 4

    await until(full)
    for path, body in ((CHECK, EXPENSE), (SIMULATE, order)):
        refused = await desk.post(path, body, as_="audrey")
        assert refused.status_code == 429, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0
    reads = await asyncio.gather(*(desk.get("/workflow/people/") for _ in range(30)))
    assert {answer.status_code for answer in reads} == {200}, "nobody who waits holds a session"
    sleeping.cancel()
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 4
    assert (await desk.post(SIMULATE, order, as_="audrey")).status_code == 201


async def test_work_that_needs_too_much_is_the_callers_fault_and_names_the_bound(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.definitions.check", work.spin_over)
    answer = await desk.post(CHECK, EXPENSE, as_="desi")
    assert answer.status_code == 422
    assert "2 seconds of processor time" in answer.json()["detail"]
    assert answer.json()["type"] == "urn:placet:problem:too-much-work"
    monkeypatch.undo()
    assert (await desk.post(CHECK, EXPENSE, as_="desi")).json()["ok"] is True
