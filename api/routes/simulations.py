"""Simulations: ask for one, see how it goes and what it came to, and cancel it. Nothing else is ever changed by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from api.calls import PersonalRoute
from api.context import Context
from api.deps import Caller, Cursor, Here, Limit, Reading, ThisCall
from api.identity import Principal
from api.routes.examples import EXPENSE_APPROVAL
from api.schemas.common import Listed
from api.schemas.simulations import SimulationLine, SimulationView
from api.seeing import seen_request, sees_template, viewer_of
from api.shadowing import shadows_of, told
from api.simulating import HELD, event, jobs_of, shown
from placet.errors import InputInvalid, NotFound
from placet.json_text import with_floats
from simulation.report.page import html_report
from simulation.report.result import plain
from simulation.run.service import failed
from simulation.scenario.load import template_of
from simulation.scenario.order import SimulationOrder, parse_order
from storage.queries.simulations import simulation_rows, simulations
from storage.recording import metrics
from storage.tables.simulations import WorkflowSimulation

router = APIRouter(prefix="/workflow/workflow-simulations", tags=["simulations"], route_class=PersonalRoute)

# What runs in the background is waited for so long before it is answered as running.
PATIENCE = 2.0  # seconds
_LAST_EVENT = 2**31 - 1  # as large a number as the store keeps
# What has money in it.
_EXACT = {"input", "values", "variables", "prices"}

OrderBody = Annotated[
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
Prefer = Annotated[str | None, Header(description="`respond-async` answers at once, while it runs.", max_length=200)]


@router.post("/", status_code=201)
async def create_simulation(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request, context: Here, caller: Caller, call: ThisCall, body: OrderBody, prefer: Prefer = None
) -> SimulationView:
    """Simulate: explore answers completed, the other modes may answer running. Changes nothing but this record."""
    order, read = _order(body)
    await _allowed(request, caller, order)
    requester = order.person or caller.person
    row = _row(call.subject, caller, order, read)
    jobs = jobs_of(request.app)
    if not call.fresh and await context.database.read(simulations.there, row.id):
        # It was asked for before, and its answer did not arrive: it is this one's.
        await jobs.ended(row.id, patience=PATIENCE)
        return await _stored(context, row.id)
    if order.stands:
        await shadows_of(request.app).begin(row, patience=PATIENCE)
        return await _stored(context, row.id)
    later = "respond-async" in (prefer or "")
    if order.mode == "explore" and not later:
        result = await jobs.answered(order, requester=requester, viewer=viewer_of(caller), simulation_id=row.id)
        row.result, row.finished_at = result, datetime.now(UTC)
        row.status = "failed" if failed(result) else "completed"
        async with context.database.begin() as session:
            if await simulations.insert(session, row):
                connection = await session.connection()
                counted = metrics.increment("workflow_simulation_total", row.status)
                await connection.run_sync(metrics.count, counted)
        return await _stored(context, row.id)
    jobs.admit(caller.person)
    async with context.database.begin() as session:
        new = await simulations.insert(session, row)
    if new:
        jobs.start(row, order, requester=requester, viewer=viewer_of(caller))
    if not later:
        await jobs.ended(row.id, patience=PATIENCE)
    return await _stored(context, row.id)


async def _stored(context: Context, simulation_id: str) -> SimulationView:
    async with context.database.session() as session:
        return await shown(session, await simulations.get(session, simulation_id))


@router.get("/")
async def list_simulations(  # noqa: PLR0917 - FastAPI passes them by name
    session: Reading,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    mode: Annotated[str | None, Query(max_length=20)] = None,
    status: Literal["running", "completed", "failed", "cancelled"] | None = None,
) -> Listed[SimulationLine]:
    """List one's own simulations, newest first; auditors and admins see all."""
    page = await simulations.page(
        session, limit=limit, cursor=cursor, viewer=viewer_of(caller), mode=mode, status=status
    )
    return Listed(items=[SimulationLine.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{simulation_id}/")
async def read_simulation(session: Reading, caller: Caller, simulation_id: str) -> SimulationView:
    """Show one simulation with its answer; of a backtest or a shadow with the first of its rows."""
    return await shown(session, await simulations.get(session, simulation_id, viewer=viewer_of(caller)))


@router.get("/{simulation_id}/rows/")
async def list_rows(  # noqa: PLR0917 - FastAPI passes them by name
    session: Reading,
    caller: Caller,
    simulation_id: str,
    limit: Limit = 50,
    cursor: Cursor = None,
    changed: bool | None = None,
) -> Listed[dict[str, Any]]:
    """List what a backtest or a shadow says of each request; `changed` keeps those that are, or are not."""
    await simulations.get(session, simulation_id, viewer=viewer_of(caller))
    page = await simulation_rows.page(session, simulation_id, limit=limit, cursor=cursor, changed=changed)
    return Listed(items=[one.row for one in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{simulation_id}/events/",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_simulation(
    request: Request,
    context: Here,
    caller: Caller,
    simulation_id: str,
    last_event_id: Annotated[int, Header(description="Of a shadow: go on after this one.", ge=0, le=_LAST_EVENT)] = 0,
) -> StreamingResponse:
    """Stream progress and results as server-sent events; the last event carries the whole answer.

    Branches are told to everyone, however late they ask and whichever process ran the simulation.
    """
    async with context.database.session() as session:
        row = await simulations.get(session, simulation_id, viewer=viewer_of(caller))
    if row.mode == "shadow":
        rows = told(context.database, simulation_id, after=last_event_id)
        return StreamingResponse(rows, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    jobs = jobs_of(request.app)

    async def events() -> AsyncIterator[str]:
        branches = 0
        async for news in jobs.events(simulation_id):
            if "branch" in news:
                branches += 1
                yield event("branch", news["branch"])
            else:
                yield event("progress", news) if news else ": still running\n\n"
        async with context.database.session() as session:
            ended = await simulations.get(session, simulation_id)
            answer = (await shown(session, ended)).model_dump(mode="json")
        for branch in answer["branch_explorations"][branches:]:
            yield event("branch", branch)
        yield event(ended.status, answer)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/{simulation_id}/report/", response_class=HTMLResponse)
async def report_simulation(session: Reading, caller: Caller, simulation_id: str) -> Response:
    """Return the answer as a page with charts that stands alone as a file."""
    row = await simulations.get(session, simulation_id, viewer=viewer_of(caller))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    page = html_report((await shown(session, row)).model_dump(mode="json"))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@router.post("/{simulation_id}/cancel/")
async def cancel_simulation(request: Request, context: Here, caller: Caller, simulation_id: str) -> SimulationView:
    """Cancel a simulation that runs; a shadow keeps what it has seen."""
    async with context.database.begin() as session:
        await simulations.get(session, simulation_id, viewer=viewer_of(caller))
        row = await simulations.cancel(session, simulation_id, datetime.now(UTC))
        view = await shown(session, row)
    jobs_of(request.app).cancel(simulation_id)
    shadows_of(request.app).end(simulation_id)
    return view


def _order(body: Any) -> tuple[SimulationOrder, dict[str, Any]]:
    """Read the order, and return it beside what was read: amounts in the input and the prices stay exact."""
    if not isinstance(body, dict):
        raise InputInvalid('Send an object such as {"mode": "explore", "template": "…"}.')
    read = {key: value if key in _EXACT else with_floats(value) for key, value in body.items()}
    return parse_order(read), read


async def _allowed(request: Request, caller: Principal, order: SimulationOrder) -> None:
    """Check who may ask for what: the past of others, and their view of the organisation, are not for everybody."""
    if order.mode in {"backtest", "shadow"}:
        caller.need(frozenset({"designer", "auditor", "admin"}))
    if order.person is not None and order.person != caller.person:
        caller.need(frozenset({"designer", "auditor", "admin"}))
    named = order.template
    async with request.app.state.context.database.session() as session:
        if order.request_id is not None and order.mode not in {"backtest", "shadow"}:
            stored = await seen_request(session, caller, order.request_id)
            named = named or stored.request.template
        if order.blueprint is None and (order.template is not None or order.version is not None) and named is not None:
            row = await template_of(session, named, order.version)
            if not sees_template(caller, row):
                raise NotFound(f"There is no published process template {named!r}")


def _row(simulation_id: str, caller: Principal, order: SimulationOrder, body: Any) -> WorkflowSimulation:
    definition = order.blueprint or {}
    now = datetime.now(UTC)
    return WorkflowSimulation(
        id=simulation_id,
        mode=order.mode,
        status="running",
        template=order.template or str(definition.get("name", ""))[:200] or None,
        version=order.version,
        request_id=order.request_id,
        question=plain(body),
        created_by=caller.person,
        created_at=now,
        followed_until=now + HELD,
    )
