"""BPMN and DMN files: imported as drafts, with a list of what became of each of their elements."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from fastapi import APIRouter, Response

from api.calls import PersonalRoute
from api.deps import Caller, Here
from api.routes.templates import create_template
from api.schemas.bpmn import BpmnBody, DmnBody, ImportView, LeftView
from placet.definition.bpmn import Imported, import_bpmn, import_dmn
from storage.queries import actions
from storage.queries.definitions import definitions

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)


@router.post("/import_bpmn/", status_code=201)
async def import_bpmn_file(context: Here, caller: Caller, body: BpmnBody, response: Response) -> ImportView:
    """Store the main process of a BPMN file as a draft; a dry run answers 200. Designers and admins can."""
    async with context.database.session() as session:
        catalog = await actions.specs(session)
        processes = await definitions.published_names(session)
    reading = partial(
        import_bpmn,
        body.bpmn.encode(),
        dmn=[text.encode() for text in body.dmn],
        name=body.name,
        version=body.version,
        actions=catalog,
        processes=processes,
    )
    imported = await context.pool.run(reading, by=caller.person)
    return await _stored(context, caller, imported, response, dry_run=body.dry_run)


@router.post("/import_dmn/", status_code=201)
async def import_dmn_file(context: Here, caller: Caller, body: DmnBody, response: Response) -> ImportView:
    """Store the decision of a DMN file as a draft; a dry run answers 200. Designers and admins can."""
    reading = partial(import_dmn, body.dmn.encode(), decision=body.decision, name=body.name, version=body.version)
    imported = await context.pool.run(reading, by=caller.person)
    return await _stored(context, caller, imported, response, dry_run=body.dry_run)


async def _stored(
    context: Here, caller: Caller, imported: Imported, response: Response, *, dry_run: bool
) -> ImportView:
    template = None
    if dry_run:
        response.status_code = 200
    else:
        template = await create_template(context, caller, imported.blueprint)
    return ImportView(
        template=template,
        blueprint=imported.blueprint,
        left=[LeftView.model_construct(**asdict(left), message=left.says) for left in imported.left],
    )
