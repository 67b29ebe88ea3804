"""The first pages of operations: how each part is, and the messages that could not be delivered."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import PlacetError
from service.administration.notifications import send_again
from storage.queries import act_targets
from storage.queries.act_targets import TargetName
from storage.queries.cursor import Page
from storage.queries.notifications import backlog
from storage.tables.notifications import NotificationMessage
from web.operations import deliveries as called
from web.operations.health import Part, parts_of
from web.paging import PAGE
from web.routes.common import Here, entries_of, record, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.people import Names, names_of
from web.visitor import SignedIn

router = APIRouter(prefix="/operations", route_class=PageRoute)


@router.get("")
async def operations(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show how every part is, and what to do about those that are not well."""
    wording = visitor.wording
    checks = await here.health.checks()

    def read(connection: Connection) -> tuple[list[Part], bool, str | None]:
        return (
            parts_of(checks, backlog.backlogs(connection, wording.now), wording),
            bool(backlog.failures(connection, limit=1).items),
            read_inbox_count(connection, visitor.principal, wording),
        )

    parts, failed, badge = await here.context.database.read(read)
    return shown(request, "operations/home.html", badge=badge, parts=parts, failed=failed, section="operations")


@router.get("/deliveries")
async def deliveries(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> HTMLResponse:
    """Show the messages that could not be delivered, the latest first."""

    def read(connection: Connection) -> tuple[Page[NotificationMessage], Names, dict[str, TargetName], str | None]:
        page = backlog.failures(connection, limit=PAGE, cursor=cursor)
        return (
            page,
            names_of(connection, [row.person for row in page.items]),
            act_targets.names(connection, [row.channel for row in page.items]),
            read_inbox_count(connection, visitor.principal, visitor.wording),
        )

    page, names, endpoints, badge = await here.context.database.read(read)
    say = visitor.wording.say

    def to(row: NotificationMessage) -> str:
        endpoint = endpoints.get(row.channel)
        return names(row.person) or (endpoint.text if endpoint is not None else called.channel(say, row.channel))

    return shown(
        request,
        "operations/deliveries.html",
        badge=badge,
        rows=[(row, to(row)) for row in page.items],
        called=partial(called.event, say),
        channel=partial(called.channel, say),
        next_cursor=page.next_cursor,
        section="operations",
    )


@router.post("/deliveries")
async def deliver_again(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Send a notice again where it failed; a form that is sent twice finds nothing that failed, and sends nothing."""
    entries = await entries_of(request, visitor)
    try:
        queued, _ = await send_again(here.context, visitor.principal, entries.text("notice"))
    except PlacetError as error:
        await record(here, visitor, "resend", error)
        raise
    return see_other("/operations/deliveries", "resend" if queued else "resend_none")
