"""Claims of the actions that requests were approved for."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Here, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.claims import ClaimedView, NewClaim
from api.schemas.common import shown
from service.claims import claim_action

router = APIRouter(prefix="/workflow/requests", tags=["requests"], route_class=PersonalRoute)


@router.post("/{request_id}/claim/")
async def claim(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewClaim) -> ClaimedView:
    """Claim the action that the request was approved for. It succeeds once, before the action expires.

    For the requester, or the service that asked for them. Otherwise 409 with `reason`: `not_approved`,
    `digest_mismatch`, `expired` or `already_claimed`.
    """
    claimed = await claim_action(context, caller, request_id, body.action.bound, key=call.key)
    return ClaimedView(
        request_id=claimed.request_id,
        action_digest=claimed.action_digest,
        claimed_by=shown(claimed.by) or "",
        claimed_at=claimed.at,
    )
