"""What stands before each page: session, access, CSRF token, and the headers of the answer.

All pages use the class `PageRoute`, so none can skip a step.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.routing import Match

from api.context import ApiContext
from api.http.authentication import (
    CSRF_HEADER,
    SAFE_METHODS,
    base_url,
    require_csrf_token,
    require_own_page,
    session_of,
)
from api.http.uploads import bounded_by
from placet.errors import NotAuthenticated
from service.identity.login import Session
from web.access import LOGGED_IN, PUBLIC, rule_of
from web.forms.reading import written_in
from web.visitor import wording_of

CSRF_FIELD = "csrf_token"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""The headers of each page. Pages have no inline script and no inline style."""
FILES_AT_ONCE: Final = 4
"""How many files of the largest size a form may carry that takes several; smaller ones may be more."""
_MOST_FIELDS = 1000


class PageRoute(APIRoute):
    """A page: who may open it stands in `web.access`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the page in the steps of every page."""
        handle = super().get_route_handler()
        rules = {method: rule_of(method, self.path_format) for method in self.methods or ()}

        async def page(request: Request) -> Response:
            context: ApiContext = request.app.state.context
            rule = rules[request.method]
            session = await session_of(context, request)
            request.state.session = session
            if session is not None:
                request.state.principal = replace(session.principal, way="page")
            changes = request.method not in SAFE_METHODS
            if changes:
                require_own_page(context, request)
            if session is None and rule is not PUBLIC:  # before the body, which a stranger could make long
                return to_log_in(request)
            if not changes:
                _require_access(session, rule, changes=False)
                return await handle(request)
            bounded = bounded_by(request, self._most_bytes(context))
            try:
                form = await bounded.form(max_fields=_MOST_FIELDS, max_part_size=context.max_body_bytes)
                request.state.written = written_in(form.get)
                if session is not None and rule is not PUBLIC:
                    sent = request.headers.get(CSRF_HEADER) or form.get(CSRF_FIELD)
                    require_csrf_token(session, sent if isinstance(sent, str) else None)
                _require_access(session, rule, changes=True)
                return await handle(bounded)
            finally:
                await bounded.close()  # the files in it

        return page

    def _most_bytes(self, context: ApiContext) -> int:
        """Return how long a form may be."""
        return context.max_body_bytes


class UploadPageRoute(PageRoute):
    """A page whose form may carry a file."""

    def _most_bytes(self, context: ApiContext) -> int:
        return context.max_body_bytes + context.attachment_bytes


class FilesPageRoute(PageRoute):
    """A page whose form may carry several files."""

    def _most_bytes(self, context: ApiContext) -> int:
        return context.max_body_bytes + FILES_AT_ONCE * context.attachment_bytes


def _require_access(session: Session | None, rule: frozenset[str], *, changes: bool) -> None:
    """Raise NotPermitted unless the access of whoever is logged in suffices for a page."""
    if session is None or rule in {PUBLIC, LOGGED_IN}:
        return
    session.principal.need(rule)
    if changes:
        session.principal.need_to_change()


def local_path(given: str | None) -> str:
    """Return a path of ours that was asked for, or `/`: an address from outside never leads to another site."""
    path = given or "/"
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/") or path[1:2] in {"/", "\\"} or not path.isprintable():
        return "/"
    return path


def to_log_in(request: Request) -> Response:
    """Lead to the log-in page, and back again where the page was only to be read."""
    if request.method not in SAFE_METHODS:
        raise NotAuthenticated(wording_of(request).say("You are not logged in any more, and nothing has happened."))
    return RedirectResponse(log_in_address(request.url.path, request.url.query), 303)


def form_page(request: Request) -> str:
    """Return the page that a form was sent from, to lead back to it: one that can be opened, and only one of ours."""
    came_from = urlsplit(request.headers.get("referer", ""))
    own = {request.headers.get("host"), urlsplit(base_url(request.app.state.context, request)).netloc}
    ours = came_from.netloc in own
    path = came_from.path if ours else request.url.path
    query = came_from.query if ours else ""
    while path != "/" and not _opens(request, path):  # the answer to a form stands at the form's own address
        path, query = path.rpartition("/")[0] or "/", ""
    return local_path(path + (f"?{query}" if query else ""))


def _opens(request: Request, path: str) -> bool:
    scope = {**request.scope, "method": "GET", "path": path}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def log_in_address(path: str, query: str = "") -> str:
    """Return the log-in page that leads back to one of our pages."""
    there = path + (f"?{query}" if query else "")
    return "/login" if there == "/" else f"/login?{urlencode({'next': there}, quote_via=quote)}"
