"""The cost of one request: the time of approvers, actions, notifications, and the delay."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.costs import CostView
from placet.definition.action_spec import ActionSpec
from service.visibility import seen_request
from simulation.report.costs import Prices, price, usage_in, with_catalog
from storage.queries import actions
from storage.queries.requests import requests
from storage.queries.requests.requests import RequestWithTasks, TimelineRow

router = APIRouter(prefix="/workflow/requests", tags=["requests"], route_class=PersonalRoute)

Amount = Annotated[Decimal, Query(ge=0, max_digits=20, allow_inf_nan=False)]
_NOTHING, _TEN = Decimal(0), Decimal(10)


@router.get("/{request_id}/cost/")
async def cost_of_request(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    request_id: str,
    currency: Annotated[str, Query(pattern=r"\A[A-Z]{3}\z")] = "EUR",
    approver_hour: Amount = _NOTHING,
    minutes_per_decision: Amount = _TEN,
    delay_hour: Amount = _NOTHING,
    notice: Amount = _NOTHING,
) -> CostView:
    """Compute the cost of one request so far: decisions, actions at catalog prices, notifications and time."""

    def read(connection: Connection) -> tuple[RequestWithTasks, list[TimelineRow], dict[str, ActionSpec]]:
        stored = seen_request(connection, caller, request_id, context.now())
        return stored, requests.timeline(connection, request_id), actions.specs(connection)

    stored, timeline, catalog = await context.database.read(read)
    notices = sum(entry.kind == "notified" for entry in timeline)
    end = stored.request.ended_at or context.now()
    used = usage_in(timeline, notices=notices, duration=end - stored.request.started_at)
    given = Prices(
        currency=currency,
        approver_hour=approver_hour,
        minutes_per_decision=minutes_per_decision,
        delay_hour=delay_hour,
        notice=notice,
    )
    prices = with_catalog(given, catalog)
    return CostView.of(request_id, used, price(used, prices), running=stored.request.ended_at is None)
