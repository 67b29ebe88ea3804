"""Each call has an id, in its answer and in every line that the log has about it."""

from __future__ import annotations

import json

import httpx
import pytest
import structlog
from temporalio.testing import ActivityEnvironment

from api import app as api
from cli.terminal.logs import VARIABLE, write_logs


async def ask(sent: str | None = None, *, of: str = "openapi.json", broken: bool = False) -> httpx.Response:
    """Ask the application, which needs neither context nor database for this."""
    app = api._application()

    @app.get("/api/v1/broken")
    async def broken_route() -> None:
        raise RuntimeError("what nobody foresaw")

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=not broken)
    async with httpx.AsyncClient(transport=transport, base_url="http://placet.example") as client:
        return await client.get(f"/api/v1/{of}", headers={} if sent is None else {"X-Request-Id": sent})


async def test_each_call_has_an_id_of_its_own_that_its_answer_names_once() -> None:
    ids = [(await ask()).headers.get_list("x-request-id") for _ in range(2)]
    assert [len(its) for its in ids] == [1, 1]
    assert ids[0] != ids[1]


async def test_a_proxys_id_is_kept_and_what_could_be_taken_for_more_than_an_id_is_not() -> None:
    assert (await ask("proxy-1.a_B")).headers["x-request-id"] == "proxy-1.a_B"
    for wrong in ("", "a b", "x" * 65, '"},{"event":"forged', "a\tb"):
        assert (await ask(wrong)).headers["x-request-id"] not in {"", wrong}


async def test_an_error_that_nobody_foresaw_is_logged_with_the_id_that_its_caller_was_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_logs("api", {VARIABLE: "json"})
    try:
        answer = await ask("call-7", of="broken/", broken=True)
    finally:
        structlog.reset_defaults()
    (line,) = (one for one in capsys.readouterr().err.splitlines() if "unexpected_error" in one)
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "call-7")
    assert json.loads(line)["call_id"] == "call-7"


def test_what_an_activity_logs_names_its_request(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs("worker", {VARIABLE: "json"})
    try:
        ActivityEnvironment().run(structlog.get_logger("a").warning, "inside")
        structlog.get_logger("a").warning("outside")
    finally:
        structlog.reset_defaults()
    inside, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert (inside["workflow_id"], inside["activity"]) == ("test", "unknown")
    assert "workflow_id" not in outside
