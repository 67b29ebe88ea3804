"""Connections: limits against slow clients.

A half-sent request holds a file descriptor and memory as long as its client likes. So the head has to arrive within
seconds, the body at a minimum rate, and only a limited number of unfinished requests stay open.
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

HEAD_SECONDS = 10.0  # seconds from the connection, or from the first byte of a further request, to the end of its head
BODY_SECONDS = 10.0  # seconds between checks of how much of a body has arrived
SLOWEST = 1_000  # bytes of a body per second, at least
MOST_HALF_SENT = 500  # connections at once whose request is incomplete
YOUNGEST = 1.0  # seconds that each of them is given at least


class Connection(HttpToolsProtocol):
    """One connection; it is closed with 408 if its client takes too long to send a request."""

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
        self._received = 0  # bytes of the body since the last check

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        """Start the timer of a new client."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that is closed."""
        self._settle()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start the timer of a further request on the connection."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Wait for the body from now on."""
        super().on_headers_complete()
        self._in_body, self._received = True, 0
        self._look_after(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body."""
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the timer; the request is complete."""
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
        """Answer 408 if no answer has begun yet, and close the connection."""
        self._settle()
        if self.transport.is_closing():
            return
        answered = self._in_body and self.cycle is not None and self.cycle.response_started
        if not answered:
            self.transport.write(_too_slow())
        self.transport.close()


def _too_slow() -> bytes:
    document = problem(408, "The request did not arrive in time. Send it again over a faster connection.")
    content = json.dumps(document).encode()
    head = (
        "HTTP/1.1 408 Request Timeout",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(content)}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + content
