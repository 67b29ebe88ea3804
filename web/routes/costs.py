"""What delay and people's work cost: a period, its chart, and the table behind it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from insight.costs import stored
from placet.errors import InputInvalid, PlacetError, TooMuchWork
from service.costs.report import CostReport, cost_report, usual_period
from web.costs.page import GROUPED, Asked, page_of, reasons_of
from web.routes.common import Here, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.people import Names, names_of
from web.visitor import SignedIn

router = APIRouter(prefix="/costs", route_class=PageRoute)


@router.get("")
async def costs(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the costs of the months and processes that the address asks for."""
    context, principal, wording = here.context, visitor.principal, visitor.wording
    asked = Asked.of(request.query_params)
    report: CostReport | None = None
    error: PlacetError | None = None
    try:
        order = asked.order(context.now(), wording)
        report = await cost_report(context.database, principal, order, clock=context.clock)
    except (InputInvalid, TooMuchWork) as refused:
        error = refused
    people = {used.simulated_by for used in report.prices.values()} if report is not None else set()

    def read(connection: Connection) -> tuple[list[str], Names, str | None]:
        owners = None if principal.designs else principal.names
        processes = stored.processes(connection, owners)
        return processes, names_of(connection, people - {None}), read_inbox_count(connection, principal, wording)

    processes, names, badge = await context.database.read(read)
    first = usual_period(context.now(), wording.zone)[0].astimezone(wording.zone)
    return shown(
        request,
        "costs/page.html",
        status=200 if error is None else 422,
        section="drafts",
        badge=badge,
        asked=asked,
        processes=processes if not asked.process or asked.process in processes else [*processes, asked.process],
        groupings=[(key, wording.say(word)) for key, word in GROUPED.items()],
        since=asked.since or f"{first:%Y-%m}",
        until=asked.until or f"{context.now().astimezone(wording.zone):%Y-%m}",
        page=None if report is None else page_of(report, names, wording),
        reasons=[] if error is None else reasons_of(error, wording),
    )
