"""The costs of a period: what delay and people's work cost, by process, stage and month."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.cost_reports import CostReportView
from service.costs.asking import order_of
from service.costs.report import cost_report

router = APIRouter(prefix="/workflow/costs", tags=["costs"], route_class=PersonalRoute)

Amount = Annotated[Decimal | None, Query(ge=0, max_digits=20, allow_inf_nan=False)]
_WHEN = "A month (2026-03), a day, or a moment with its offset."


@router.get("/")
async def read_costs(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    template: Annotated[str | None, Query(max_length=200, description="The name of a process; without, all.")] = None,
    since: Annotated[str | None, Query(alias="from", max_length=40, description=_WHEN)] = None,
    until: Annotated[str | None, Query(alias="to", max_length=40, description=_WHEN)] = None,
    group_by: Annotated[
        str, Query(max_length=60, description="`template`, `stage`, `month`, or several.")
    ] = "template",
    timezone: Annotated[str, Query(max_length=64, description="The time zone in which months begin.")] = "UTC",
    currency: Annotated[str | None, Query(pattern=r"\A[A-Z]{3}\z")] = None,
    approver_hour: Amount = None,
    minutes_per_decision: Amount = None,
    delay_hour: Amount = None,
) -> CostReportView:
    """Compute what delay and people's work cost in a period: the last twelve months where none is given.

    Prices that are given count; without them, those of the newest simulation of each process that had any. For
    designers, auditors and admins, and for owners of processes, whose requests they are.
    """
    order = order_of(
        context.now(),
        since=since,
        until=until,
        zone=timezone,
        group_by=group_by,
        template=template,
        prices={
            "currency": currency,
            "approver_hour": approver_hour,
            "minutes_per_decision": minutes_per_decision,
            "delay_hour": delay_hour,
        },
    )
    return CostReportView.of(await cost_report(context.database, caller, order, clock=context.clock))
