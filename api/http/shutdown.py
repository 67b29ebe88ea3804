"""The shutdown of a process: it reports not ready, refuses new calls, and waits for the calls that run."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.paths import BASE
from api.http.problems import problem_of, respond
from placet.errors import Stopping
from service.engine.admission import Admission

# Seconds that running calls have to end: more than the deadline of a start or an update.
DRAIN_SECONDS = 12.0
# Seconds for which a stopping process reports that it is not ready, so that load balancers notice.
NOTICE_SECONDS = 0.5
# Seconds that cancelled calls have to answer 503.
_LAST_WORDS = 1.0
_HEALTH = f"{BASE}/health/"
_STREAM = b"text/event-stream"


class Shutdown:
    """The calls that run in one process, and whether the process stops."""

    def __init__(self, admission: Admission, *, seconds: float = DRAIN_SECONDS, notice: float = NOTICE_SECONDS) -> None:
        self._admission = admission
        self._notice = notice
        self._seconds = seconds
        self._calls: set[asyncio.Task[Any]] = set()
        self._streams: set[asyncio.Task[Any]] = set()
        self._ended = asyncio.Event()
        self.stopping = False
        """Whether the process stops: it reports not ready, and refuses new calls."""

    async def drain(self) -> None:
        """Refuse new calls, and return when the running calls have ended; late ones are cancelled with 503.

        Calls that wait for the engine get 503 at once, because they have had no effect. Streams are ended now, because
        they would not end by themselves.
        """
        self.stopping = True
        self._admission.close()
        # The socket still listens, and the health check answers that the process is not ready.
        await asyncio.sleep(self._notice)
        for stream in self._streams:
            stream.cancel()
        await self._until_ended(self._seconds)
        for call in self._calls:
            call.cancel()
        await self._until_ended(_LAST_WORDS)

    async def _until_ended(self, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while self._calls and (left := end - asyncio.get_running_loop().time()) > 0:
            self._ended.clear()
            try:
                await asyncio.wait_for(self._ended.wait(), left)
            except TimeoutError:
                return

    async def carry(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a call out; answer 503 if it came too late, or was cancelled before its answer began."""
        if self.stopping:
            await respond(problem_of(Stopping()), {"Connection": "close"})(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the server runs each call in a task
        answering = False

        async def watched(message: Message) -> None:
            nonlocal answering
            if message["type"] == "http.response.start":
                answering = True
                if any(name == b"content-type" and value.startswith(_STREAM) for name, value in message["headers"]):
                    self._streams.add(task)
            await send(message)

        self._calls.add(task)
        try:
            await app(scope, receive, watched)
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            if task in self._streams:  # a stream just ends; the client of any other answer sees that it is incomplete
                await send({"type": "http.response.body", "body": b""})
            elif not answering:
                await respond(problem_of(Stopping()), {"Connection": "close"})(scope, receive, send)
        finally:
            self._calls.discard(task)
            self._streams.discard(task)
            self._ended.set()


class ShutdownMiddleware:
    """Register every call except health checks with the `Shutdown` of its application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        shutdown: Shutdown | None = getattr(scope["app"].state, "shutdown", None) if "app" in scope else None
        if scope["type"] != "http" or shutdown is None or str(scope["path"]).startswith(_HEALTH):
            await self.app(scope, receive, send)
        else:
            await shutdown.carry(self.app, scope, receive, send)
