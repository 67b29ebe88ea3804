"""The page of administrative acts, for auditors and admins."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from placet.errors import InputInvalid
from storage.recording import admin_acts
from web.operations.acts import WORDS, ActLine, chosen_of, lines_of
from web.paging import LINES, address_of
from web.routes.common import Here, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.visitor import SignedIn

router = APIRouter(prefix="/operations", route_class=PageRoute)

_ASKED = ("actor", "kind", "since", "until")


@router.get("/acts")
async def acts(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show what was changed outside of requests, newest first; the address says which of it."""
    wording, given = visitor.wording, request.query_params
    chosen = chosen_of(given, wording)

    def read(connection: Connection, cursor: str | None) -> tuple[list[ActLine], str | None, str | None]:
        page = admin_acts.page(connection, limit=LINES, cursor=cursor, chosen=chosen)
        lines = lines_of(connection, page.items, wording)
        return lines, page.next_cursor, read_inbox_count(connection, visitor.principal, wording)

    try:
        rows, following, badge = await here.context.database.read(read, given.get("cursor") or None)
    except InputInvalid:  # a cursor of another list, or cut off
        rows, following, badge = await here.context.database.read(read, None)
    asked = {name: given.get(name, "")[:200] for name in _ASKED}
    narrowed = {name: value for name, value in asked.items() if value}
    return shown(
        request,
        "operations/acts.html",
        section="operations",
        badge=badge,
        rows=rows,
        asked=asked,
        narrowed=bool(narrowed),
        kinds=sorted(((kind, wording.say(word)) for kind, word in WORDS.items()), key=lambda one: one[1].casefold()),
        next_address=address_of("/operations/acts", **narrowed, cursor=following) if following else None,
    )
