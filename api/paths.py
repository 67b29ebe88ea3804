"""One path for each resource, with or without its trailing slash and without redirects."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

BASE = "/api/v1"
_SLASHED = f"{BASE}/workflow/"


class EitherSlash:
    """Bring paths into the form that the routes are declared in: resources end with a slash, all else does not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on under the declared form of its path."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(BASE):
            plain = path.rstrip("/")
            declared = f"{plain}/" if path.startswith(_SLASHED) else plain
            if declared != path:
                scope = {**scope, "path": declared, "raw_path": declared.encode()}
        await self.app(scope, receive, send)
