"""SLAs: the dashboard, one of them with its window, and the forms that add, change, switch and remove one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import Conflict, InputInvalid, NotFound, PlacetError
from service.slas.course import Course, course_of
from service.slas.definitions import add_sla, change_sla, remove_sla
from storage.queries.slas import definitions
from storage.tables.slas import WorkflowSla
from web.forms.reading import Entries
from web.routes.common import Here, WebContext, done_key, entries_of, fresh_key, judged, record, see_other, shown
from web.routes.insight.common import frame
from web.security import PageRoute
from web.slas.chart import course_view
from web.slas.form import Measured, facts_of, find_measured, read_sla_form, sla_fields
from web.slas.listing import SlaFilter, SlaList, figures_of, line_of, listed_processes, read_list
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/slas", route_class=PageRoute)

SlaId = Annotated[str, Path(max_length=200)]


@router.get("")
async def sla_list(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show every SLA with the figures of its window."""
    chosen = SlaFilter.of(request.query_params)

    def read(connection: Connection, chosen: SlaFilter) -> tuple[SlaList, dict[str, Any]]:
        found = read_list(connection, chosen, here.context.now(), visitor.wording)
        return found, frame(connection, visitor, "slas")

    try:
        found, around = await here.context.database.read(read, chosen)
    except InputInvalid:  # a cursor of another list, or cut off
        chosen = replace(chosen, cursor=None)
        found, around = await here.context.database.read(read, chosen)
    return shown(request, "slas/list.html", list=found, chosen=chosen, **around)


@router.post("")
async def add(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Add an SLA; a form that is sent twice adds one."""
    entries = await entries_of(request, visitor)
    measured = await here.context.database.read(find_measured, entries.text("process"))
    if measured is None:
        return await _choose(request, here, visitor, unknown=entries.text("process"))
    sla_id = f"sla_{done_key(visitor, entries.text('key') or fresh_key())[:32]}"
    try:
        facts = read_sla_form(entries, measured, None, visitor.wording)
        await add_sla(here.context, visitor.principal, facts, sla_id=sla_id)
    except InputInvalid as error:
        await record(here, visitor, "add_sla", error)
        return await _form(request, here, visitor, measured, entries=entries, error=error)
    return see_other(f"/slas/{sla_id}", "sla_added")


@router.get("/new")
async def new(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the form of a new SLA, or first ask for its process."""
    process = request.query_params.get("process", "").replace("\0", "")[:200]
    measured = await here.context.database.read(find_measured, process) if process else None
    if measured is None:
        return await _choose(request, here, visitor, unknown=process)
    return await _form(request, here, visitor, measured)


@router.get("/{sla_id}")
async def sla_page(request: Request, here: Here, visitor: SignedIn, sla_id: SlaId) -> HTMLResponse:
    """Show an SLA: its figures, and the course of the window that ends now."""
    now, wording = here.context.now(), visitor.wording

    def read(connection: Connection) -> tuple[WorkflowSla, Course, dict[str, Any]]:
        row = definitions.get(connection, sla_id)
        return row, course_of(connection, row, now), frame(connection, visitor, "slas")

    row, course, around = await here.context.database.read(read)
    figures = course.window.figures
    line = line_of(row, figures, wording)
    name = wording.say("{breached} of {total} executions have missed the target of {name}").format(
        breached=wording.number(figures.breached), total=wording.number(figures.total), name=row.name
    )
    return shown(
        request,
        "slas/page.html",
        sla=line,
        figures=figures_of(figures, wording),
        window=course.window,
        course=course_view(course, row.slo_target_percentage, wording, name=name),
        **around,
    )


@router.get("/{sla_id}/edit")
async def edit(request: Request, here: Here, visitor: SignedIn, sla_id: SlaId) -> HTMLResponse:
    """Show the form that changes an SLA."""
    row = await here.context.database.read(definitions.get, sla_id)
    return await _form(request, here, visitor, Measured(process=row.template, stages=None), row=row)


@router.post("/{sla_id}/edit")
async def change(request: Request, here: Here, visitor: SignedIn, sla_id: SlaId) -> Response:
    """Change an SLA; what it measures stays."""
    entries = await entries_of(request, visitor)
    row = await here.context.database.read(definitions.get, sla_id)
    measured = Measured(process=row.template, stages=None)
    try:
        facts = read_sla_form(entries, measured, facts_of(row), visitor.wording)
        await change_sla(here.context, visitor.principal, sla_id, facts)
    except InputInvalid as error:
        await record(here, visitor, "change_sla", error)
        return await _form(request, here, visitor, measured, row=row, entries=entries, error=error)
    return see_other(f"/slas/{sla_id}", "saved")


@router.post("/{sla_id}/switch")
async def switch(request: Request, here: Here, visitor: SignedIn, sla_id: SlaId) -> Response:
    """Switch an SLA on or off; what was breached stays on record."""
    on = (await entries_of(request, visitor)).text("enabled") == "true"
    row = await here.context.database.read(definitions.get, sla_id)
    await change_sla(here.context, visitor.principal, sla_id, replace(facts_of(row), enabled=on))
    return see_other(f"/slas/{sla_id}", "sla_on" if on else "sla_off")


@router.get("/{sla_id}/remove")
async def ask_before_removing(request: Request, here: Here, visitor: SignedIn, sla_id: SlaId) -> HTMLResponse:
    """Ask before an SLA is removed."""
    return await _ask(request, here, visitor, sla_id)


@router.post("/{sla_id}/remove")
async def remove(request: Request, here: Here, visitor: SignedIn, sla_id: SlaId) -> Response:
    """Remove an SLA that has had no breach."""
    try:
        await remove_sla(here.context, visitor.principal, sla_id)
    except Conflict as error:
        return await _ask(request, here, visitor, sla_id, error=error)
    except NotFound:  # the form was sent twice
        pass
    return see_other("/slas", "sla_removed")


async def _choose(request: Request, here: WebContext, visitor: Visitor, *, unknown: str) -> HTMLResponse:
    """Ask for the process of a new SLA; `unknown` is a name that was given and is none."""

    def read(connection: Connection) -> tuple[tuple[str, ...], dict[str, Any]]:
        return listed_processes(connection, ""), frame(connection, visitor, "slas")

    names, around = await here.context.database.read(read)
    status = 404 if unknown else 200
    return shown(request, "slas/choose.html", status=status, names=names, unknown=unknown, **around)


async def _form(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    measured: Measured,
    *,
    row: WorkflowSla | None = None,
    entries: Entries | None = None,
    error: PlacetError | None = None,
) -> HTMLResponse:
    facts = None if row is None else facts_of(row)
    return shown(
        request,
        "slas/form.html",
        status=200 if error is None else 422,
        sla=None if row is None else line_of(row, None, visitor.wording),
        measured=measured,
        key=entries.text("key") if entries is not None else fresh_key(),
        **judged(sla_fields(measured, facts, entries, visitor.wording), error),
        **await here.context.database.read(frame, visitor, "slas"),
    )


async def _ask(
    request: Request, here: WebContext, visitor: Visitor, sla_id: str, *, error: Conflict | None = None
) -> HTMLResponse:
    row = await here.context.database.read(definitions.get, sla_id)
    return shown(
        request,
        "slas/remove.html",
        status=200 if error is None else 409,
        sla=line_of(row, None, visitor.wording),
        reason=None if error is None else error.message,
        **await here.context.database.read(frame, visitor, "slas"),
    )
