"""An id for each call, in its answer and in every line that the log has about it."""

from __future__ import annotations

import re
import uuid
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME: Final = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # nothing that could be taken for another line, or for a part of this one


class CallIdMiddleware:
    """Give each call the id that a proxy has sent with it, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = next((value for name, value in scope["headers"] if name == _NAME), b"")
        ident = sent if _SANE.fullmatch(sent) else uuid.uuid4().hex.encode()
        # For as long as the call's own task lives, and not longer.
        structlog.contextvars.bind_contextvars(call_id=ident.decode())

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = any(name.lower() == _NAME for name, _ in message["headers"])  # as AuthZEN wants it
                message["headers"] = [*message["headers"], *(() if there else ((_NAME, ident),))]
            await send(message)

        await self.app(scope, receive, with_id)
