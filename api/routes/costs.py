"""The cost of one request: the time of approvers, actions, notifications, and the delay."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.costs import CostView
from service.costs.request_cost import cost_of_request as price_request
from simulation.report.costs import Prices

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

    given = Prices(
        currency=currency,
        approver_hour=approver_hour,
        minutes_per_decision=minutes_per_decision,
        delay_hour=delay_hour,
        notice=notice,
    )
    return CostView.of(request_id, await price_request(context, caller, request_id, given))
