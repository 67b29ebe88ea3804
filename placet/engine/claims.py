"""Claims: an approved action is claimed once, for exactly the action that was approved, before it expires.

The request has ended for people as soon as it is approved. It stays open in the engine until its action is claimed or
can no longer be, so that of several claims at once exactly one comes first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from placet.audit.reasons import Reason
from placet.audit.sealed import Sealed
from placet.engine.events import Actor, ClaimAction
from placet.engine.run import Run
from placet.engine.state import ActionClaim, ClaimStatus
from placet.errors import ClaimFailure, ClaimRefused, NotPermitted

# Claims of another action than the approved one that are put on record; whoever sends more has been noticed.
MOST_CLAIMS_REFUSED = 20


def claim_action(run: Run, event: ClaimAction) -> None:
    """Claim the approved action of a request; raises NotPermitted, and ClaimRefused with which condition failed.

    The claim of another action while the approved one waits is put on record, and changes nothing.
    """
    state = run.state
    _require_claimant(run, event.by)
    action, claim = state.action, state.claim
    failure = claim_failure(
        digest=action.digest if action is not None else None,
        expires_at=action.expires_at if action is not None else None,
        status=claim.status if claim is not None else None,
        claimed=event.digest,
        now=run.now,
    )
    if claim is not None and failure == "digest_mismatch" and state.claimable and claim.refused < MOST_CLAIMS_REFUSED:
        run.set(claim=replace(claim, refused=claim.refused + 1))
        run.record("claim_refused", actor=event.by.name, failure=failure, action_digest=Sealed(event.digest[:64]))
        return
    if failure is not None:
        raise ClaimRefused(failure)
    assert action is not None and claim is not None  # noqa: S101, PT018 - nothing fails without either
    run.set(claim=replace(claim, status="claimed", by=event.by.person, at=run.now, key=event.key))
    run.record("claimed", actor=event.by.name, action_digest=Sealed(action.digest), before="open", after="claimed")


def claim_failure(
    *, digest: str | None, expires_at: datetime | None, status: ClaimStatus | None, claimed: str, now: datetime
) -> ClaimFailure | None:
    """Return the condition for which the claim of an action is refused now; None where there is none.

    `digest`, `expires_at` and `status` are those of the request's action and its claim; without a status, the request
    is not approved. `claimed` is the digest of the action that is claimed.
    """
    if digest is None:  # nobody asked for an action
        return "digest_mismatch"
    if status is None:
        return "not_approved"
    if claimed != digest:
        return "digest_mismatch"
    if status == "claimed":
        return "already_claimed"
    if status == "expired" or (expires_at is not None and expires_at <= now):
        return "expired"
    return None


def expire(run: Run, why: Reason | None = None) -> None:
    """End the time in which the approved action could be claimed."""
    claim = run.state.claim or ActionClaim()
    run.set(claim=replace(claim, status="expired"))
    action = run.state.action
    run.record(
        "claim_expired", why=why, due=action.expires_at if action is not None else None, before="open", after="expired"
    )


def claim_ends(run: Run) -> bool:
    """Say whether the time in which the approved action can be claimed is over by now."""
    action = run.state.action
    return run.state.claimable and action is not None and action.expires_at <= run.now


def _require_claimant(run: Run, by: Actor) -> None:
    """Raise NotPermitted for whoever is neither the requester nor who entered the request for them."""
    if by.person not in {run.state.requester, run.state.started_by}:
        raise NotPermitted("Only the requester, or the service that asked for them, can claim the action.")
