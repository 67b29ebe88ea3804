"""Claim the approved action of a request: once, by the requester or the service that asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Connection

from placet.engine.bound_action import BoundAction
from placet.engine.claims import claim_failure
from placet.engine.events import ClaimAction
from placet.engine.state import ClaimStatus
from placet.errors import ClaimRefused, Ended, Gone, NotPermitted
from service.context import Context
from service.engine import client as engine
from service.principal import Principal
from service.visibility import see_request
from storage.queries.requests import requests
from storage.queries.requests.requests import RequestRow
from storage.recording.outbox import Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The claim of an action, `by` a person's id."""

    request_id: str
    action_digest: str
    by: str
    at: datetime


async def claim_action(
    context: Context, principal: Principal, request_id: str, action: BoundAction, *, key: str
) -> Claimed:
    """Claim the action of a request; the same event under the same key has the same answer.

    Raises NotFound, NotPermitted, ClaimRefused with which condition failed, Busy, and Unavailable.
    """
    await context.database.read(_require_claimant, principal, request_id, context.now())
    event = ClaimAction(by=principal.actor, digest=action.digest, key=key)
    try:
        async with context.admission.turn(principal.person, request_id):
            answer = await engine.command(context, request_id, event, key=key)
    except Gone:  # it was claimed or has expired, or was never approved: the store says which
        pass
    else:
        context.confirmations.note(Confirmation(request_id=request_id, seq=answer.seq, head=answer.head))
    stored = (await context.database.look_up(requests.read, request_id)).request
    if stored.claim_key == key and stored.claimed_by is not None and stored.claimed_at is not None:
        return Claimed(
            request_id=request_id,
            action_digest=stored.action_digest or action.digest,
            by=stored.claimed_by,
            at=stored.claimed_at,
        )
    raise _refusal(stored, action, context.now())


def _require_claimant(connection: Connection, principal: Principal, request_id: str, now: datetime) -> None:
    stored = see_request(connection, principal, request_id, now).request
    if principal.person not in {stored.requester, stored.started_by}:
        raise NotPermitted("Only the requester, or the service that asked for them, can claim the action.")


def _refusal(stored: RequestRow, action: BoundAction, now: datetime) -> ClaimRefused | Ended:
    """Return why a request whose action was not claimed here refuses it, as the store has the request."""
    failure = claim_failure(
        digest=stored.action_digest,
        expires_at=datetime.fromisoformat(stored.action["expires_at"]) if stored.action is not None else None,
        status=cast(ClaimStatus | None, stored.claim_status),
        claimed=action.digest,
        now=now,
    )
    if failure is not None:
        return ClaimRefused(failure)
    return Ended("The engine no longer runs this request: it was terminated there, or its history is gone.")
