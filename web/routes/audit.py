"""The audit of a request: its chain, verified as the page is opened, and its entries, by kind and in pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from service.verification import verify_for
from service.visibility import see_request
from storage.queries.requests import requests
from storage.queries.requests.requests import TimelineRow
from web.routes.common import Here, shown
from web.security import PageRoute
from web.views.people import names_of
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)

PAGE = 50


@router.get("/requests/{request_id}/audit")
async def audit(  # noqa: PLR0917 - called by keyword, with what its query may hold
    request: Request,
    here: Here,
    visitor: SignedIn,
    request_id: Annotated[str, Path(max_length=200)],
    kind: Annotated[str, Query(max_length=60)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """Verify a request's audit chain, and show its entries."""

    def read(connection: Connection) -> tuple[str, list[TimelineRow], dict[str, str]]:
        stored = see_request(connection, visitor.principal, request_id, visitor.wording.now).request
        rows = requests.timeline(connection, request_id)
        names = names_of(connection, {row.actor for row in rows} | {visitor.principal.person})
        people = {row.actor: names(row.actor) for row in rows}
        return stored.title, rows, people | {"": names(visitor.principal.person)}

    title, rows, people = await here.context.database.read(read)
    found = await verify_for(here.context, visitor.principal, request_id)
    chosen = [row for row in rows if not kind or row.kind == kind]
    return shown(
        request,
        "audit.html",
        section="requests",
        request_id=request_id,
        title=title,
        found=found,
        reader=people[""],
        people=people,
        kinds=sorted({row.kind for row in rows}),
        kind=kind,
        entries=chosen[(page - 1) * PAGE : page * PAGE],
        page=page,
        more=len(chosen) > page * PAGE,
    )
