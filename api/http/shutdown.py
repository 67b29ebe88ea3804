"""How a process that is told to stop ends its calls: readiness first, then new calls, then those that are under way."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.paths import BASE
from api.http.problems import problem_of, respond
from placet.errors import Stopping
from service.engine.admission import Admission

# How long calls that are under way may take to end: longer than a start or an update may take that has its turn.
DRAIN_SECONDS = 12.0
# How long a process that stops goes on to say that it is not ready, before it looks whether it can end.
NOTICE_SECONDS = 0.5
# How long calls that were cut off may take to say so.
_LAST_WORDS = 1.0
_HEALTH = f"{BASE}/health/"
_STREAM = b"text/event-stream"


class Shutdown:
    """The calls that are under way in one process, and whether it stops."""

    def __init__(self, admission: Admission, *, seconds: float = DRAIN_SECONDS, notice: float = NOTICE_SECONDS) -> None:
        self._admission = admission
        self._notice = notice
        self._seconds = seconds
        self._calls: set[asyncio.Task[Any]] = set()
        self._streams: set[asyncio.Task[Any]] = set()
        self._ended = asyncio.Event()
        self.stopping = False
        """Whether the process has been told to stop: it is not ready any more, and takes no new calls."""

    async def drain(self) -> None:
        """Take no new calls, and return once those that are under way have ended; late ones are cut off with 503.

        Calls that wait for their turn get 503 at once, for nothing of them has happened. Streams, which would never
        end, end now.
        """
        self.stopping = True
        self._admission.close()
        # The socket still listens: whoever asks whether this process is ready hears that it is not.
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
        """Carry a call out, or answer 503 where it came too late or was cut off before it had an answer."""
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
            if task in self._streams:  # which ends where it is; any other answer is seen to be cut
                await send({"type": "http.response.body", "body": b""})
            elif not answering:
                await respond(problem_of(Stopping()), {"Connection": "close"})(scope, receive, send)
        finally:
            self._calls.discard(task)
            self._streams.discard(task)
            self._ended.set()


class ShutdownMiddleware:
    """Pass every call but those for health through the shutdown of the application that it is part of."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        shutdown: Shutdown | None = getattr(scope["app"].state, "shutdown", None) if "app" in scope else None
        if scope["type"] != "http" or shutdown is None or str(scope["path"]).startswith(_HEALTH):
            await self.app(scope, receive, send)
        else:
            await shutdown.carry(self.app, scope, receive, send)
