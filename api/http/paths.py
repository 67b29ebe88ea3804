"""Paths: a resource is found with or without its trailing slash, without a redirect."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

BASE = "/api/v1"
_SLASHED = f"{BASE}/workflow/"


# These are also found without the base path; /metrics is the default path of Prometheus.
_SHORT = ("/workflow/", "/metrics/", "/health/")


class TrailingSlashMiddleware:
    """Rewrite paths to the form of the routes: resources end with a slash, all other paths do not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on with the rewritten path."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith((BASE, *_SHORT)):
            path = path if path.startswith(BASE) else BASE + path
            plain = path.rstrip("/")
            declared = f"{plain}/" if path.startswith(_SLASHED) else plain
            if declared != scope["path"]:
                scope = {**scope, "path": declared, "raw_path": declared.encode()}
        await self.app(scope, receive, send)
