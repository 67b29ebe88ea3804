"""How a process that is told to stop ends its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from api.http.shutdown import Shutdown, ShutdownMiddleware
from service.engine.admission import Admission

READY = "/api/v1/health/ready"


class Desk:
    """An application with a call that lasts until it is let go, a stream without end, and calls to it."""

    def __init__(self, seconds: float) -> None:
        self.admission = Admission(at_once=1)
        self.shutdown = Shutdown(self.admission, seconds=seconds)
        self.go, self.began = asyncio.Event(), asyncio.Semaphore(0)
        app = FastAPI()
        app.state.shutdown = self.shutdown
        app.add_middleware(ShutdownMiddleware)

        @app.post("/slow")
        async def slow() -> dict[str, bool]:
            self.began.release()
            async with self.admission.turn("ann", "request"):
                await self.go.wait()
            return {"done": True}

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            async def events() -> AsyncIterator[str]:
                self.began.release()
                yield "data: 1\n\n"
                await asyncio.Event().wait()

            return StreamingResponse(events(), media_type="text/event-stream")

        @app.get(READY)
        async def ready() -> dict[str, bool]:
            return {"stopping": self.shutdown.stopping}

        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://placet.test")

    async def begin(self, method: str, path: str) -> asyncio.Task[httpx.Response]:
        """Send a call, and return once it is under way."""
        call = asyncio.create_task(self.http.request(method, path))
        await self.began.acquire()
        return call


def _says_to_come_again(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"] == "urn:placet:problem:unavailable"
    assert "being stopped" in answer.json()["detail"]


async def test_a_call_that_is_under_way_ends_as_it_would_and_new_ones_are_told_to_come_again() -> None:
    desk = Desk(seconds=60)
    call = await desk.begin("POST", "/slow")
    drained = asyncio.create_task(desk.shutdown.drain())
    await asyncio.sleep(0)
    assert (await desk.http.get(READY)).json() == {"stopping": True}
    _says_to_come_again(await desk.http.post("/slow"))
    assert not drained.done()
    desk.go.set()
    await drained
    assert (await call).json() == {"done": True}


async def test_a_call_that_takes_too_long_is_cut_off_and_told_to_come_again() -> None:
    desk = Desk(seconds=0.01)
    call = await desk.begin("POST", "/slow")
    await desk.shutdown.drain()
    _says_to_come_again(await call)


async def test_calls_that_wait_for_their_turn_are_told_at_once() -> None:
    desk = Desk(seconds=60)
    inside, waiting = await desk.begin("POST", "/slow"), await desk.begin("POST", "/slow")
    drained = asyncio.create_task(desk.shutdown.drain())
    with pytest.raises(Exception, match="being stopped"):  # what the application makes of it is tests.integration's
        await waiting
    desk.go.set()
    await drained
    assert (await inside).status_code == 200


async def test_a_stream_ends_when_the_process_does() -> None:
    desk = Desk(seconds=60)
    stream = await desk.begin("GET", "/stream")
    await desk.shutdown.drain()
    assert (await stream).text == "data: 1\n\n"


async def test_nothing_is_waited_for_where_nothing_is_under_way() -> None:
    await Desk(seconds=1e9).shutdown.drain()
