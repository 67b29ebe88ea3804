"""What a model is told: how a request stands, in words that cannot be taken for one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from placet.client import (
    ActionExpired,
    AlreadyClaimed,
    Claim,
    ClaimRefused,
    DigestMismatch,
    NotApproved,
    Problem,
    Request,
    Waiting,
)

Standing = Literal[
    "pending",
    "changes_requested",
    "approved",
    "claimed",
    "denied",
    "expired",
    "withdrawn",
    "cancelled",
    "failed",
    "ended",
]
"""How a request stands. Only `approved` can be claimed, and only the answer to a claim permits the action."""

_SAYS: Mapping[Standing, str] = {
    "pending": "PENDING. Nobody has decided yet: this is neither an approval nor a denial. Do not carry the action "
    "out. The request waits durably; call wait_for_approval with this request_id, now or later.",
    "changes_requested": "CHANGES REQUESTED. An approver wants the request changed; it is not approved and goes on "
    "once its requester resubmits it. Do not carry the action out. Tell your user what was asked for.",
    "approved": "APPROVED. Before you carry the action out, call claim_action with exactly the same action; it "
    "succeeds once. Do not carry it out without that claim.",
    "claimed": "CLAIMED BEFORE. It was approved, and the approval was used. Do not carry the action out again.",
    "denied": "DENIED. People have decided against it. Do not carry the action out, and do not ask for the same again "
    "in other words.",
    "expired": "EXPIRED. Nobody decided in time, or the time of the action is over. This is not a denial, and not an "
    "approval. Do not carry the action out; a new request may be made if it is still wanted.",
    "withdrawn": "WITHDRAWN. The requester took it back. Nobody has denied it; do not carry the action out.",
    "cancelled": "CANCELLED. An owner or an administrator ended it. Do not carry the action out.",
    "failed": "FAILED. The process could not be carried out. Nobody has denied it; do not carry the action out.",
    "ended": "ENDED OTHERWISE. The process ended as {outcome!r}, which is no approval. Do not carry the action out.",
}
_OUTCOMES: Mapping[str, Standing] = {
    "approved": "approved",
    "rejected": "denied",
    "expired": "expired",
    "withdrawn": "withdrawn",
    "cancelled": "cancelled",
}
_REFUSED: Mapping[type[ClaimRefused], str] = {
    NotApproved: "CLAIM REFUSED: the request is not approved. Do not carry the action out; call wait_for_approval.",
    DigestMismatch: "CLAIM REFUSED: people approved another action than this one. Do not carry this one out. Claim "
    "exactly what was approved, or ask for approval of what you want to do instead.",
    ActionExpired: "CLAIM REFUSED: the time to claim the action is over. Do not carry it out; ask again.",
    AlreadyClaimed: "CLAIM REFUSED: the approval was used before, and holds once. Do not carry the action out again.",
}

assert set(_SAYS) == set(get_args(Standing))  # noqa: S101 - each standing has its words


def standing(request: Request) -> Standing:
    """Return how a request stands."""
    if request.status == "pending":
        return "changes_requested" if request.returned else "pending"
    if request.status == "failed":
        return "failed"
    found = _OUTCOMES.get(request.outcome or request.status, "ended")
    if found == "approved" and request.claim is not None and request.claim.status != "open":
        return "claimed" if request.claim.status == "claimed" else "expired"
    return found


def says(request: Request, stood: Standing | None = None) -> str:
    """Return what a model is told about a request, as it stands or as it `stood`."""
    head = f"Request {request.id} ({request.title!r}, process {request.template!r}): "
    told = head + _SAYS[stood or standing(request)].format(outcome=request.outcome)
    words = [task.comment for task in request.tasks if task.comment]
    # What people write is quoted, so that a model does not take it for a text of Placet.
    return told + "".join(f"\nA person wrote: {comment!r}" for comment in words[-5:])


def claimed(claim: Claim) -> str:
    """Return what a model is told when its claim succeeded."""
    return (
        f"CLAIMED. The approval of request {claim.request_id} is yours now, for exactly this action (digest "
        f"{claim.action_digest}). Carry it out once, and now; a second claim is refused."
    )


def refused(error: Problem) -> str:
    """Return what a model is told about a call that was refused."""
    if isinstance(error, ClaimRefused):
        return _REFUSED.get(type(error), f"CLAIM REFUSED: {error.message} Do not carry the action out.")
    places = "".join(f"\n{fault.pointer or '/'}: {fault.message}" for fault in error.problems)
    return f"REFUSED ({error.status}): {error.message}{places}"


def waits(found: Waiting) -> str:
    """Return what a request waits for, and what keeps it."""
    lines = [
        f"- {one.kind} at {one.stage or one.name or one.node}: "
        f"{', '.join(one.people) or one.queue or 'nobody in particular'}"
        f"{f', until {one.until.isoformat()}' if one.until else ''}"
        for one in found.waits_for
    ]
    lines += [f"- {finding.says} {finding.do}" for finding in found.findings]
    return "It waits for:\n" + "\n".join(lines) if lines else "It waits for nothing."
