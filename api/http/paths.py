"""One path for each resource, with or without its trailing slash and without redirects."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

BASE = "/api/v1"
_SLASHED = f"{BASE}/workflow/"


# Scrapers and people leave the base out where they mean these; /metrics is what Prometheus asks for unless told.
_SHORT = ("/workflow/", "/metrics/", "/health/")


class EitherSlash:
    """Bring paths into the form that the routes are declared in: resources end with a slash, all else does not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on under the declared form of its path."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith((BASE, *_SHORT)):
            path = path if path.startswith(BASE) else BASE + path
            plain = path.rstrip("/")
            declared = f"{plain}/" if path.startswith(_SLASHED) else plain
            if declared != scope["path"]:
                scope = {**scope, "path": declared, "raw_path": declared.encode()}
        await self.app(scope, receive, send)
