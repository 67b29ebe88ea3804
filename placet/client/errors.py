"""The errors of the client: one tree, with the documents that led to them as attributes.

ClientError
├── Misconfigured          the address or the token of Placet is missing or cannot be used
├── Unreachable            no answer came; whether the call had an effect is unknown, and its `key` tells it apart
├── UnexpectedAnswer       what answered is no Placet API, or answers what no version of it does
├── Problem                the API refused the call and says why (RFC 9457)
│   ├── NotAuthenticated   401: no valid token
│   ├── NotPermitted       403: this caller may not do it
│   ├── NotFound           404: it does not exist, or the caller may not see it
│   ├── Conflict           409: not in the state that the request is in
│   │   └── ClaimRefused   nothing may be carried out
│   │       ├── NotApproved      the request is not approved, or no longer
│   │       ├── DigestMismatch   another action was approved than the one that was claimed
│   │       ├── ActionExpired    the action was approved, and its time is over
│   │       └── AlreadyClaimed   the approval was used before
│   ├── Invalid            422: the body or a parameter is wrong; `problems` names the places
│   ├── Busy               429: too many calls for now; nothing has happened
│   └── Unavailable        503: engine, database or worker is away, and the outcome is unknown
├── NotGranted             a request has not led to an approval; `request` is how it stands
│   ├── StillPending       nobody has decided in the time that the caller waits
│   ├── ChangesRequested   an approver wants it changed; it goes on once it is resubmitted
│   ├── Rejected           people have said no
│   ├── Expired            nobody has decided in time, and the process has ended it
│   ├── Withdrawn          whoever asked has taken it back
│   ├── Cancelled          an owner or an admin has ended it
│   ├── Failed             the process could not be carried out
│   └── EndedOtherwise     it ended with an outcome of the process's own
└── ArgumentsChanged       what would run is no longer what was claimed; it does not run
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from placet.client.documents import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a call: a JSON Pointer into what was sent, and what is wrong there."""

    pointer: str
    message: str


class ClientError(Exception):
    """The call to Placet did not succeed."""

    def __init__(self, message: str = "") -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


class Misconfigured(ClientError):
    """The address or the token of Placet is missing; set PLACET_URL and PLACET_TOKEN."""


class Unreachable(ClientError):
    """Placet did not answer; whether the call had an effect is unknown. Repeat it with the same key."""

    def __init__(self, message: str = "", *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key  # the Idempotency-Key of the call; None of a call that only reads


class UnexpectedAnswer(ClientError):
    """The answer is not one of Placet's API; check the address."""


class Problem(ClientError):
    """The API refused the call."""

    def __init__(
        self, document: Mapping[str, Any], *, status: int, retry_after: float | None = None, key: str | None = None
    ) -> None:
        title, detail = (document.get(name) for name in ("title", "detail"))
        super().__init__(str(detail or title or f"The API answered {status}."))
        self.status = status
        self.type = str(document.get("type") or "about:blank")
        self.title = str(title or "")
        self.reason = _text(document.get("reason"))  # of a 409: the code of what stands in the way
        self.problems: Sequence[Fault] = tuple(_faults(document.get("errors")))
        self.document = document  # as it was received, with its extension members
        self.retry_after = retry_after  # seconds
        self.key = key


class NotAuthenticated(Problem):
    """There is no valid token."""


class NotPermitted(Problem):
    """This caller may not do it."""


class NotFound(Problem):
    """It does not exist, or the caller may not see it."""


class Conflict(Problem):
    """The state of the request does not allow it."""


class ClaimRefused(Conflict):
    """The claim was refused; nothing may be carried out."""


class NotApproved(ClaimRefused):
    """The request is not approved."""


class DigestMismatch(ClaimRefused):
    """Another action was approved."""


class ActionExpired(ClaimRefused):
    """The time of the action is over."""


class AlreadyClaimed(ClaimRefused):
    """The approval was used before."""


class Invalid(Problem):
    """The body or a parameter is wrong."""


class Busy(Problem):
    """There are too many calls for now; nothing has happened."""


class Unavailable(Problem):
    """Engine, database or worker is away, and the outcome is unknown."""


class NotGranted(ClientError):
    """The request has not led to an approval."""

    says: ClassVar[str] = "has not led to an approval"

    def __init__(self, request: Request) -> None:
        super().__init__(f"Request {request.id} ({request.title!r}) {self.says.format(outcome=request.outcome)}.")
        self.request = request


class StillPending(NotGranted):
    """Nobody has decided in the time that the caller waits."""

    says = "still waits for a decision; it is neither approved nor rejected. Wait for it again by its id"


class ChangesRequested(NotGranted):
    """An approver wants the request changed."""

    says = "was returned for changes; it goes on once it is resubmitted"


class Rejected(NotGranted):
    """People have said no."""

    says = "was rejected"


class Expired(NotGranted):
    """Nobody has decided in time."""

    says = "has expired: nobody decided in time, which is not a rejection"


class Withdrawn(NotGranted):
    """Whoever asked has taken the request back."""

    says = "was withdrawn by its requester"


class Cancelled(NotGranted):
    """An owner or an admin has ended the request."""

    says = "was cancelled"


class Failed(NotGranted):
    """The process could not be carried out."""

    says = "has failed: its process could not be carried out"


class EndedOtherwise(NotGranted):
    """The request ended with an outcome of the process's own."""

    says = "ended as {outcome!r}, which is not an approval"


class ArgumentsChanged(ClientError):
    """The arguments were changed between the claim and the call; the function does not run, and the claim is used."""


_OF_STATUS: Mapping[int, type[Problem]] = {
    401: NotAuthenticated,
    403: NotPermitted,
    404: NotFound,
    408: Busy,
    409: Conflict,
    422: Invalid,
    429: Busy,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
_OF_CLAIM: Mapping[str, type[ClaimRefused]] = {
    "not_approved": NotApproved,
    "digest_mismatch": DigestMismatch,
    "expired": ActionExpired,
    "already_claimed": AlreadyClaimed,
}
_OF_OUTCOME: Mapping[str, type[NotGranted]] = {
    "rejected": Rejected,
    "expired": Expired,
    "withdrawn": Withdrawn,
    "cancelled": Cancelled,
}


def problem_class(status: int, reason: object, *, claims: bool) -> type[Problem]:
    """Return the class of a refusal; `claims` says that it is of a claim, which is refused for reasons of its own."""
    kind = _OF_STATUS.get(status, Problem)
    if kind is Conflict and claims:
        return _OF_CLAIM.get(str(reason), ClaimRefused)
    return kind


def not_granted(request: Request) -> NotGranted | None:
    """Return what keeps a request from being approved, None if it is approved."""
    if request.approved:
        return None
    if request.status == "pending":
        return ChangesRequested(request) if request.returned else StillPending(request)
    if request.status == "failed":
        return Failed(request)
    return _OF_OUTCOME.get(request.outcome or request.status, EndedOtherwise)(request)


def require_approved(request: Request) -> Request:
    """Return an approved request; raises the class of NotGranted that says why another is not."""
    if (error := not_granted(request)) is not None:
        raise error
    return request


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _faults(value: object) -> list[Fault]:
    rows = value if isinstance(value, list) else []
    return [
        Fault(pointer=str(row.get("pointer", "")), message=str(row.get("message", "")))
        for row in rows
        if isinstance(row, Mapping)
    ]
