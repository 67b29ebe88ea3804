"""Trying a draft out: explored in every way, or rehearsed on the engine, with the results on the same page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from placet.errors import InputInvalid
from service.drafts import analysis, drafts
from service.drafts.draft import Draft
from service.simulations import simulations
from web.editor.findings import variables_of
from web.editor.sketch import sketch_of
from web.editor.trial import MOST_SHOWN, Trial, trial_of
from web.forms.shapes import fields_of, read_input
from web.routes.common import Here, WebContext, badge_of, entries_of, judged, shown
from web.routes.editor.common import DraftId, around, headed
from web.security import PageRoute
from web.simulations.timelines import steps_of
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/drafts", route_class=PageRoute)

_PATIENCE = 60.0  # seconds that a rehearsal is waited for


@router.get("/{draft_id}/try")
async def trial_form(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> HTMLResponse:
    """Show what a draft is tried out with."""
    draft = await here.context.database.read(drafts.find, visitor.principal, draft_id)
    return await _page(request, here, visitor, draft, {})


@router.post("/{draft_id}/try")
async def try_out(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> Response:
    """Explore or rehearse a draft."""
    entries = await entries_of(request, visitor)
    draft = await here.context.database.read(drafts.find, visitor.principal, draft_id)
    variables = variables_of(draft.content)
    given = read_input(variables, entries)
    mode = "rehearse" if entries.text("mode") == "rehearse" else "explore"
    try:
        if mode == "explore":
            found = await analysis.explore(here.context, visitor.principal, draft)
        else:
            found = await analysis.rehearse(here.context, visitor.principal, draft, {"input": given})
        if found.row.result is None:
            await here.context.jobs.ended(found.row.id, patience=_PATIENCE)
            found = await here.context.database.read(simulations.show, visitor.principal, found.row.id)
    except InputInvalid as error:
        return await _page(request, here, visitor, draft, given, error=error)
    surroundings, _ = await around(here, draft)
    graph = sketch_of(draft.content, visitor.wording.say, surroundings.named)
    titles = {node.id: node.title for node in graph.nodes}
    path = ((found.row.result or {}).get("execution_path") or ())[:MOST_SHOWN]
    steps = await here.context.database.read(steps_of, path, visitor.wording)
    trial = trial_of(mode, found.row.result, variables, titles, visitor.wording, steps=steps)
    return await _page(request, here, visitor, draft, given, trial=trial)


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    draft: Draft,
    given: dict[str, object],
    *,
    trial: Trial | None = None,
    error: InputInvalid | None = None,
) -> HTMLResponse:
    fields = fields_of(variables_of(draft.content), given, visitor.wording)
    return shown(
        request,
        "editor/try.html",
        status=200 if error is None else 422,
        section="drafts",
        badge=await badge_of(here, visitor),
        draft=await headed(here, visitor, draft),
        trial=trial,
        **judged(fields, error),
    )
