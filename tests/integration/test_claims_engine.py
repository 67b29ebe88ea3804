"""Claims on the real engine and both databases: one wins, whatever engine, clock and PostgreSQL do meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from placet.engine.bound_action import BoundAction
from placet.engine.events import ClaimAction, Decide
from storage.database import Database
from storage.migrate import migrate
from storage.queries.requests import timelines
from storage.recording.verify import verify_rows
from tests.approvals import Desk, by, desk, store_people
from tests.postgresql import Share
from tests.replays import replay
from tests.stored import reading
from tests.waiting import until
from workflows.approval import Answer, ApprovalWorkflow

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
HOUR = timedelta(hours=1)
CLAIMS, IN_FLIGHT = 1000, 8  # the engine takes ten updates of one request at once


@pytest_asyncio.fixture
async def office(client: Client, database: Database) -> AsyncIterator[Desk]:
    await store_people(database)
    async with desk(client, database) as there:
        yield there


def action(amount: int = 82000, *, hours: float = 24) -> BoundAction:
    expires_at = datetime.now(UTC) + timedelta(hours=hours)
    return BoundAction(type="payment", target="acct-1", parameters={"amount": amount}, expires_at=expires_at)


async def approved(office: Desk, asked: BoundAction, *, client: Client | None = None) -> Handle:
    handle = await office.start(action=asked, client=client)
    decision = Decide(by=by("bob"), task_id=f"{handle.id}.1", decision="approve")
    answer = await handle.execute_update(ApprovalWorkflow.decide, decision)
    assert answer.outcome == "approved"
    return handle


async def claim(handle: Handle, asked: BoundAction, *, key: str) -> str:
    """Claim as `key`, until there is an answer; returns what came of it."""
    event = ClaimAction(by=by("ann"), digest=asked.digest, key=key)

    async def answer() -> str | None:
        try:
            await handle.execute_update(ApprovalWorkflow.claim_action, event, id=key)
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            return str(cause.details[0]["failure"]) if cause.type == "ClaimRefused" else "gone"
        except RPCError as error:
            return "gone" if "already completed" in str(error) else None
        return "claimed"

    return str(await until(answer, what="an answer to a claim"))


async def claims(handle: Handle, asked: BoundAction, many: int) -> Counter[str]:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> str:
        async with room:
            return await claim(handle, asked, key=f"k{number}")

    return Counter(await asyncio.gather(*map(one, range(many))))


def record_of(database: Database, handle: Handle) -> list[Any]:
    with reading(database) as session:
        rows = timelines.of_request(session.connection(), handle.id)
        assert verify_rows(session.connection(), handle.id)["ok"]
    return [row for row in rows if row.kind.startswith("claim")]


async def continued(handle: Handle, asked: BoundAction, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a request continue as new while its action waits to be claimed."""
    seq = (await handle.query(ApprovalWorkflow.state)).seq
    first = (await handle.describe()).run_id

    def suggested(self: ApprovalWorkflow) -> bool:
        return self._start.state is None and self._state.seq > seq and self._calls.idle

    with monkeypatch.context() as patch:
        patch.setattr(ApprovalWorkflow, "_may_continue_as_new", suggested)
        assert await claim(handle, action(820_000), key="another action") == "claimed"  # taken, and on record

        async def another() -> bool:
            return (await handle.describe()).run_id != first

        await until(another, what="the next run")


async def test_of_many_claims_at_once_one_wins_and_the_request_ends(office: Desk) -> None:
    asked = action()
    handle = await approved(office, asked)
    found = await claims(handle, asked, CLAIMS)
    assert found["claimed"] == 1
    assert found.keys() <= {"claimed", "already_claimed", "gone"}
    answer = await handle.result()
    assert (answer.status, answer.outcome) == ("completed", "approved")
    (row,) = record_of(office.database, handle)
    assert (row.kind, row.actor, row.hash) == ("claimed", "user:ann", answer.head)


async def test_after_continuing_as_new_one_claim_wins(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = action()
    handle = await approved(office, asked)
    await continued(handle, asked, monkeypatch)
    found = await claims(handle, asked, 40)
    assert found["claimed"] == 1
    assert [row.kind for row in record_of(office.database, handle)] == ["claim_refused", "claimed"]


async def test_an_approval_expires_at_its_virtual_moment(office: Desk) -> None:
    clock = TimeSkipper(office.client, config=TimeSkippingConfig(enabled=False))
    asked = action(hours=24)
    handle = await approved(office, asked, client=clock.client)
    assert await clock.fast_forward(handle, 23 * HOUR)
    assert (await handle.query(ApprovalWorkflow.state)).claimable
    assert record_of(office.database, handle) == []
    await clock.fast_forward(handle, 2 * HOUR)
    await handle.result()
    (row,) = record_of(office.database, handle)
    assert row.kind == "claim_expired"
    assert timedelta() <= row.at - asked.expires_at < timedelta(minutes=5)  # what a busy machine adds


async def test_an_approval_is_claimed_at_a_virtual_moment_before_its_end(office: Desk) -> None:
    clock = TimeSkipper(office.client, config=TimeSkippingConfig(enabled=False))
    asked = action(hours=24)
    handle = await approved(office, asked, client=clock.client)
    assert await clock.fast_forward(handle, 23 * HOUR)
    assert await claim(handle, asked, key="k") == "claimed"
    await handle.result()
    assert [row.kind for row in record_of(office.database, handle)] == ["claimed"]


async def test_a_cancellation_in_the_engine_ends_what_waits_to_be_claimed(office: Desk) -> None:
    asked = action()
    handle = await approved(office, asked)
    await handle.cancel()
    answer = await handle.result()
    assert (answer.status, answer.outcome) == ("completed", "approved"), "the decision stands"
    (row,) = record_of(office.database, handle)
    assert (row.kind, row.detail["code"]) == ("claim_expired", "cancelled_in_engine")
    assert await claim(handle, asked, key="late") == "gone"


async def test_the_history_of_a_claim_replays(office: Desk) -> None:
    asked = action()
    handle = await approved(office, asked)
    await claim(handle, action(820_000), key="other")
    await claim(handle, asked, key="mine")
    await handle.result()
    await replay(handle)


async def test_one_claim_wins_when_postgresql_goes_through_recovery_in_between(client: Client, tmp_path: Path) -> None:
    share = Share(tmp_path, durable=True)
    try:
        server = share.server()
        server.run("CREATE DATABASE claims")
        database = Database(server.url("claims"))
        await migrate(server.url("claims"))
        await store_people(database)
        async with desk(client, database) as office:
            asked = action()
            handle = await approved(office, asked)
            waiting = asyncio.create_task(claims(handle, asked, 60))
            _crash(server.url("postgres"))  # all of its processes end, and it recovers from its log
            found = await waiting
            assert found["claimed"] == 1
            await handle.result()
        await database.close()
        after = Database(server.url("claims"))  # no connection of which was cut off
        assert [row.kind for row in record_of(after, handle)] == ["claimed"]
        await after.close()
    finally:
        share.close()


def _crash(url: str) -> None:
    """Kill a process of a server, which then ends all others and recovers: `restart_after_crash`."""
    with psycopg.connect(url, autocommit=True) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
