"""Trying a draft out: explored in every way, or rehearsed on the engine.

The editor has it beside its drawing: it takes the form and the results from this page, which whoever runs no scripts
opens by a link. It is then answered at once, and the page is read again when the simulation has ended; without scripts
the answer waits for the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.definition.variables import normalise_input
from placet.errors import InputInvalid
from service.drafts import analysis, drafts
from service.drafts.draft import Draft
from service.visibility import viewer_of
from storage.queries.simulations import simulations
from storage.tables.simulations import WorkflowSimulation
from web.editor.findings import variables_of
from web.editor.sketch import sketch_of
from web.editor.trial import MOST_SHOWN, Along, along_of, fault_of, trial_of
from web.forms.reading import Entries
from web.forms.shapes import fields_of, read_input
from web.routes.common import Here, WebContext, badge_of, entries_of, judged, shown
from web.routes.editor.common import PART, DraftId, around, headed
from web.security import PageRoute
from web.simulations.timelines import Step, steps_of
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/drafts", route_class=PageRoute)

_PATIENCE = 60.0  # seconds that a browser without scripts waits for a simulation
_LAST = 2**31 - 1  # the largest revision that the store holds
Name = Annotated[str, Query(max_length=200)]


@router.get("/{draft_id}/try")
async def trial_form(  # noqa: PLR0917 - as the address has it
    request: Request,
    here: Here,
    visitor: SignedIn,
    draft_id: DraftId,
    simulation: Name = "",
    branch: Name = "",
    revision: Annotated[int, Query(ge=0, le=_LAST)] = 0,
) -> HTMLResponse:
    """Show what a draft is tried out with, and what came of a simulation of it; a `branch` of one fills the form."""

    def read(connection: Connection) -> tuple[Draft, WorkflowSimulation | None]:
        draft = drafts.find(connection, visitor.principal, draft_id)
        return draft, _simulation(connection, visitor, simulation)

    draft, row = await here.context.database.read(read)
    along = along_of(row, branch) if row is not None and branch else None
    given = along.given if along is not None else (row.question.get("input") if row is not None else None) or {}
    return await _page(request, here, visitor, draft, given, row=row, revision=revision, along=along)


@router.post("/{draft_id}/try")
async def try_out(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> Response:
    """Explore or rehearse a draft."""
    entries = await entries_of(request, visitor)
    ident, _, branch = entries.text("along").partition(":")

    def read(connection: Connection) -> tuple[Draft, Along | None]:
        draft = drafts.find(connection, visitor.principal, draft_id)
        row = _simulation(connection, visitor, ident[:200])
        return draft, along_of(row, branch) if row is not None else None

    draft, along = await here.context.database.read(read)
    variables = variables_of(draft.content)
    given = read_input(variables, entries)
    try:
        if entries.text("mode") == "rehearse":
            normalise_input(variables, given, pointer="/input")  # at its field, and before anything runs
            options = {"input": given} | ({"script": along.script} if along is not None else {})
            found = await analysis.rehearse(here.context, visitor.principal, draft, options, later=True)
        else:
            found = await analysis.explore(here.context, visitor.principal, draft, later=True)
    except InputInvalid as error:
        return await _page(request, here, visitor, draft, given, error=error, along=along, entries=entries)
    row = found.row
    if request.headers.get(PART) is None:
        await here.context.jobs.ended(row.id, patience=_PATIENCE)
        row = await here.context.database.read(simulations.get, row.id)
    return await _page(
        request, here, visitor, draft, given, row=row, revision=draft.revision, along=along, entries=entries
    )


def _simulation(connection: Connection, visitor: Visitor, ident: str) -> WorkflowSimulation | None:
    return simulations.get(connection, ident, viewer=viewer_of(visitor.principal)) if ident else None


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    draft: Draft,
    given: Mapping[str, Any],
    *,
    row: WorkflowSimulation | None = None,
    revision: int = 0,
    along: Along | None = None,
    error: InputInvalid | None = None,
    entries: Entries | None = None,
) -> HTMLResponse:
    variables = variables_of(draft.content)
    trial = None
    if row is not None:
        surroundings, _ = await around(here, draft)
        graph = sketch_of(draft.content, visitor.wording.say, surroundings.named)
        titles = {node.id: node.title for node in graph.nodes}
        path = ((row.result or {}).get("execution_path") or ())[:MOST_SHOWN]
        steps: tuple[Step, ...] = await here.context.database.read(steps_of, path, visitor.wording)
        trial = trial_of(row, revision, f"/drafts/{draft.id}", variables, titles, visitor.wording, steps=steps)
        error = error or fault_of(row)
    fields = fields_of(variables, given, visitor.wording)
    return shown(
        request,
        "editor/try.html",
        status=200 if error is None else 422,
        section="drafts",
        badge=await badge_of(here, visitor),
        draft=await headed(here, visitor, draft),
        trial=trial,
        along=along,
        **judged(fields, error, entries),
    )
