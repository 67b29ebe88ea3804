"""Process templates: blueprints by name and version, from draft to published."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.calls import PersonalRoute
from api.context import Context
from api.deps import Caller, Cursor, Here, Limit, Reading
from api.identity import Principal
from api.proving import checked, compared, drafted, prove, rising
from api.routes.examples import EXPENSE_APPROVAL
from api.schemas.common import Listed
from api.schemas.templates import CheckView, DiffView, TemplateView, TemplateWhole
from api.seeing import seen_template
from placet.definition.diff import baseline, export_bytes
from placet.definition.model import definition_schema
from placet.errors import Conflict, NotFound, NotPermitted
from placet.json_text import with_floats
from storage.queries.definitions import definitions
from storage.tables.approvals import DefinitionVersion

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)

BlueprintBody = Annotated[Any, Body(openapi_examples={"expense": {"value": EXPENSE_APPROVAL}})]


@router.post("/", status_code=201)
async def create_template(context: Here, caller: Caller, body: BlueprintBody) -> TemplateView:
    """Store a blueprint as a draft; the same blueprint again is the same draft. Designers and admins can."""
    return TemplateView.of(await _draft(context, caller, body))


@router.post("/import_blueprint/", status_code=201)
async def import_blueprint(context: Here, caller: Caller, body: BlueprintBody) -> TemplateView:
    """Store an exported blueprint as a draft. Designers and admins can."""
    return TemplateView.of(await _draft(context, caller, body))


@router.post("/check/")
async def check_blueprint(context: Here, caller: Caller, body: BlueprintBody) -> CheckView:
    """Prove a blueprint sound, or show what is wrong with it and with which input; nothing is stored."""
    report = await checked(context, with_floats(body), by=caller.person)
    return CheckView.model_validate(report.described())


@router.get("/")
async def list_templates(  # noqa: PLR0917 - called by keyword, with what its query may hold
    session: Reading,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    name: Annotated[str | None, Query(max_length=200)] = None,
    status: Literal["draft", "published", "deprecated"] | None = None,
) -> Listed[TemplateView]:
    """List versions by name; drafts to whoever wrote or owns them, to designers, auditors and admins."""
    drafts_of = None if caller.designs else caller.names
    page = await definitions.page(session, limit=limit, cursor=cursor, name=name, status=status, drafts_of=drafts_of)
    return Listed(items=[TemplateView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/schema/")
async def read_schema() -> dict[str, Any]:
    """Show the JSON Schema of a blueprint, as editors use it."""
    return definition_schema()


@router.get("/{template_id}/")
async def read_template(session: Reading, caller: Caller, template_id: str) -> TemplateWhole:
    """Show one version with its blueprint."""
    return TemplateWhole.of(await seen_template(session, caller, template_id))


@router.get("/{template_id}/export/", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def export_blueprint(session: Reading, caller: Caller, template_id: str) -> Response:
    """Return the blueprint in canonical form (RFC 8785): the same bytes every time."""
    row = await seen_template(session, caller, template_id)
    return Response(export_bytes(row.blueprint), media_type="application/json")


@router.get("/{template_id}/diff/")
async def diff_templates(
    context: Here, caller: Caller, template_id: str, against: Annotated[str | None, Query(max_length=200)] = None
) -> DiffView:
    """Say what a version changes since another one (by id; else the release before it), in words and as JSON Patch."""
    async with context.database.session() as session:
        row = await seen_template(session, caller, template_id)
        before = await seen_template(session, caller, against) if against else await _before(session, row)
    if before is None:
        raise NotFound("Nothing has been published before this version; name another one with `against`.")
    change = await compared(context, before.blueprint, row.blueprint, by=caller.person)
    return DiffView.of(before, row, change)


@router.put("/{template_id}/")
async def put_template(context: Here, caller: Caller, template_id: str, body: BlueprintBody) -> TemplateView:
    """Give a draft other content; what is published no longer changes. Designers and admins can."""
    written = await _written(context, caller, body)
    async with context.database.begin() as session:
        return TemplateView.of(await definitions.replace_draft(session, template_id, written))


@router.post("/{template_id}/publish/")
async def publish_template(context: Here, caller: Caller, template_id: str) -> TemplateView:
    """Publish a draft: requests can begin with it, and it no longer changes. Designers and admins can.

    Where PLACET_PUBLISH_NEEDS_TWO says so, it is somebody else than who wrote it. The version has to rise by as much
    as the content changed since the release before it.
    """
    now = datetime.now(UTC)
    async with context.database.session() as session:
        row = await definitions.get(session, template_id)
        before = await _before(session, row)
    certificate = None
    if row.status == "draft":
        if context.publish_needs_two and row.created_by == caller.person:
            raise NotPermitted(f"user:{caller.person} wrote this; somebody else has to publish it.")
        certificate = await prove(context, row.blueprint, by=caller.person)
        if before is not None:
            await rising(context, before.blueprint, row.blueprint, by=caller.person)
    async with context.database.begin() as session:
        return TemplateView.of(
            await definitions.publish(
                session, template_id, digest=row.digest, by=caller.person, now=now, certificate=certificate
            )
        )


@router.post("/{template_id}/deprecate/")
async def deprecate_template(context: Here, template_id: str) -> TemplateView:
    """Take a version out of use; requests that began with it keep it. Designers and admins can."""
    async with context.database.begin() as session:
        return TemplateView.of(await definitions.deprecate(session, template_id))


async def _before(session: AsyncSession, row: DefinitionVersion) -> DefinitionVersion | None:
    """Return the release that a version follows, if there is one."""
    released = await definitions.released(session, row.name)
    version = baseline(row.version, released)
    return None if version is None else await definitions.get(session, released[version])


async def _draft(context: Context, caller: Principal, raw: object) -> DefinitionVersion:
    row = await _written(context, caller, raw)
    async with context.database.begin() as session:
        try:
            there = await definitions.find(session, row.name, row.version)
        except NotFound:
            return await definitions.insert(session, row)
    if there.digest != row.digest:
        raise Conflict(
            f"{there.name!r} has a version {there.version} already, with other content; give this one a higher version."
        )
    return there


async def _written(context: Context, caller: Principal, raw: object) -> DefinitionVersion:
    """Return what was sent as a draft of the caller's, not yet stored."""
    now = datetime.now(UTC)
    blueprint, document, digest = await drafted(context, with_floats(raw), now, by=caller.person)
    return DefinitionVersion(
        id=uuid.uuid4().hex,
        name=blueprint.name,
        version=blueprint.version,
        template_type=blueprint.template_type,
        status="draft",
        owner=blueprint.owner,
        digest=digest,
        blueprint=document,
        graph_spec=document.get("graph_spec"),
        created_by=caller.person,
        created_at=now,
    )
