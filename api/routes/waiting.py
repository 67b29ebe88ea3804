"""Waiting: what a request waits for, why it is stuck, and why somebody is asked or not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.schemas.waiting import WaitingView, WhyView
from placet.definition.assignees import person_id
from service.documents import PersonRef
from service.waiting.waiting import waiting_for
from service.waiting.why import why

router = APIRouter(prefix="/workflow/requests", tags=["requests"], route_class=PersonalRoute)


@router.get("/{request_id}/waiting/")
async def read_waiting(context: Here, caller: Caller, request_id: str) -> WaitingView:
    """Show what a request waits for, what the engine does next by itself, and why it is stuck."""
    return WaitingView.of(await waiting_for(context, caller, request_id))


@router.get("/{request_id}/why/")
async def read_why(
    context: Here,
    caller: Caller,
    request_id: str,
    person: Annotated[
        PersonRef | None, Query(description="Whom the question is about; the caller, where it is left out.")
    ] = None,
) -> WhyView:
    """Show why a person is asked at each open stage of a request, or is not.

    One's own reasons are for everybody who sees the request, those of others for the process owner, auditors and
    admins.
    """
    whom = caller.person if person is None else person_id(person)
    return WhyView.of(await why(context, caller, request_id, whom))
