"""Paths: a resource is found with or without its trailing slash, without a redirect."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

BASE = "/api/v1"
_SLASHED = (f"{BASE}/workflow/", f"{BASE}/auth/")


_WELL_KNOWN = "/.well-known/authzen-configuration"
_OF_THE_API = (f"{BASE}/", "/scim/", _WELL_KNOWN)

# These are also found without the base path; /metrics is the default path of Prometheus.
_SHORT = ("/workflow/", "/metrics/", "/health/")


class TrailingSlashMiddleware:
    """Rewrite paths to the form of the routes: resources end with a slash, all other paths do not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on with the rewritten path."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith((BASE, *_SHORT, _WELL_KNOWN)):
            path = path if path.startswith((BASE, _WELL_KNOWN)) else BASE + path
            plain = path.rstrip("/")
            declared = f"{plain}/" if path.startswith(_SLASHED) else plain
            if declared != scope["path"]:
                scope = {**scope, "path": declared, "raw_path": declared.encode()}
        await self.app(scope, receive, send)


class PagesMiddleware:
    """Pass on to the pages whatever is not the API's."""

    def __init__(self, app: ASGIApp, *, pages: ASGIApp) -> None:
        self.app = app
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        path = scope.get("path", "")
        ours = scope["type"] != "http" or path == BASE or path.startswith(_OF_THE_API)
        await (self.app if ours else self.pages)(scope, receive, send)
