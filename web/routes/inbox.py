"""The inbox."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from placet.errors import InputInvalid
from storage.queries.people import saved_views
from storage.queries.people.saved_views import ViewRow
from web.routes.common import Here, fresh_key, shown
from web.security import PageRoute
from web.views import words
from web.views.inbox import Inbox, InboxFilter, counted, read_inbox
from web.views.requests.request import RequestList, read_requests
from web.views.saved_views import links_of, standard_of
from web.views.undo import read_undoable
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)


@router.get("/")
async def inbox(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the tasks that wait for the reader, those in their queues, or those they have decided."""
    wording = visitor.wording
    asked = InboxFilter.of(request.query_params) if set(request.query_params) - {"done", "undo"} else None

    def read(
        connection: Connection, asked: InboxFilter | None
    ) -> tuple[Inbox, RequestList | None, InboxFilter, tuple[ViewRow, ...]]:
        views = saved_views.of_person(connection, visitor.principal.person)
        chosen = asked or standard_of(views) or InboxFilter()
        watched = None
        if chosen.tab == "watching":
            watched = read_requests(
                connection,
                visitor.principal,
                here.versions,
                wording,
                whose="watched",
                q=chosen.q,
                status="",
                template=chosen.template,
                sort=chosen.sort,
                cursor=chosen.cursor,
            )
        known = here.waiting_processes
        inbox = read_inbox(connection, visitor.principal, chosen, here.versions, wording, known=known)
        return inbox, watched, chosen, views

    try:
        found, watched, chosen, views = await here.context.database.read(read, asked)
    except InputInvalid:  # an address with a cursor of another order, or cut off
        usual = InboxFilter(tab=asked.tab) if asked else None
        found, watched, chosen, views = await here.context.database.read(read, usual)
    decided = request.query_params.get("undo")
    undo = await here.context.database.read(read_undoable, visitor.principal, decided, wording) if decided else None
    return shown(
        request,
        "inbox.html",
        section="inbox",
        undo=undo,
        key=fresh_key(),
        badge=counted(found.counts["mine"]) if found.counts["mine"] else None,
        inbox=found,
        watched=watched,
        chosen=chosen,
        views=links_of(views, chosen),
        sla_words={key: wording.say(word) for key, word in words.SLA.items()},
        decided_words={key: wording.say(word) for key, word in words.DECIDED.items()},
    )
