"""Simulations: start, list, show, stream and cancel them. A simulation changes nothing but its own record."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlalchemy import Connection

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.http.streams import shadow_events, simulation_events, streamed
from api.routes.examples import EXPENSE_APPROVAL
from api.schemas.common import Listed
from api.schemas.simulations import SimulationLine, SimulationView
from service.simulations.simulations import cancel, create, show
from service.visibility import viewer_of
from simulation.report.page import html_report
from storage.queries.cursor import Page
from storage.queries.simulations import simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulationRow

router = APIRouter(prefix="/workflow/workflow-simulations", tags=["simulations"], route_class=PersonalRoute)

_LAST_EVENT = 2**31 - 1  # the largest integer of the database column

SpecBody = Annotated[
    Any,
    Body(
        openapi_examples={
            "explore": {
                "value": {"mode": "explore", "blueprint": EXPENSE_APPROVAL, "input": {"amount": "7200"}},
            },
            "rehearse": {
                "value": {
                    "mode": "rehearse",
                    "template": "Expense approval",
                    "input": {"amount": "7200"},
                    "script": [{"stage": "Manager Approval", "decision": "approve", "after_hours": 30}],
                }
            },
            "replay": {
                "value": {
                    "mode": "replay",
                    "request_id": "…",
                    "patch": [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 4}],
                    "script": [{"stage": "Manager Approval", "decision": "reject"}],
                }
            },
            "backtest": {"value": {"mode": "backtest", "template": "Expense approval", "blueprint": EXPENSE_APPROVAL}},
            "shadow": {
                "value": {
                    "mode": "shadow",
                    "template": "Expense approval",
                    "blueprint": EXPENSE_APPROVAL,
                    "for_hours": 72,
                }
            },
        }
    ),
]
Shown = Literal["changed", "outcome", "later", "earlier", "approvers", "route", "sla_state", "cost", "unknown", "same"]
Prefer = Annotated[
    str | None, Header(description="`respond-async` answers before the simulation ends.", max_length=200)
]


@router.post("/", status_code=201)
async def create_simulation(
    context: Here, caller: Caller, call: ThisCall, body: SpecBody, prefer: Prefer = None
) -> SimulationView:
    """Start a simulation. Mode explore answers when it is completed; the other modes may answer while they run."""
    later = "respond-async" in (prefer or "")
    found = await create(context, caller, body, simulation_id=call.subject, fresh=call.fresh, later=later)
    return SimulationView.of(found)


@router.get("/")
async def list_simulations(  # noqa: PLR0917 - FastAPI passes them by name
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    mode: Annotated[str | None, Query(max_length=20)] = None,
    status: Literal["running", "completed", "failed", "cancelled"] | None = None,
) -> Listed[SimulationLine]:
    """List the caller's simulations, newest first. Auditors and admins see all."""
    page = await context.database.read(
        simulations.page, limit=limit, cursor=cursor, viewer=viewer_of(caller), mode=mode, status=status
    )
    return Listed(items=[SimulationLine.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{simulation_id}/")
async def read_simulation(context: Here, caller: Caller, simulation_id: str) -> SimulationView:
    """Show one simulation with its result; a backtest or a shadow also has its first rows."""
    return SimulationView.of(await context.database.read(show, caller, simulation_id))


@router.get("/{simulation_id}/rows/")
async def list_rows(  # noqa: PLR0917 - FastAPI passes them by name
    context: Here,
    caller: Caller,
    simulation_id: str,
    limit: Limit = 50,
    cursor: Cursor = None,
    changed: bool | None = None,
    shown: Annotated[Shown | None, Query(description="Rows that changed in one way, or are unknown.")] = None,
) -> Listed[dict[str, Any]]:
    """List the rows of a backtest or a shadow, one for each request. `changed` selects changed or unchanged ones."""

    def read(connection: Connection) -> Page[WorkflowSimulationRow]:
        simulations.get(connection, simulation_id, viewer=viewer_of(caller))
        return simulation_rows.page(connection, simulation_id, limit=limit, cursor=cursor, changed=changed, shown=shown)

    page = await context.database.read(read)
    return Listed(items=[one.row for one in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{simulation_id}/events/",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_simulation(
    context: Here,
    caller: Caller,
    simulation_id: str,
    last_event_id: Annotated[
        int, Header(description="For a shadow: continue after this event.", ge=0, le=_LAST_EVENT)
    ] = 0,
) -> StreamingResponse:
    """Stream progress and results as server-sent events. The last event has the whole result.

    The stream has all branches, also if it starts late or another process runs the simulation.
    """
    row = await context.database.read(simulations.get, simulation_id, viewer=viewer_of(caller))
    if row.mode == "shadow":
        return streamed(shadow_events(context, simulation_id, after=last_event_id))
    return streamed(simulation_events(context, simulation_id))


@router.get("/{simulation_id}/report/", response_class=HTMLResponse)
async def report_simulation(context: Here, caller: Caller, simulation_id: str) -> Response:
    """Return the result as a self-contained HTML page with charts."""
    found = await context.database.read(show, caller, simulation_id)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    page = html_report(SimulationView.of(found).model_dump(mode="json"))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@router.post("/{simulation_id}/cancel/")
async def cancel_simulation(context: Here, caller: Caller, simulation_id: str) -> SimulationView:
    """Cancel a running simulation. A shadow keeps its rows."""
    return SimulationView.of(await cancel(context, caller, simulation_id))
