"""Canaries: a new version is given a share of the requests of its process, and promoted or reverted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.canaries import CanaryBody, CanaryView, CanaryWhole, EndBody, Status
from api.schemas.common import Listed
from service.canaries import reading
from service.canaries.beginning import begin_canary
from service.canaries.ending import promote_canary, revert_canary

router = APIRouter(prefix="/workflow/workflow-canaries", tags=["canaries"], route_class=PersonalRoute)


@router.post("/", status_code=201)
async def begin_a_canary(context: Here, caller: Caller, call: ThisCall, body: CanaryBody) -> CanaryWhole:
    """Give a new version a share of the new requests; a draft is published with it. For designers and admins."""
    return CanaryWhole.of(await begin_canary(context, caller, body.terms(), canary_id=call.subject))


@router.get("/")
async def list_canaries(  # noqa: PLR0917 - FastAPI passes them by name
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    template: Annotated[str | None, Query(max_length=200)] = None,
    status: Status | None = None,
) -> Listed[CanaryView]:
    """List canaries, newest first: designers, auditors and admins see all, others those of their own processes."""
    equal = {"template": template, "status": status}
    page = await context.database.read(reading.list_, caller, limit=limit, cursor=cursor, equal=equal)
    return Listed(items=[CanaryView.of(found) for found in page.items], next_cursor=page.next_cursor)


@router.get("/{canary_id}/")
async def read_canary(context: Here, caller: Caller, canary_id: str) -> CanaryWhole:
    """Show a canary with its counts, and the intervals of each measure and of the differences."""
    return CanaryWhole.of(await context.database.read(reading.show, caller, canary_id))


@router.post("/{canary_id}/promote/")
async def promote_a_canary(context: Here, caller: Caller, canary_id: str, body: EndBody | None = None) -> CanaryWhole:
    """End a canary with its new version. For designers, admins and the owner of the process."""
    notes = None if body is None else body.notes
    return CanaryWhole.of(await promote_canary(context, caller, canary_id, notes=notes))


@router.post("/{canary_id}/revert/")
async def revert_a_canary(context: Here, caller: Caller, canary_id: str, body: EndBody | None = None) -> CanaryWhole:
    """End a canary with the old version; the new one is out of use. For designers, admins and the process's owner."""
    notes = None if body is None else body.notes
    return CanaryWhole.of(await revert_canary(context, caller, canary_id, notes=notes))
