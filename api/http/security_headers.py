"""The headers that browsers are held to, with every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OF_THE_API: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""An answer of the API is data: a browser that opens it runs nothing, shows it in no frame and guesses no type."""
_HTTPS_ONLY = "max-age=31536000; includeSubDomains"


class AppWithHeaders(FastAPI):
    """FastAPI of which every answer has these headers, also that to an error which nobody foresaw."""

    def __init__(self, *, headers: Mapping[str, str], **more: Any) -> None:
        super().__init__(**more)
        self._headers = headers

    def build_middleware_stack(self) -> ASGIApp:
        """Return what answers calls. Middleware that is added to an application is left before such an error."""
        return HeadersMiddleware(super().build_middleware_stack(), headers=self._headers)


class HeadersMiddleware:
    """Send headers with every answer that does not have them; what is not a static file is kept by nobody."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str]) -> None:
        self.app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                more = list(self._headers)
                if "/static/" not in scope["path"]:
                    more.append((b"cache-control", b"no-store"))
                if scope["scheme"] == "https":
                    more.append((b"strict-transport-security", _HTTPS_ONLY.encode()))
                message["headers"] = [*message["headers"], *(header for header in more if header[0] not in there)]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
