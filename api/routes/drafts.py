"""Drafts of blueprints: what several people write together until it is published as a version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.bpmn import LeftView
from api.schemas.common import Listed
from api.schemas.drafts import (
    ActView,
    AnalysisView,
    DraftBody,
    DraftImportBody,
    DraftImportView,
    DraftView,
    DraftWhole,
    PublishedView,
    SaveBody,
    SavedView,
    SeenBody,
)
from api.schemas.simulations import SimulationView
from api.schemas.templates import TemplateView
from placet.errors import InputInvalid
from placet.json_text import with_floats
from service.drafts import analysis, drafts
from service.drafts.draft import Status
from service.drafts.exchange import Source, export, import_

router = APIRouter(prefix="/workflow/blueprint-drafts", tags=["blueprint drafts"], route_class=PersonalRoute)

OptionsBody = Annotated[
    dict[str, Any] | None,
    Body(
        description="More of a simulation's spec, such as `input` and `script`.",
        openapi_examples={"one amount": {"value": {"input": {"amount": "900.00"}}}},
    ),
]


@router.post("/", status_code=201)
async def create_draft(context: Here, caller: Caller, call: ThisCall, body: DraftBody) -> DraftWhole:
    """Begin a draft with a version's blueprint, or with a JSON object. For designers and admins."""
    based_on = None if body.based_on is None else (body.based_on.process, body.based_on.version)
    content = with_floats(body.content)
    made = await drafts.create(context, caller, based_on=based_on, content=content, draft_id=call.subject)
    return DraftWhole.of(made)


@router.post("/import/", status_code=201)
async def import_draft(context: Here, caller: Caller, call: ThisCall, body: DraftImportBody) -> DraftImportView:
    """Import a blueprint, a BPMN or a DMN file as a draft, or into one. For designers and admins."""
    into = None
    if body.draft_id is not None:
        if body.revision is None:
            raise InputInvalid.at("/revision", "send the revision of the draft that you read")
        into = (body.draft_id, body.revision)
    source = Source(
        blueprint=body.blueprint,
        bpmn=body.bpmn,
        dmn=tuple(body.dmn),
        decision=body.decision,
        name=body.name,
        version=body.version,
    )
    made = await import_(context, caller, source, into=into, draft_id=call.subject)
    left = [LeftView.model_construct(**asdict(one), message=one.says) for one in made.left]
    return DraftImportView(draft=DraftWhole.of(made.draft), left=left)


@router.get("/")
async def list_drafts(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    process: Annotated[str | None, Query(max_length=200)] = None,
    status: Status | None = None,
) -> Listed[DraftView]:
    """List drafts, those that were changed last first. For designers, auditors and admins."""
    wanted = None if status is None else {status}
    page = await context.database.read(drafts.list_, caller, limit=limit, cursor=cursor, process=process, status=wanted)
    return Listed(items=[DraftView.of(draft) for draft in page.items], next_cursor=page.next_cursor)


@router.get("/{draft_id}/")
async def read_draft(context: Here, caller: Caller, draft_id: str) -> DraftWhole:
    """Show a draft with its content and its revision."""
    return DraftWhole.of(await context.database.read(drafts.find, caller, draft_id))


@router.put("/{draft_id}/")
async def save_draft(context: Here, caller: Caller, draft_id: str, body: SaveBody) -> SavedView:
    """Save a draft. What others have saved since `revision` is merged with it where that is safe, and told.

    Where both changed the same places, the answer is 409 `draft_changed`: it has what is stored, what others changed,
    the conflicts, and both people's changes together. For designers and admins.
    """
    saved = await drafts.save(
        context,
        caller,
        draft_id,
        revision=body.revision,
        content=with_floats(body.content),
        patch=with_floats(body.patch),
    )
    return SavedView.of_saved(saved)


@router.get("/{draft_id}/analysis/")
async def analyse_draft(context: Here, caller: Caller, draft_id: str) -> AnalysisView:
    """Prove a draft, list its faults with inputs that show them, and compare it with the release before it."""
    draft = await context.database.read(drafts.find, caller, draft_id)
    return AnalysisView.of(await analysis.analyse(context, caller, draft))


@router.get("/{draft_id}/acts/")
async def list_acts(
    context: Here, caller: Caller, draft_id: str, limit: Limit = 50, cursor: Cursor = None
) -> Listed[ActView]:
    """List what was done to a draft, by whom and when, the first act first."""
    page = await context.database.read(drafts.acts, caller, draft_id, limit=limit, cursor=cursor)
    return Listed(items=[ActView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{draft_id}/export/", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def export_draft(context: Here, caller: Caller, draft_id: str) -> Response:
    """Return a draft's content as canonical JSON (RFC 8785)."""
    draft = await context.database.read(drafts.find, caller, draft_id)
    return Response(export(draft), media_type="application/json")


@router.post("/{draft_id}/explore/", status_code=201)
async def explore_draft(
    context: Here, caller: Caller, call: ThisCall, draft_id: str, body: OptionsBody = None
) -> SimulationView:
    """Explore a draft: a simulation of its content. For designers and admins."""
    draft = await context.database.read(drafts.find, caller, draft_id)
    return SimulationView.of(await analysis.explore(context, caller, draft, body, simulation_id=call.subject))


@router.post("/{draft_id}/rehearse/", status_code=201)
async def rehearse_draft(
    context: Here, caller: Caller, call: ThisCall, draft_id: str, body: OptionsBody = None
) -> SimulationView:
    """Rehearse a draft on the engine; the answer may come while it runs. For designers and admins."""
    draft = await context.database.read(drafts.find, caller, draft_id)
    return SimulationView.of(await analysis.rehearse(context, caller, draft, body, simulation_id=call.subject))


@router.post("/{draft_id}/submit/")
async def submit_draft(context: Here, caller: Caller, draft_id: str, body: SeenBody | None = None) -> DraftView:
    """Submit a draft for publication; it rests until it is published or reopened. For designers and admins."""
    revision = None if body is None else body.revision
    return DraftView.of(await drafts.submit(context, caller, draft_id, revision=revision))


@router.post("/{draft_id}/publish/")
async def publish_draft(context: Here, caller: Caller, draft_id: str, body: SeenBody | None = None) -> PublishedView:
    """Publish a draft as a version, with all that holds for publishing one. For designers and admins.

    With PLACET_PUBLISH_NEEDS_TWO, it has to be submitted, and somebody who has saved none of it publishes it.
    """
    draft, row = await drafts.publish(context, caller, draft_id, revision=None if body is None else body.revision)
    return PublishedView(draft=DraftView.of(draft), template=TemplateView.of(row))


@router.post("/{draft_id}/reopen/")
async def reopen_draft(context: Here, caller: Caller, draft_id: str) -> DraftView:
    """Take a submitted draft back, so that it can be changed. For designers and admins."""
    return DraftView.of(await drafts.reopen(context, caller, draft_id))


@router.post("/{draft_id}/discard/")
async def discard_draft(context: Here, caller: Caller, draft_id: str) -> DraftView:
    """Discard a draft that is not published; it can still be read. For designers and admins."""
    return DraftView.of(await drafts.discard(context, caller, draft_id))
