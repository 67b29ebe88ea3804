"""Connections: how long a client may take to say what it wants, and how many may take their time at once.

A request that is half sent costs a file and memory for as long as its client likes. The head has to come within
seconds, the body at a least pace, and of those that are still being sent only so many stay open.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

HEAD_SECONDS = 10.0  # from the connection, or the first byte of a further request, to the end of its head
BODY_SECONDS = 10.0  # between looks at how much of a body has come
SLOWEST = 1_000  # bytes of a body in a second
MOST_HALF_SENT = 500  # connections at once whose request is not whole yet
YOUNGEST = 1.0  # seconds that each of them has at least


class Connection(HttpToolsProtocol):
    """One connection, which is closed with 408 where its client takes too long to send a request."""

    _half_sent: dict[Connection, float] = {}  # noqa: RUF012 - of this process: since when, oldest first

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience: asyncio.TimerHandle | None = None
        self._in_body = False
        self._received = 0  # bytes of the body since the last look

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        """Give a new client its time."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that is closed."""
        self._settle()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Give a further request on a connection its time, as the first one."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Go on to wait for the body."""
        super().on_headers_complete()
        self._in_body, self._received = True, 0
        self._look_after(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        """Count what has come."""
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take a request as whole."""
        super().on_message_complete()
        self._settle()

    def _await_head(self) -> None:
        self._in_body = False
        if self not in self._half_sent:
            now = self.loop.time()
            self._half_sent[self] = now
            if len(self._half_sent) > MOST_HALF_SENT:
                oldest, since = next(iter(self._half_sent.items()))
                if now - since > YOUNGEST:
                    oldest._give_up()
        self._look_after(HEAD_SECONDS)

    def _look_after(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        # While the application does not read, the client cannot send.
        if self._in_body and (self.flow.read_paused or self._received >= SLOWEST * BODY_SECONDS):
            self._received = 0
            self._look_after(BODY_SECONDS)
            return
        self._give_up()

    def _settle(self) -> None:
        self._half_sent.pop(self, None)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Say that it took too long, where nothing has been answered yet, and close."""
        self._settle()
        if self.transport.is_closing():
            return
        answered = self._in_body and self.cycle is not None and self.cycle.response_started
        if not answered:
            self.transport.write(_too_slow())
        self.transport.close()


def _too_slow() -> bytes:
    document = problem(408, "The request did not come in time; send it again, faster.")
    content = json.dumps(document).encode()
    head = (
        "HTTP/1.1 408 Request Timeout",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(content)}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + content
