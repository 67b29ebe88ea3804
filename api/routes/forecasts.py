"""Forecasts: until when an open request is finished, and whether it misses its deadline."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.forecasts import ForecastView, TooFewView
from service.forecasts.forecasts import forecast_of

router = APIRouter(prefix="/workflow/requests", tags=["requests"], route_class=PersonalRoute)


@router.get("/{request_id}/forecast/")
async def read_forecast(context: Here, caller: Caller, request_id: str) -> ForecastView | TooFewView:
    """Show the forecast for an open request.

    It rests on the latest finished requests of the same version; below 100 of these it is `too_few` and nothing else.
    For a request that has ended there is none (409).
    """
    found = await forecast_of(context, caller, request_id)
    return TooFewView(state="too_few") if found == "too_few" else ForecastView.of(found)
