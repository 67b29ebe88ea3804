"""Let the pages of the Temporal Web UI, which have another origin, call the codec server and nothing else."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import ApiContext
from api.http.paths import BASE

_PATHS = f"{BASE}/codec/"
_HEADERS = ("authorization", "content-type", "x-namespace")


class CodecOriginMiddleware:
    """Answer preflights of the Temporal Web UI, and have its browser hand out the answers of the codec server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._for = lru_cache(8)(self._allowing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        app = self.app
        if scope["type"] == "http" and scope.get("path", "").startswith(_PATHS):
            context: ApiContext = scope["app"].state.context
            # Without keys there is nothing to decode, and no other origin needs to call.
            if context.ui_url and context.client.data_converter.payload_codec is not None:
                app = self._for(_origin(context.ui_url))
        await app(scope, receive, send)

    def _allowing(self, origin: str) -> ASGIApp:
        allowing: Any = CORSMiddleware(
            self.app, allow_origins=[origin], allow_methods=["POST"], allow_headers=_HEADERS, allow_credentials=True
        )
        return cast(ASGIApp, allowing)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
