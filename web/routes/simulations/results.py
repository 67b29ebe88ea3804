"""Simulations: the list, one of them with its branches and rows, two timelines, and cancelling one that runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import Conflict, InputInvalid
from service.simulations.simulations import cancel as cancel_simulation
from service.simulations.timelines import blueprint_of, branch_timeline, row_timelines
from service.visibility import viewer_of
from simulation.report.result import json_value
from storage.queries.simulations import simulations
from web.graph.page import ProcessPage, read_path
from web.routes.common import Here, entries_of, see_other, shown
from web.security import PageRoute
from web.simulations.comparison import compare, entries_of_path
from web.simulations.listing import SimulationFilter, SimulationList, read_list
from web.simulations.page import SimulationPage, branch_line, read_simulation
from web.simulations.rows import RowPage, changes_of, read_rows, side_line
from web.simulations.timelines import compared_steps, steps_of
from web.simulations.wording import MODES, STATUSES, ending, span, tone_of
from web.views.inbox import read_inbox_count
from web.views.people import names_of
from web.visitor import SignedIn

router = APIRouter(prefix="/simulations", route_class=PageRoute)

Identifier = Annotated[str, Path(max_length=200)]


@router.get("")
async def simulation_list(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """List simulations."""
    principal, wording = visitor.principal, visitor.wording
    chosen = SimulationFilter.of(request.query_params, principal)

    def read(connection: Connection, chosen: SimulationFilter) -> tuple[SimulationList, str | None]:
        return read_list(connection, principal, chosen, wording), read_inbox_count(connection, principal, wording)

    try:
        found, badge = await here.context.database.read(read, chosen)
    except InputInvalid:  # a cursor of another list, or cut off
        chosen = SimulationFilter(whose=chosen.whose, mode=chosen.mode, status=chosen.status)
        found, badge = await here.context.database.read(read, chosen)
    return shown(
        request,
        "simulations/list.html",
        section="simulations",
        badge=badge,
        list=found,
        chosen=chosen,
        modes={name: wording.say(word) for name, word in MODES.items()},
        statuses={name: wording.say(word) for name, word in STATUSES.items()},
    )


@router.get("/compare")
async def two_timelines(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show two timelines side by side; `left` and `right` refer to them."""
    left, right = (request.query_params.get(name, "")[:500].replace("\0", "") for name in ("left", "right"))
    found = await compare(here.context, visitor, left, right)
    badge = await here.context.database.read(read_inbox_count, visitor.principal, visitor.wording)
    return shown(request, "simulations/compare.html", section="simulations", badge=badge, found=found)


@router.get("/{simulation_id}")
async def simulation_page(request: Request, here: Here, visitor: SignedIn, simulation_id: Identifier) -> HTMLResponse:
    """Show a simulation: how far it has come, and what it found."""
    given = request.query_params
    which, cursor = given.get("shown", ""), given.get("cursor") or None

    def read(connection: Connection, cursor: str | None) -> tuple[SimulationPage, RowPage | None, str | None]:
        page = read_simulation(connection, visitor.principal, simulation_id, visitor.wording)
        rows = None
        if page.has_rows:
            rows = read_rows(
                connection, visitor.principal, simulation_id, which, cursor, visitor.wording, counted=page.counted
            )
        return page, rows, read_inbox_count(connection, visitor.principal, visitor.wording)

    try:
        page, rows, badge = await here.context.database.read(read, cursor)
    except InputInvalid:  # a cursor of another list, or cut off
        page, rows, badge = await here.context.database.read(read, None)
    return shown(request, "simulations/page.html", section="simulations", badge=badge, page=page, rows=rows)


@router.post("/{simulation_id}/cancel")
async def cancel(request: Request, here: Here, visitor: SignedIn, simulation_id: Identifier) -> Response:
    """Cancel a simulation that runs."""
    await entries_of(request, visitor)
    try:
        await cancel_simulation(here.context, visitor.principal, simulation_id)
    except Conflict:  # it ended while the button was pressed: its page shows how
        return see_other(f"/simulations/{simulation_id}", "cancel_simulation_late")
    return see_other(f"/simulations/{simulation_id}", "cancel_simulation")


@router.get("/{simulation_id}/branches/{branch_id}")
async def branch(
    request: Request, here: Here, visitor: SignedIn, simulation_id: Identifier, branch_id: Identifier
) -> HTMLResponse:
    """Show a branch of an exploration: its witness, its timeline, and its way in the drawing of the process."""
    wording = visitor.wording
    found = await branch_timeline(here.context, visitor.principal, simulation_id, branch_id)
    path = json_value(found.steps or ())

    def read(connection: Connection) -> tuple[Any, ProcessPage | None, str | None]:
        blueprint = blueprint_of(connection, found.simulation)
        drawn = read_path(connection, blueprint, entries_of_path(path), wording, span) if path and blueprint else None
        badge = read_inbox_count(connection, visitor.principal, wording)
        return steps_of(connection, path, wording), drawn, badge

    steps, drawn, badge = await here.context.database.read(read)
    return shown(
        request,
        "simulations/branch.html",
        section="simulations",
        badge=badge,
        simulation=found.simulation,
        branch=branch_line(simulation_id, found.branch, wording),
        outcome=ending(wording.say, found.branch["outcome"], found.branch["stopped"]),
        tone=tone_of(found.branch["outcome"]),
        found_again=found.steps is not None,
        steps=steps,
        page=drawn,
    )


@router.get("/{simulation_id}/requests/{request_id}")
async def row(
    request: Request, here: Here, visitor: SignedIn, simulation_id: Identifier, request_id: Identifier
) -> HTMLResponse:
    """Show both timelines of one request of a backtest or a shadow."""
    wording = visitor.wording
    found = await row_timelines(here.context, visitor.principal, simulation_id, request_id)
    before, after = found["row"]["before"], found["row"]["after"]
    names = (wording.say("as recorded"), wording.say("with the candidate"))

    def read(connection: Connection) -> tuple[Any, Any, str, str | None]:
        people = names_of(connection, {p for side in (before, after) if side for p in side["approvers"]})
        steps = compared_steps(connection, found["timelines"], wording, one=names[0], other=names[1])
        title = simulations.titles(connection, [request_id], viewer=viewer_of(visitor.principal))
        sides = [None if side is None else side_line(side, people, wording) for side in (before, after)]
        badge = read_inbox_count(connection, visitor.principal, wording)
        return steps, sides, title.get(request_id, wording.say("A request")), badge

    steps, sides, title, badge = await here.context.database.read(read)
    return shown(
        request,
        "simulations/row.html",
        section="simulations",
        badge=badge,
        simulation_id=simulation_id,
        request_id=request_id,
        title=title,
        sides=sides,
        names=names,
        changes=changes_of(found["row"], wording),
        unknown=found["row"]["unknown"],
        steps=steps,
    )
