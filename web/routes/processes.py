"""Processes as drawings: a version of a process, and how far a request has come in it, and what may still come."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from service.consequences import what_may_come
from storage.queries import suggestions
from web.graph.page import ProcessPage, read_coming, read_process, read_request_process
from web.routes.common import Here, badge_of, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)

Identifier = Annotated[str, Path(max_length=200)]
_MOST = 12  # lines of what may still come, where a panel shows it
_SVG = "image/svg+xml"
# The file is opened by itself, where the policy of the pages would keep its own style from it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@router.get("/processes/{template_id}")
async def process_page(request: Request, here: Here, visitor: SignedIn, template_id: Identifier) -> HTMLResponse:
    """Show the drawing of a process."""

    def read(connection: Connection) -> tuple[ProcessPage, int | None, str | None]:
        page = read_process(connection, template_id, here.versions, visitor.wording)
        suggested = suggestions.pending_count(connection, page.name) if visitor.principal.designs else None
        return page, suggested, read_inbox_count(connection, visitor.principal, visitor.wording)

    page, suggested, badge = await here.context.database.read(read)
    return shown(request, "process.html", section="new", badge=badge, page=page, suggested=suggested)


@router.get("/processes/{template_id}/process.svg")
async def process_drawing(here: Here, visitor: SignedIn, template_id: Identifier) -> Response:
    """Return the drawing of a process as a file."""
    page = await here.context.database.read(read_process, template_id, here.versions, visitor.wording, standalone=True)
    return _file(page)


@router.get("/requests/{request_id}/process")
async def request_process(request: Request, here: Here, visitor: SignedIn, request_id: Identifier) -> HTMLResponse:
    """Show how far a request has come in its process, and what may still come."""
    ahead = await what_may_come(here.context, visitor.principal, request_id)

    def read(connection: Connection) -> tuple[ProcessPage, str | None]:
        ui_url = here.context.ui_link(request_id) if here.context.ui_url else None
        page = read_request_process(
            connection, visitor.principal, request_id, here.versions, visitor.wording, ahead=ahead, ui_url=ui_url
        )
        return page, read_inbox_count(connection, visitor.principal, visitor.wording)

    page, badge = await here.context.database.read(read)
    return shown(request, "process.html", section="requests", badge=badge, page=page, suggested=None)


@router.get("/requests/{request_id}/process.svg")
async def request_drawing(here: Here, visitor: SignedIn, request_id: Identifier) -> Response:
    """Return the drawing of a request's process as a file."""
    ahead = await what_may_come(here.context, visitor.principal, request_id)
    page = await here.context.database.read(
        read_request_process,
        visitor.principal,
        request_id,
        here.versions,
        visitor.wording,
        ahead=ahead,
        standalone=True,
    )
    return _file(page)


@router.get("/requests/{request_id}/ahead")
async def ahead_page(request: Request, here: Here, visitor: SignedIn, request_id: Identifier) -> HTMLResponse:
    """Show what may still come of a request: a page of its own, which the request's page takes its panel from."""
    ahead = await what_may_come(here.context, visitor.principal, request_id)
    title, coming = await here.context.database.read(
        read_coming, visitor.principal, request_id, here.versions, visitor.wording, ahead=ahead
    )
    return shown(
        request,
        "ahead.html",
        section="requests",
        badge=await badge_of(here, visitor),
        request_id=request_id,
        title=title,
        coming=coming,
        most=_MOST,
    )


def _file(page: ProcessPage) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="process.svg"', "Content-Security-Policy": _POLICY}
    return Response(str(page.drawing), media_type=_SVG, headers=headers)
