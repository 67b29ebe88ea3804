"""Watching requests."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.conversation import WatchView
from api.schemas.requests import Nothing
from service import watching

router = APIRouter(prefix="/workflow/requests/{request_id}/watch", tags=["requests"], route_class=PersonalRoute)


@router.post("/")
async def watch(
    context: Here,
    caller: Caller,
    request_id: str,
    body: Nothing | None = None,  # noqa: ARG001 - an empty object may be sent
) -> WatchView:
    """Watch a request that the caller may see: it is listed with `watched=true`, and its end is told by mail."""
    since = await watching.watch(context, caller, request_id)
    return WatchView(request_id=request_id, watched=True, since=since)


@router.delete("/")
async def unwatch(context: Here, caller: Caller, request_id: str) -> WatchView:
    """Watch a request no longer."""
    await watching.unwatch(context, caller, request_id)
    return WatchView(request_id=request_id, watched=False, since=None)
