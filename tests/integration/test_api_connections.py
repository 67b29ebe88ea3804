"""Slow clients: half-sent requests are closed, and stop nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.context import ApiContext
from api.http import connections
from api.http.connections import Connection
from cli.http_server import listen, serve
from storage.database import Database
from tests.api_desk import BASE, no_engine
from tests.approvals import SECRET
from tests.waiting import until
from web.app import create_app

MANY = 300
HALF_A_HEAD = b"GET /api/v1/workflow/tasks/ HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_A_BODY = b"POST /api/v1/workflow/requests/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


@pytest_asyncio.fixture
async def port(sqlite_url: str) -> AsyncIterator[int]:
    database = Database(sqlite_url)
    context = ApiContext(
        database=database, client=await no_engine(), task_queue="nobody", ui_url="http://temporal.test", secret=SECRET
    )
    listener = listen("127.0.0.1", 0)
    async with serve(create_app(context), listener):
        yield listener.getsockname()[1]
    await database.close()
    assert not Connection._half_sent


@asynccontextmanager
async def half_sent(port: int, content: bytes, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in opened:
        writer.write(content)
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


async def held(count: int) -> None:
    async def there() -> bool:
        return len(Connection._half_sent) >= count

    await until(there, what=f"{count} connections with half a request")


async def alive(port: int) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return (await http.get(f"http://127.0.0.1:{port}{BASE}/health/live")).status_code


@pytest.mark.parametrize("content", [b"", HALF_A_HEAD, HALF_A_BODY], ids=["nothing", "head", "body"])
async def test_three_hundred_half_sent_requests_are_closed_and_stop_nobody(
    port: int, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with half_sent(port, content, MANY) as readers:
        await held(MANY)
        assert await alive(port) == 200, "another call is answered meanwhile"
        monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
        monkeypatch.setattr(connections, "BODY_SECONDS", 0.2)
        for connection in list(Connection._half_sent):
            connection._look_after(0.2)  # those that are there already were given more
        answers = await asyncio.gather(*(reader.read() for reader in readers))
        assert not Connection._half_sent
        assert await alive(port) == 200
    for answer in answers:
        # A call without a token is refused before its body is read; what comes after that is closed without a word.
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401" if content == HALF_A_BODY else b"HTTP/1.1 408"), answer
        assert json.loads(body)["status"] == int(head.split()[1])


async def test_only_so_many_stay_open_and_the_oldest_goes_first(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_HALF_SENT", 10)
    monkeypatch.setattr(connections, "YOUNGEST", 0.0)
    async with half_sent(port, HALF_A_HEAD, 10) as first:
        await held(10)
        async with half_sent(port, HALF_A_HEAD, 4):
            answers = await asyncio.gather(*(reader.read() for reader in first[:4]))
            assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)
            assert len(Connection._half_sent) == 10
            assert not any(reader.at_eof() for reader in first[4:])


async def test_a_body_that_comes_at_a_fair_pace_has_all_the_time_it_takes() -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass

    listener = listen("127.0.0.1", 0)
    enough = int(connections.SLOWEST * connections.BODY_SECONDS)
    async with serve(reads, listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(3):
            writer.write(b"x" * enough)

            async def received() -> bool:
                return any(connection._received >= enough for connection in Connection._half_sent)

            await until(received)
            (connection,) = Connection._half_sent
            connection._look()  # as it does by itself after a while
            assert not connection.transport.is_closing()
        connection._look()
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        writer.close()
