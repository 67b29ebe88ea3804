"""The security log: log-ins of every way, proofs, and what was refused to whom; by ids, and without what was sent."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from structlog.testing import capture_logs

from api import app as api
from cli.terminal.logs import VARIABLE, write_logs
from placet.errors import Unseen
from service.identity.login import issue_code
from service.identity.settings import IdentitySettings
from service.security_log import EVENTS
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.web_desk import browser_of

LOCAL = "http://127.0.0.1:8420"


class Clock:
    """The time, moved on by the test."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def desk(sqlite_url: str, clock: Clock) -> AsyncIterator[ApiDesk]:
    database, settings = Database(sqlite_url), IdentitySettings(login_rate="2/minute")
    async with api_desk(database, await no_engine(), seconds=0.2, clock=clock, identity=settings) as opened:
        yield opened
    await database.close()


def lines(logged: list[Any], *events: str) -> list[dict[str, Any]]:
    """Return the lines of some events, without what they have in common."""
    found = [dict(line) for line in logged if line["event"] in events]
    assert all(line.pop("log") == "security" and line.pop("log_level") for line in found)
    return found


def browser(desk: ApiDesk) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=desk.http._transport, base_url=LOCAL)


async def test_every_log_in_and_every_failure_is_a_line_with_way_and_address(desk: ApiDesk) -> None:
    code, token = await issue_code(desk.database, "ann", datetime.now(UTC)), await desk.token("bob")
    with capture_logs() as logged:
        first = browser(desk)
        await first.get(f"/login/{code}")
        await browser(desk).post("/login", data={"token": token})
        await browser(desk).get(f"/login/{code}")
        await browser(desk).post("/login", data={"token": "placet_wrong"})
        await browser(desk).post("/login", data={"token": "placet_wrong"})
    here = {"address": "127.0.0.1"}
    assert lines(logged, "logged_in", "log_in_failed") == [
        {"event": "logged_in", "way": "link", "person": "ann"} | here,
        {"event": "logged_in", "way": "token", "person": "bob"} | here,
        {"event": "log_in_failed", "way": "one-time address", "status": 410} | here,
        {"event": "log_in_failed", "way": "token", "status": 401} | here,
        {"event": "log_in_failed", "way": "token", "reason": "busy"} | here,
    ]
    assert not any(sent in str(logged) for sent in (code, token, "placet_wrong"))


async def test_the_end_of_sessions_is_a_line(desk: ApiDesk) -> None:
    async with browser_of(desk, "ann"), browser_of(desk, "ann") as one, browser_of(desk, "ann") as other:
        with capture_logs() as logged:
            await one.post("/logout", {})
            await other.post("/logout/everywhere", {})
    ended = {"event": "logged_out", "person": "ann"}
    assert lines(logged, "logged_out") == [ended | {"sessions": 1}, ended | {"sessions": 1}, ended | {"sessions": 1}]


async def test_a_program_with_a_token_is_a_line_once_a_minute(desk: ApiDesk, clock: Clock) -> None:
    await desk.token("ann")
    with capture_logs() as logged:
        for seconds in (0, 30, 31):
            clock.at += timedelta(seconds=seconds)
            assert (await desk.get("/auth/me/")).status_code == 200
    listed = (await desk.get("/auth/tokens/")).json()["items"]
    expected = {"event": "authenticated", "way": "token", "person": "ann", "token": listed[0]["id"]}
    assert lines(logged, "authenticated") == [expected | {"address": "127.0.0.1"}] * 2


async def test_a_call_that_does_not_prove_who_calls_is_a_line(desk: ApiDesk) -> None:
    with capture_logs() as logged:
        await desk.call("GET", "/workflow/requests/", as_=None, headers={"Authorization": "Bearer placet_wrong"})
    (line,) = lines(logged, "authentication_failed")
    route = "/workflow/requests/"
    assert line == {
        "event": "authentication_failed", "method": "GET", "route": route, "status": 401, "address": "127.0.0.1"
    }  # fmt: skip


async def test_a_refused_reading_is_a_line_with_who_and_what_by_ids(desk: ApiDesk) -> None:
    with capture_logs() as logged:
        assert (await desk.get("/workflow/people/bob/export/", as_="nil")).status_code == 403
        async with browser_of(desk, "rex") as rex:
            assert (await rex.http.get("/operations/people/bob?q=secret")).status_code == 403
            assert (await rex.http.post("/me/reading", data={"csrf_token": "forged"})).status_code == 403
    api_call, page, forged = lines(logged, "call_refused")
    shared = {"event": "call_refused", "status": 403, "reason": "not-permitted", "address": "127.0.0.1"}
    route = "/workflow/people/{person_id}/export/"
    assert api_call == {"person": "nil", "method": "GET", "route": route, "person_id": "bob"} | shared
    page_route = {"method": "GET", "route": "/operations/people/{person_id}", "person_id": "bob"}
    assert page == {"person": "rex"} | page_route | shared
    assert forged == {"person": "rex", "method": "POST", "route": "/me/reading"} | shared


async def test_what_somebody_may_not_see_is_a_line_with_the_id_that_the_caller_was_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = api._application()

    @app.get("/api/v1/hidden/{request_id}")
    async def hidden(request_id: str) -> None:
        raise Unseen

    write_logs("api", {VARIABLE: "json"})
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=LOCAL) as client:
            answer = await client.get("/api/v1/hidden/r1", headers={"X-Request-Id": "call-7"})
    finally:
        structlog.reset_defaults()
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert answer.status_code == 404
    expected = {"event": "call_refused", "reason": "unseen", "request_id": "r1", "call_id": "call-7", "log": "security"}
    assert line.items() >= expected.items()


def test_the_page_on_security_lists_every_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    part = page.split("\n## The security log\n", 1)[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == list(EVENTS)
