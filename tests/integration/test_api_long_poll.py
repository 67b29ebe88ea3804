"""A long poll answers when the request ends or goes back to its requester, and never later than it was asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from service import long_poll
from storage.announcements.listener import listening
from storage.database import Database
from tests.api_desk import ApiDesk, context_of, working_desk
from tests.approvals import EXPENSE
from tests.waiting import until


@pytest_asyncio.fixture
async def heard(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    """Give the API of a process that listens to announcements."""
    async with listening(database) as subscriptions, working_desk(database, client, subscriptions=subscriptions) as one:
        await until(_asked(lambda: subscriptions.connected), what="a connection")
        yield one


def _asked(question: Any) -> Any:
    async def ask() -> Any:
        return question()

    return ask


async def waiting(desk: ApiDesk, request: dict[str, Any], seconds: int = 55) -> asyncio.Task[Any]:
    """Begin a long poll, and return it once the server waits."""
    poll = asyncio.create_task(desk.get(f"/workflow/requests/{request['id']}/?wait={seconds}"))
    await until(_asked(lambda: long_poll._waiting["ann"] or poll.done()), what="the poll")
    return poll


@pytest.mark.parametrize(
    ("decision", "shows"),
    [
        ({"decision": "approve"}, ("completed", "approved", False)),
        ({"decision": "request_changes", "comment": "Cheaper."}, ("pending", None, True)),
    ],
)
async def test_a_poll_answers_as_soon_as_waiting_is_over(
    heard: ApiDesk, monkeypatch: pytest.MonkeyPatch, decision: dict[str, str], shows: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(long_poll, "_ANNOUNCED_LOOK", 3600.0)  # what is announced alone ends it
    request = await heard.start(await heard.publish(EXPENSE), amount="10")
    poll = await waiting(heard, request)
    assert not poll.done()
    decided = await heard.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", decision, as_="bob")
    assert decided.status_code == 200, decided.text
    found = (await asyncio.wait_for(poll, 50)).json()
    assert (found["status"], found["outcome"], found["returned"]) == shows


async def test_a_poll_finds_by_looking_what_was_not_announced(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "_LOOK", 0.05)
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    poll = await waiting(desk, request)
    await desk.post(f"/workflow/requests/{request['id']}/withdraw/")
    assert (await asyncio.wait_for(poll, 50)).json()["outcome"] == "withdrawn"


async def test_a_poll_ends_after_its_time_with_the_request_as_it_is(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    answer = await (await waiting(desk, request, seconds=1))
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert long_poll._waiting["ann"] == 0


@pytest.mark.parametrize("wait", ["56", "-1", "1e9", "soon"])
async def test_nobody_waits_longer_than_proxies_do(desk: ApiDesk, wait: str) -> None:
    assert (await desk.get(f"/workflow/requests/r1/?wait={wait}")).status_code == 422


async def test_who_may_not_see_a_request_does_not_wait_for_it(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    assert (await desk.get(f"/workflow/requests/{request['id']}/?wait=55", as_="zoe")).status_code == 404


async def test_a_process_that_stops_answers_at_once(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "_LOOK", 0.05)
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    poll = await waiting(desk, request)
    context_of(desk).admission.close()
    assert (await asyncio.wait_for(poll, 50)).json()["status"] == "pending"


async def test_one_caller_does_not_wait_without_bound(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "MOST_OF_ONE", 1)
    monkeypatch.setattr(long_poll, "_LOOK", 0.05)
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    poll = await waiting(desk, request)
    refused = await desk.get(f"/workflow/requests/{request['id']}/?wait=55")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert (await desk.get(f"/workflow/requests/{request['id']}/")).status_code == 200
    await desk.post(f"/workflow/requests/{request['id']}/withdraw/")
    assert (await asyncio.wait_for(poll, 50)).status_code == 200
