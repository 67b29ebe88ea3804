"""The page of retention, for admins: what is kept how long, and for how long each process keeps contents."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import InputInvalid, NotFound
from service.retention.rules import remove_rule, set_rule
from web.forms.reading import Entries
from web.operations.retention import due_by, kept_for, read_change, read_retention, rule_fields
from web.routes.common import Here, WebContext, entries_of, judged, operations_frame, record, see_other, shown
from web.security import PageRoute
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/operations/retention", route_class=PageRoute)


@router.get("")
async def show_retention(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=1000)] = None
) -> HTMLResponse:
    """Show what is kept how long, and the rules of processes."""
    return await _page(request, here, visitor, cursor=cursor)


@router.post("")
async def change_retention(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Set or remove the rule of a process; where contents are to be erased by it, after asking."""
    entries = await entries_of(request, visitor)
    context, by, wording = here.context, visitor.principal, visitor.wording
    try:
        change = read_change(entries, context.periods, wording)
        if change.days is not None and not entries.text("confirmed"):

            def read(connection: Connection) -> dict[str, Any]:
                due = due_by(connection, change, wording.now)
                return {"due": due} | operations_frame(connection, visitor, "retention")

            values = await context.database.read(read)
            return shown(
                request, "operations/set_retention.html", change=change, kept=kept_for(change.days, wording), **values
            )
        if change.rule is not None:
            await remove_rule(context, by, change.rule)
        else:
            await set_rule(context, by, change.template, change.days)
    except InputInvalid as error:
        await record(here, visitor, "set_retention", error)
        return await _page(request, here, visitor, entries=entries, error=error)
    except NotFound:  # the form was sent twice
        pass
    return see_other("/operations/retention", "saved")


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    *,
    cursor: str | None = None,
    entries: Entries | None = None,
    error: InputInvalid | None = None,
) -> HTMLResponse:
    def read(connection: Connection) -> dict[str, Any]:
        found = read_retention(connection, here.context.periods, visitor.wording, cursor)
        return {"page": found} | operations_frame(connection, visitor, "retention")

    values = await here.context.database.read(read)
    return shown(
        request,
        "operations/retention.html",
        status=200 if error is None else 422,
        **judged(rule_fields(entries, values["page"].names, visitor.wording), error),
        **values,
    )
