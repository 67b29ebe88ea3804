"""SLAs: their definitions, the figures of their windows, and breaches that people acknowledge."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.forecasts import SloForecastView, TooFewView
from api.schemas.slas import Acknowledgement, BreachView, Severity, SlaBody, SlaMetricsView, SlaView
from service.forecasts.slos import slo_forecast
from service.slas.breaches import acknowledge_breach, list_breaches, read_breach
from service.slas.definitions import add_sla, change_sla, remove_sla, sla_window
from storage.queries.slas import definitions
from storage.queries.slas.breaches import Chosen

router = APIRouter(tags=["SLAs"], route_class=PersonalRoute)
Name = Annotated[str | None, Query(max_length=200)]


@router.get("/workflow/workflow-slas/")
async def list_slas(
    context: Here, limit: Limit = 50, cursor: Cursor = None, template: Name = None, enabled: bool | None = None
) -> Listed[SlaView]:
    """List the SLAs, newest first."""
    page = await context.database.read(definitions.page, limit=limit, cursor=cursor, template=template, enabled=enabled)
    return Listed(items=[SlaView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("/workflow/workflow-slas/", status_code=201)
async def create_sla(context: Here, caller: Caller, call: ThisCall, body: SlaBody) -> SlaView:
    """Add an SLA of a process or of one of its stages. For designers and admins."""
    return SlaView.of(await add_sla(context, caller, body.facts(), sla_id=f"sla_{call.subject}"))


@router.get("/workflow/workflow-slas/{sla_id}/")
async def read_sla(context: Here, sla_id: str) -> SlaView:
    """Show one SLA."""
    return SlaView.of(await context.database.read(definitions.get, sla_id))


@router.put("/workflow/workflow-slas/{sla_id}/")
async def put_sla(context: Here, caller: Caller, sla_id: str, body: SlaBody) -> SlaView:
    """Change an SLA; what it measures stays, and so do its breaches. For designers and admins."""
    return SlaView.of(await change_sla(context, caller, sla_id, body.facts()))


@router.delete("/workflow/workflow-slas/{sla_id}/")
async def delete_sla(context: Here, caller: Caller, sla_id: str) -> SlaView:
    """Remove an SLA that has had no breach, and return it. For designers and admins."""
    return SlaView.of(await remove_sla(context, caller, sla_id))


@router.get("/workflow/workflow-slas/{sla_id}/metrics/")
async def sla_metrics(context: Here, sla_id: str) -> SlaMetricsView:
    """Compute the figures of the SLO window that ends now, with the counts behind them."""
    return SlaMetricsView.of(*await sla_window(context, sla_id))


@router.get("/workflow/workflow-slas/{sla_id}/forecast/")
async def read_slo_forecast(
    context: Here,
    caller: Caller,
    sla_id: str,
    ahead_hours: Annotated[float | None, Query(gt=0, le=366 * 24, allow_inf_nan=False)] = None,
) -> SloForecastView | TooFewView:
    """Forecast the window of an SLO that ends `ahead_hours` from now; by default the one that begins now.

    Below 30 past executions, or where none of them is long enough ago to hold a forecast to, it is `too_few` and
    nothing else.
    """
    sla, found = await slo_forecast(context, caller, sla_id, ahead_hours)
    return TooFewView(state="too_few") if found == "too_few" else SloForecastView.of(sla, found)


@router.get("/workflow/sla-breaches/")
async def list_sla_breaches(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    sla_id: Name = None,
    template: Name = None,
    severity: Severity | None = None,
    acknowledged: bool | None = None,
) -> Listed[BreachView]:
    """List breaches, the latest first: auditors and admins see all, others those of the processes that they own."""
    chosen = Chosen(sla_id=sla_id, template=template, severity=severity, acknowledged=acknowledged)
    page = await list_breaches(context, caller, chosen, limit=limit, cursor=cursor)
    return Listed(items=[BreachView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/workflow/sla-breaches/unacknowledged/")
async def list_unacknowledged_sla_breaches(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    sla_id: Name = None,
    template: Name = None,
    severity: Severity | None = None,
) -> Listed[BreachView]:
    """List the breaches that nobody has acknowledged, the latest first, as far as the caller may see them."""
    return await list_sla_breaches(context, caller, limit, cursor, sla_id, template, severity, acknowledged=False)


@router.get("/workflow/sla-breaches/{breach_id}/")
async def read_sla_breach(context: Here, caller: Caller, breach_id: str) -> BreachView:
    """Show one breach."""
    return BreachView.of(await read_breach(context, caller, breach_id))


@router.post("/workflow/sla-breaches/{breach_id}/acknowledge/")
async def acknowledge_sla_breach(
    context: Here, caller: Caller, breach_id: str, body: Acknowledgement | None = None
) -> BreachView:
    """Acknowledge a breach, once. For the owner of the process and admins."""
    notes = None if body is None else body.notes
    return BreachView.of(await acknowledge_breach(context, caller, breach_id, notes=notes))
