"""The reader's browser sessions: listed, with when each was last used, and ended."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from api.http.problems import status_of
from placet.errors import PlacetError, ReauthenticationRequired
from service.identity import own_sessions
from service.identity.login import Session
from storage.queries.identity import sessions
from storage.queries.identity.tokens import id_of
from web.routes.common import Here, WebContext, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.words import LOG_INS
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/me/sessions", route_class=PageRoute)


@router.get("")
async def show_sessions(request: Request, here: Here, visitor: SignedIn) -> Response:
    """List the reader's sessions."""
    return await _page(request, here, visitor)


@router.post("")
async def end_others(request: Request, here: Here, visitor: SignedIn) -> Response:
    """End all sessions of the reader but this one."""
    try:
        await own_sessions.end_others(here.context, request.state.session)
    except ReauthenticationRequired as error:
        return await _page(request, here, visitor, error=error)
    return see_other("/me/sessions", "sessions_ended")


@router.post("/{session_id}")
async def end_session(
    request: Request, here: Here, visitor: SignedIn, session_id: Annotated[str, Path(max_length=100)]
) -> Response:
    """End another session of the reader."""
    try:
        await own_sessions.end(here.context, request.state.session, session_id)
    except ReauthenticationRequired as error:
        return await _page(request, here, visitor, error=error)
    return see_other("/me/sessions", "session_ended")


async def _page(request: Request, here: WebContext, visitor: Visitor, *, error: PlacetError | None = None) -> Response:
    context, own = here.context, request.state.session
    assert isinstance(own, Session)  # noqa: S101 - the page is for whoever has one

    def read(connection: Connection) -> dict[str, Any]:
        rows = sessions.listed(connection, own.principal.person, context.now(), context.identity.session_idle)
        lines = [{"id": id_of(row.digest), "row": row, "way": visitor.wording.say(LOG_INS[row.method])} for row in rows]
        return {
            "sessions": sorted(lines, key=lambda line: line["id"] != own.id),
            "badge": read_inbox_count(connection, visitor.principal, visitor.wording),
        }

    values: dict[str, Any] = {
        **await context.database.read(read),
        "this": own.id,
        "stale": not own_sessions.has_just_logged_in(context, own),
        "oidc": context.identity.oidc is not None,
        "minutes": context.identity.sign_minutes,
        "faults": () if error is None else [{"ident": None, "label": None, "message": error.message}],
    }
    return shown(request, "sessions.html", status=200 if error is None else status_of(error), section="me", **values)
