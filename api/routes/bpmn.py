"""BPMN and DMN import: a file becomes a draft, with a list of how each element was mapped."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.bpmn import BpmnBody, DmnBody, ImportView, LeftView
from api.schemas.templates import TemplateView
from placet.definition.bpmn import Imported
from placet.json_text import with_floats
from service.definitions import draft_definition, read_bpmn, read_dmn

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)
_DRY_RUN: dict[int | str, dict[str, Any]] = {200: {"model": ImportView, "description": "A dry run; nothing is stored."}}


@router.post("/import_bpmn/", status_code=201, responses=_DRY_RUN)
async def import_bpmn_file(context: Here, caller: Caller, body: BpmnBody, response: Response) -> ImportView:
    """Import the main process of a BPMN file as a draft. A dry run answers 200. For designers and admins."""
    imported = await read_bpmn(context, caller, body.bpmn, dmn=body.dmn, name=body.name, version=body.version)
    return await _stored(context, caller, imported, response, dry_run=body.dry_run)


@router.post("/import_dmn/", status_code=201, responses=_DRY_RUN)
async def import_dmn_file(context: Here, caller: Caller, body: DmnBody, response: Response) -> ImportView:
    """Import a decision of a DMN file as a draft. A dry run answers 200. For designers and admins."""
    imported = await read_dmn(context, caller, body.dmn, decision=body.decision, name=body.name, version=body.version)
    return await _stored(context, caller, imported, response, dry_run=body.dry_run)


async def _stored(
    context: Here, caller: Caller, imported: Imported, response: Response, *, dry_run: bool
) -> ImportView:
    template = None
    if dry_run:
        response.status_code = 200
    else:
        template = TemplateView.of(await draft_definition(context, caller, with_floats(imported.blueprint)))
    return ImportView(
        template=template,
        blueprint=imported.blueprint,
        left=[LeftView.model_construct(**asdict(left), message=left.says) for left in imported.left],
    )
