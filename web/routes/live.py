"""Live pages: a stream that tells the browser when something of the reader's has changed.

The stream carries no content. The browser then asks what became of the rows that it shows, and nothing moves before the
reader wants it to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Connection
from starlette.responses import StreamingResponse

from placet.errors import NotFound, Unavailable
from service.principal import Principal
from service.visibility import see_request, visibility_of
from storage.announcements.announce import HELD
from storage.queries.requests import inbox as inbox_queries
from storage.queries.requests import reading_marks
from web.routes.common import Here, WebContext
from web.security import PageRoute
from web.slas.breaches import own_waiting
from web.views.inbox import counted
from web.visitor import SignedIn

router = APIRouter(prefix="/live", route_class=PageRoute)

_LOOK_SECONDS = 20.0  # between looks where nothing is announced; each also tells proxies that the stream is alive
_PAUSE_SECONDS = 1.0  # after a look, so that a burst of changes is one
_MOST_STREAM_SECONDS = 3600.0  # then the browser connects again, and is asked again who it is
_MOST_ROWS = 100


@router.get("")
async def stream(
    here: Here, visitor: SignedIn, request: Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")] = ""
) -> StreamingResponse:
    """Send the event `changed` whenever the tasks that wait for the reader have changed.

    `request` is the request that the page shows, if it shows one: then the event is also sent when that has changed,
    and its mark is the number of the latest entry.
    """
    events = _events(here, visitor.principal, request)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/rows")
async def rows(request: Request, here: Here, visitor: SignedIn) -> JSONResponse:
    """Say which of these tasks no longer wait for the reader."""
    shown = [one[:200] for one in request.query_params.getlist("task")[:_MOST_ROWS] if "\0" not in one]

    def read(connection: Connection) -> dict[str, Any]:
        seen = visibility_of(connection, visitor.principal.person, here.context.now())
        still = inbox_queries.still_waiting(connection, seen, shown)
        return {"closed": [one for one in shown if one not in still]}

    return JSONResponse(await here.context.database.read(read))


async def _events(here: WebContext, principal: Principal, request_id: str) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    end = loop.time() + _MOST_STREAM_SECONDS
    known = ""
    with here.context.subscriptions.subscribe(HELD) as announced:
        while loop.time() < end:
            announced.clear()
            try:
                mark, told = await here.context.database.read(_mark, principal, here, request_id)
            except Unavailable:  # the next look finds it
                mark, told = known, {}
            if mark != known:
                yield f"event: changed\ndata: {json.dumps(told)}\n\n"
            else:
                yield ": nothing new\n\n"
            known = mark
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await asyncio.wait_for(announced.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue


def _mark(
    connection: Connection, principal: Principal, here: WebContext, request_id: str
) -> tuple[str, dict[str, str]]:
    """Return what is another text whenever something has changed, and what the browser is told then."""
    seen = visibility_of(connection, principal.person, here.context.now())
    mark, number = inbox_queries.waiting_mark(connection, seen)
    breaches = own_waiting(connection, principal) or ""
    shown = _request_mark(connection, principal, here, request_id) if request_id else mark
    told = {"mark": shown, "badge": counted(number), "breaches": breaches}
    return f"{mark} {shown} {breaches}", told


def _request_mark(connection: Connection, principal: Principal, here: WebContext, request_id: str) -> str:
    try:
        see_request(connection, principal, request_id, here.context.now())
    except NotFound:  # what the reader may not see, or not any more, does not change for them
        return ""
    return str(reading_marks.latest_entry(connection, request_id))
