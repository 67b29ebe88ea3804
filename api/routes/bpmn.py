"""BPMN 2.0 files: imported as drafts, with a list of what did not map."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from fastapi import APIRouter, Response

from api.calls import PersonalRoute
from api.deps import Caller, Here
from api.routes.templates import create_template
from api.schemas.bpmn import BpmnBody, BpmnView, LeftView
from placet.bpmn import import_bpmn
from storage import actions, templates

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)


@router.post("/import_bpmn/", status_code=201)
async def import_bpmn_file(context: Here, caller: Caller, body: BpmnBody, response: Response) -> BpmnView:
    """Store the main process of a BPMN file as a draft; a dry run answers 200. Designers and admins can."""
    async with context.database.session() as session:
        catalog = await actions.specs(session)
        processes = await templates.published_names(session)
    reading = partial(
        import_bpmn,
        body.bpmn.encode(),
        name=body.name,
        version=body.version,
        actions=catalog,
        processes=processes,
    )
    imported = await context.pool.run(reading, by=caller.person)
    template = None
    if body.dry_run:
        response.status_code = 200
    else:
        template = await create_template(context, caller, imported.blueprint)
    return BpmnView(
        template=template,
        blueprint=imported.blueprint,
        left=[LeftView.model_construct(**asdict(left)) for left in imported.left],
    )
