"""Saved views: name a view of the inbox, rename it, delete it, and choose the one that the inbox opens with."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import InputInvalid
from service.administration import saved_views
from storage.queries.people.saved_views import LONGEST_NAME, ViewRow, of_person
from web.routes.common import Here, WebContext, entries_of, judged, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.saved_views import filter_of, links_of
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/views", route_class=PageRoute)

ViewId = Annotated[str, Path(max_length=200)]


@router.get("")
async def views(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """List the reader's saved views."""
    return await _page(request, here, visitor)


@router.post("")
async def save(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Save what the inbox shows under a name."""
    entries = await entries_of(request, visitor)
    chosen = filter_of(entries.text("query"))
    query, name = urlsplit(chosen.address()).query, entries.text("name")
    standard = bool(entries.text("standard"))
    try:
        await saved_views.save(here.context, visitor.principal, name, query, standard=standard)
    except InputInvalid as error:
        return await _page(request, here, visitor, error=error, query=query, name=name)
    return see_other(chosen.address(), "saved")


@router.post("/{view_id}")
async def change(request: Request, here: Here, visitor: SignedIn, view_id: ViewId) -> Response:
    """Rename a view, delete it, or have the inbox open with it, or not."""
    entries = await entries_of(request, visitor)
    step = entries.text("step")
    if step == "delete":
        await saved_views.remove(here.context, visitor.principal, view_id)
    elif step in {"standard", "usual"}:
        await saved_views.begin_with(here.context, visitor.principal, view_id if step == "standard" else None)
    else:
        try:
            await saved_views.rename(here.context, visitor.principal, view_id, entries.text("name"))
        except InputInvalid as error:
            return await _page(request, here, visitor, error=error)
    return see_other("/views", "saved")


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    *,
    error: InputInvalid | None = None,
    query: str = "",
    name: str = "",
) -> HTMLResponse:
    def read(connection: Connection) -> tuple[tuple[ViewRow, ...], str | None]:
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return of_person(connection, visitor.principal.person), badge

    found, badge = await here.context.database.read(read)
    return shown(
        request,
        "views.html",
        section="inbox",
        status=200 if error is None else 422,
        badge=badge,
        views=links_of(found, None),
        query=query,
        name=name,
        longest=LONGEST_NAME,
        **judged((), error),
    )
