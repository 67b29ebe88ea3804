"""Process templates: blueprints by name and version, from draft to published."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response

from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.routes.examples import EXPENSE_APPROVAL
from api.schemas.common import Listed
from api.schemas.templates import CheckView, DiffView, TemplateView, TemplateWhole
from placet.definition.diff import export_bytes
from placet.definition.model import definition_schema
from placet.json_text import with_floats
from service.definitions import (
    check_definition,
    compare_definitions,
    deprecate_definition,
    draft_definition,
    publish_definition,
    replace_draft,
)
from service.visibility import drafts_of, seen_definition
from storage.queries.definitions import definitions

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)

BlueprintBody = Annotated[Any, Body(openapi_examples={"expense": {"value": EXPENSE_APPROVAL}})]


@router.post("/", status_code=201)
async def create_template(context: Here, caller: Caller, body: BlueprintBody) -> TemplateView:
    """Store a blueprint as a draft. The same blueprint again gives the same draft. For designers and admins."""
    return TemplateView.of(await draft_definition(context, caller, with_floats(body)))


@router.post("/import_blueprint/", status_code=201)
async def import_blueprint(context: Here, caller: Caller, body: BlueprintBody) -> TemplateView:
    """Store an exported blueprint as a draft. For designers and admins."""
    return TemplateView.of(await draft_definition(context, caller, with_floats(body)))


@router.post("/check/")
async def check_blueprint(context: Here, caller: Caller, body: BlueprintBody) -> CheckView:
    """Prove that a blueprint is sound, or list its faults with inputs that show them. Nothing is stored."""
    report = await check_definition(context, with_floats(body), by=caller.person)
    return CheckView.model_validate(report.described())


@router.get("/")
async def list_templates(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    name: Annotated[str | None, Query(max_length=200)] = None,
    status: Literal["draft", "published", "deprecated"] | None = None,
) -> Listed[TemplateView]:
    """List versions by name. Drafts are shown to their author and owner, designers, auditors and admins."""
    page = await context.database.read(
        definitions.page, limit=limit, cursor=cursor, name=name, status=status, drafts_of=drafts_of(caller)
    )
    return Listed(items=[TemplateView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/schema/")
async def read_schema() -> dict[str, Any]:
    """Show the JSON Schema of blueprints, for editors."""
    return definition_schema()


@router.get("/{template_id}/")
async def read_template(context: Here, caller: Caller, template_id: str) -> TemplateWhole:
    """Show one version with its blueprint."""
    return TemplateWhole.of(await context.database.read(seen_definition, caller, template_id))


@router.get("/{template_id}/export/", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def export_blueprint(context: Here, caller: Caller, template_id: str) -> Response:
    """Return the blueprint as canonical JSON (RFC 8785): always the same bytes."""
    row = await context.database.read(seen_definition, caller, template_id)
    return Response(export_bytes(row.blueprint), media_type="application/json")


@router.get("/{template_id}/diff/")
async def diff_templates(
    context: Here, caller: Caller, template_id: str, against: Annotated[str | None, Query(max_length=200)] = None
) -> DiffView:
    """Compare a version with another one (by id; by default the previous release), in words and as JSON Patch."""
    return DiffView.of(*await compare_definitions(context, caller, template_id, against))


@router.put("/{template_id}/")
async def put_template(context: Here, caller: Caller, template_id: str, body: BlueprintBody) -> TemplateView:
    """Change a draft; published versions cannot change. For designers and admins."""
    return TemplateView.of(await replace_draft(context, caller, template_id, with_floats(body)))


@router.post("/{template_id}/publish/")
async def publish_template(context: Here, caller: Caller, template_id: str) -> TemplateView:
    """Publish a draft: requests can start with it, and it cannot change any more. For designers and admins.

    With PLACET_PUBLISH_NEEDS_TWO, another person than the author has to publish it. The version number has to rise by
    at least the level of the changes since the previous release.
    """
    return TemplateView.of(await publish_definition(context, caller, template_id))


@router.post("/{template_id}/deprecate/")
async def deprecate_template(context: Here, caller: Caller, template_id: str) -> TemplateView:
    """Deprecate a version; its running requests keep it. For designers and admins."""
    return TemplateView.of(await deprecate_definition(context, caller, template_id))
