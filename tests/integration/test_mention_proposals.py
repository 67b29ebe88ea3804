"""Whom a comment may mention: those who may see the request first, and nobody's directory is read out by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

import api.access
from service.identity.rate_limits import RateLimit, RateLimits
from storage.database import Database
from tests.api_desk import STAFF, ApiDesk, context_of, working_desk
from tests.approvals import EXPENSE
from tests.pages import browser_of

NAMES = {
    "ann": "Ann Östberg",
    "bob": "Bob Ann-Berger",
    "zoe": "Öz Annan",
    "adam": "Adam Anniston",
    "carl": "Carl 50%_Off",
    "gone": "Anna Gone",
}


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    staff = tuple({**one, "name": NAMES.get(one["id"], one["id"].title())} for one in STAFF)
    async with working_desk(database, client, staff=staff) as opened:
        yield opened


async def proposed(desk: ApiDesk, request: dict[str, Any], text: str, as_: str = "ann") -> list[tuple[str, bool]]:
    """Return who is proposed, and whether they may see the request."""
    browser = await browser_of(desk, as_)
    answer = await browser.get(f"/requests/{request['id']}/people", params={"q": text})
    assert answer.status_code == 200, answer.text
    return [(one["id"], one["note"] == "") for one in answer.json()["people"]]


async def test_those_who_may_see_the_request_come_first(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    # Bob decides, Adam sees all, Zoe sees nothing; Ann herself and those who have left are not proposed.
    assert await proposed(desk, request, "ann") == [("bob", True), ("adam", True), ("zoe", False)]
    assert await proposed(desk, request, "AN", as_="bob") == [("ann", True), ("adam", True), ("zoe", False)]
    assert await proposed(desk, request, "öst", as_="bob") == [("ann", True)]
    assert await proposed(desk, request, "ÖZ") == [("zoe", False)]
    assert await proposed(desk, request, "berger") == [("bob", True)]


@pytest.mark.parametrize("text", ["", "a", " a ", "%%", "__", "zzzz", "x" * 200, "bo\0b\\"])
async def test_little_or_nonsense_finds_nobody(desk: ApiDesk, text: str) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    assert await proposed(desk, request, text) == []


async def test_a_sign_of_the_database_is_a_sign_like_others(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    assert await proposed(desk, request, "50%_") == [("carl", False)]


async def test_who_may_not_list_people_is_shown_those_of_the_request_alone(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(api.access.RULES, "GET /workflow/people/", frozenset({"admin"}))
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    assert await proposed(desk, request, "ann") == [("bob", True)]
    assert await proposed(desk, request, "ann", as_="adam") == [("ann", True), ("bob", True), ("zoe", False)]


async def test_whoever_may_not_see_the_request_is_proposed_nobody(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    answer = await (await browser_of(desk, "zoe")).get(f"/requests/{request['id']}/people?q=ann")
    assert answer.status_code == 404


async def test_searches_are_limited(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    limits: RateLimits = context_of(desk).rate_limits
    few = RateLimit("searches", "2/minute", limits.people_searches._limiter.storage)
    monkeypatch.setattr(limits, "people_searches", few)
    browser = await browser_of(desk, "ann")
    codes = [(await browser.get(f"/requests/{request['id']}/people?q=bo")).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert await proposed(desk, request, "ann", as_="bob") != []  # each person has a limit of their own
