"""Forecasts for open requests, on a page and in lists: when one may be finished, and whether it misses its deadline."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from insight.forecast.forecaster import COVERAGE, LEAST_CASES, Forecast
from placet.errors import Busy, Ended, TooMuchWork, Unavailable
from service.forecasts.forecasts import forecast_of
from service.visibility import seen_request
from web.routes.common import Here, badge_of, shown
from web.routes.processes import Identifier
from web.security import PageRoute
from web.views.requests.forecasts import MOST
from web.views.words import marked
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)

_AWAY = marked("The engine does not answer now. Look again later.")
_SLOW = marked("Working it out would take too long.")


@router.get("/requests/{request_id}/forecast")
async def forecast_page(request: Request, here: Here, visitor: SignedIn, request_id: Identifier) -> HTMLResponse:
    """Show the forecast for a request: a page of its own, which the request's page takes its panel from."""
    context, say = here.context, visitor.wording.say
    seen = await context.database.read(seen_request, visitor.principal, request_id, context.now())
    found: Forecast | Literal["too_few"] | None = None
    reason = ""
    try:
        found = await forecast_of(context, visitor.principal, request_id)
    except Ended:
        reason = say(marked("The request has ended."))
    except Unavailable:
        reason = say(_AWAY)
    except (Busy, TooMuchWork):
        reason = say(_SLOW)
    known = found if isinstance(found, Forecast) else None
    brier = known.held_out.brier if known is not None else None
    return shown(
        request,
        "forecast.html",
        section="requests",
        badge=await badge_of(here, visitor),
        request_id=request_id,
        title=seen.request.title,
        found=found,
        reason=reason,
        least=LEAST_CASES,
        aim=COVERAGE,
        score=Decimal(str(round(brier, 3))) if brier is not None else None,
    )


@router.get("/live/forecasts")
async def forecast_lines(request: Request, here: Here, visitor: SignedIn) -> JSONResponse:
    """Return the forecasts of these requests in one line each, for the script of a list that was sent before."""
    asked = [one[:200] for one in request.query_params.getlist("request")[:MOST] if "\0" not in one]
    lines = await here.forecasts.of(here.context, visitor.principal, asked, visitor.wording)
    return JSONResponse({"lines": lines})
