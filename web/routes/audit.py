"""The audit of a request: its chain, verified as the page is opened, and its entries, by kind and in pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from service.verification import verify_as_far_as_can_be
from web.audit.page import differing, read_trail
from web.routes.common import Here, badge_of, shown
from web.security import PageRoute
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)


@router.get("/requests/{request_id}/audit")
async def audit(  # noqa: PLR0917 - called by keyword, with what its query may hold
    request: Request,
    here: Here,
    visitor: SignedIn,
    request_id: Annotated[str, Path(max_length=200)],
    kind: Annotated[str, Query(max_length=60)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """Verify a request's audit chain, and show its entries."""
    trail = await here.context.database.read(
        read_trail, visitor.principal, request_id, visitor.wording, kind=kind, page=page
    )
    found = await verify_as_far_as_can_be(here.context, visitor.principal, request_id)
    return shown(
        request,
        "audit.html",
        section="requests",
        badge=await badge_of(here, visitor),
        request_id=request_id,
        trail=trail,
        found=found,
        differs=differing(found, visitor.wording),
        kind=kind,
        page=page,
    )
