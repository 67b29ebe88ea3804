"""What a page hears of a simulation while it runs, as server-sent events in the reader's words.

Each event has a number, and a browser that was cut off names the last one that it got: it then gets the later ones.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import StreamingResponse

from service.simulations.shadows import follow
from service.visibility import viewer_of
from storage.queries.simulations import simulations
from web.languages import Wording
from web.routes.common import Here, WebContext
from web.security import PageRoute
from web.simulations.page import branch_line
from web.simulations.wording import ending, span
from web.visitor import SignedIn

router = APIRouter(prefix="/simulations", route_class=PageRoute)

_LAST = 2**31 - 1  # the largest revision that the store holds
_STILL_RUNNING = ": still running\n\n"


@router.get("/{simulation_id}/events")
async def simulation_stream(
    here: Here,
    visitor: SignedIn,
    simulation_id: Annotated[str, Path(max_length=200)],
    after: Annotated[int, Query(ge=0, le=_LAST)] = 0,
    last_event_id: Annotated[int, Header(ge=0, le=_LAST)] = 0,
) -> StreamingResponse:
    """Send `progress` and `branch` as words while a simulation runs, and `ended` when the page has to be read again.

    Of a shadow, `rows` says that rows have changed since the revision `after`.
    """
    row = await here.context.database.read(simulations.get, simulation_id, viewer=viewer_of(visitor.principal))
    if row.mode == "shadow":
        events = _shadow(here, simulation_id, max(after, last_event_id))
    else:
        events = _events(here, visitor.wording, simulation_id, last_event_id)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(here: WebContext, wording: Wording, simulation_id: str, after: int) -> AsyncIterator[str]:
    """Yield what was told after the event of this number; what came before is counted and not told again."""
    branches = number = 0
    async for news in here.context.jobs.events(simulation_id):
        if not news:
            yield _STILL_RUNNING
            continue
        number += 1
        branches += "branch" in news
        if number > after:
            yield _event(*_told(news, branches, simulation_id, wording), ident=number)
    yield _event("ended", {})


def _told(
    news: Mapping[str, Any], branches: int, simulation_id: str, wording: Wording
) -> tuple[str, Mapping[str, Any]]:
    """Return one event of a simulation: its name, and what the page shows of it."""
    if "branch" in news:
        line = branch_line(simulation_id, news["branch"], wording)
        ends = ending(wording.say, news["branch"]["outcome"], news["branch"]["stopped"])
        text = wording.say_number("{number} branch found", "{number} branches found", branches)
        text = text.format(number=wording.number(branches))
        return "branch", {"text": text, "line": f"{ends} – {line.way}"}  # noqa: RUF001 - a dash in a text
    if "of" in news:
        text = wording.say("{done} of {all} requests compared")
        text = text.format(done=wording.number(news["done"]), all=wording.number(news["of"]))
        return "progress", {"text": text, "value": news["done"], "max": news["of"]}
    text = wording.say("{span} of virtual time rehearsed").format(span=span(news["at_ms"], wording))
    return "progress", {"text": text, "value": news["at_ms"], "max": news["of_ms"]}


async def _shadow(here: WebContext, simulation_id: str, after: int) -> AsyncIterator[str]:
    async for news in follow(here.context.database, simulation_id, after=after):
        if news.ended:
            yield _event("ended", {})
        elif news.rows:
            yield _event("rows", {}, ident=news.rows[-1][0])
        else:
            yield _STILL_RUNNING


def _event(name: str, data: Mapping[str, Any], *, ident: int | None = None) -> str:
    place = f"id: {ident}\n" if ident is not None else ""
    return f"event: {name}\n{place}data: {json.dumps(data, ensure_ascii=False)}\n\n"
