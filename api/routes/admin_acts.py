"""Administrative acts: what was changed outside of requests, by whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import At, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.schemas.admin_acts import AdminActView
from api.schemas.common import Listed
from storage.recording import admin_acts
from storage.recording.admin_acts import Chosen

router = APIRouter(prefix="/workflow/admin-acts", tags=["administration"], route_class=PersonalRoute)


@router.get("/")
async def list_admin_acts(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Annotated[str | None, Query(max_length=200, description="`user:ID`, or `operator`.")] = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    since: At = None,
    until: At = None,
) -> Listed[AdminActView]:
    """List administrative acts, newest first; `until` is no part of the period. For auditors and admins.

    The acts are one hash chain, which `placet verify` recomputes.
    """
    chosen = Chosen(actor=actor, kind=kind, since=since, until=until)
    page = await context.database.read(admin_acts.page, limit=limit, cursor=cursor, chosen=chosen)
    return Listed(items=[AdminActView.of(row) for row in page.items], next_cursor=page.next_cursor)
