"""Breaches of SLAs: the list, one of them, and acknowledging it with a note."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import Conflict, InputInvalid
from service.slas.breaches import acknowledge_breach
from web.routes.common import Here, WebContext, entries_of, record, see_other, shown
from web.routes.insight.common import frame
from web.security import PageRoute, local_path
from web.slas.breaches import BreachFilter, BreachLine, BreachList, read_breach, read_breaches
from web.slas.wording import SEVERITIES
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/breaches", route_class=PageRoute)

BreachId = Annotated[str, Path(max_length=200)]
LONGEST_NOTES = 4_000


@router.get("")
async def breach_list(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """List breaches, those that nobody has acknowledged first."""
    wording = visitor.wording
    chosen = BreachFilter.of(request.query_params)

    def read(connection: Connection, chosen: BreachFilter) -> tuple[BreachList, dict[str, Any]]:
        found = read_breaches(connection, visitor.principal, chosen, wording)
        return found, frame(connection, visitor, "breaches")

    try:
        found, around = await here.context.database.read(read, chosen)
    except InputInvalid:  # a cursor of another list, or cut off
        chosen = replace(chosen, cursor=None)
        found, around = await here.context.database.read(read, chosen)
    return shown(
        request,
        "breaches/list.html",
        list=found,
        chosen=chosen,
        severities={name: wording.say(word) for name, word in SEVERITIES.items()},
        longest_notes=LONGEST_NOTES,
        back=chosen.address(chosen.cursor),
        **around,
    )


@router.get("/{breach_id}")
async def breach_page(request: Request, here: Here, visitor: SignedIn, breach_id: BreachId) -> HTMLResponse:
    """Show one breach."""
    return await _page(request, here, visitor, breach_id)


@router.post("/{breach_id}/acknowledge")
async def acknowledge(request: Request, here: Here, visitor: SignedIn, breach_id: BreachId) -> Response:
    """Acknowledge a breach, and lead back to where it was done; whoever comes second sees who did it and when."""
    entries = await entries_of(request, visitor)
    notes = entries.text("notes").replace("\0", "")
    if len(notes) > LONGEST_NOTES:
        raise InputInvalid.at("/notes", visitor.wording.say("Write at most 4,000 characters."))
    try:
        await acknowledge_breach(here.context, visitor.principal, breach_id, notes=notes or None)
    except Conflict as error:
        await record(here, visitor, "acknowledge", error)
        return await _page(request, here, visitor, breach_id, late=True)
    back = local_path(entries.text("back") or f"/breaches/{breach_id}")
    return see_other(back, "breach_acknowledged")


async def _page(
    request: Request, here: WebContext, visitor: Visitor, breach_id: str, *, late: bool = False
) -> HTMLResponse:
    """Show a breach; `late` says that nothing was noted, since somebody had acknowledged it."""

    def read(connection: Connection) -> tuple[BreachLine, dict[str, Any]]:
        found = read_breach(connection, visitor.principal, breach_id, visitor.wording)
        return found, frame(connection, visitor, "breaches")

    found, around = await here.context.database.read(read)
    return shown(
        request,
        "breaches/page.html",
        status=409 if late else 200,
        breach=found,
        late=late,
        longest_notes=LONGEST_NOTES,
        back=f"/breaches/{breach_id}",
        **around,
    )
