"""Calls and pages that were refused to somebody, in the security log; whatever route or page refused them."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.authentication import address_of
from service import security_log
from service.identity.login import Session
from service.principal import Principal

_REFUSED: Final = frozenset({401, 403})
_HIDDEN: Final = frozenset({"unseen", "link-refused"})
"""Refusals that are answered with another status."""
_LONGEST = 100  # characters of an id


class RefusedCallsMiddleware:
    """Log each call that is answered with 401 or 403, or that asks for what its caller may not see."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})

        async def logging(message: Message) -> None:
            if message["type"] == "http.response.start":
                status, reason = message["status"], state.get("refused")
                if status in _REFUSED or reason in _HIDDEN:
                    _log(scope, state, status, reason)
            await send(message)

        await self.app(scope, receive, logging)


def _log(scope: Scope, state: dict[str, Any], status: int, reason: str | None) -> None:
    session: Session | None = state.get("session")
    principal: Principal | None = state.get("principal") or (None if session is None else session.principal)
    route = scope.get("route")
    # Of the address only ids: it may hold the code of a log-in.
    ids = {name: str(value)[:_LONGEST] for name, value in scope.get("path_params", {}).items() if name.endswith("_id")}
    event = "authentication_failed" if status == 401 and principal is None else "call_refused"
    security_log.note(
        event,
        person=None if principal is None else principal.person,
        method=scope["method"],
        route=getattr(route, "path_format", None),
        status=status,
        reason=reason,
        address=address_of(Request(scope)),
        **ids,
    )
