"""Errors of the core as application failures of the workflow, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.exceptions import ApplicationError

from placet import errors
from placet.audit.chain import moment
from placet.errors import (
    AlreadyDecided,
    ClaimRefused,
    ContentChanged,
    PlacetError,
    Problem,
    ReauthenticationRequired,
    TooSoon,
)
from placet.sentences import described, read_sentence

_MADE_OF = "sentence"  # of a failure and its problems: source and values of the message


def as_failure(error: PlacetError) -> ApplicationError:
    """Return the failure that carries an error of the core to an update's caller. It fails the update only."""
    detail: dict[str, Any] = {
        "problems": [{"pointer": p.pointer, "message": p.message, **_made_of(p.message)} for p in error.problems],
        **_made_of(error.message),
    }
    if isinstance(error, AlreadyDecided):
        detail["standing"] = error.standing
    if isinstance(error, ContentChanged):
        detail["difference"] = error.difference
    if isinstance(error, ClaimRefused):
        detail["failure"] = error.failure
    if isinstance(error, TooSoon) and error.again_at is not None:
        detail["again_at"] = moment(error.again_at)
    return ApplicationError(error.message, detail, type=type(error).__name__, non_retryable=True)


def as_error(failure: ApplicationError) -> PlacetError | None:
    """Return the error of the core that a failure carries, or None for another failure."""
    kind = getattr(errors, failure.type or "", None)
    if not (isinstance(kind, type) and issubclass(kind, PlacetError)):
        return None
    detail: dict[str, Any] = failure.details[0] if failure.details else {}
    message = read_sentence(detail.get(_MADE_OF), failure.message)
    if kind is AlreadyDecided:
        return AlreadyDecided(message, standing=detail.get("standing"))
    if kind is ContentChanged:
        return ContentChanged(message, difference=tuple(detail.get("difference", ())))
    if kind is ClaimRefused:
        return ClaimRefused(detail.get("failure", "not_approved"), message)
    if kind is ReauthenticationRequired:
        return ReauthenticationRequired(message)  # the service knows where
    if kind is TooSoon:
        again_at = detail.get("again_at")
        return TooSoon(message, again_at=datetime.fromisoformat(again_at) if again_at else None)
    problems = tuple(
        Problem(pointer=p["pointer"], message=read_sentence(p.get(_MADE_OF), p["message"]))
        for p in detail.get("problems", [])
    )
    return kind(message, problems=problems)


def _made_of(message: str) -> dict[str, Any]:
    """Return what a message is made of, for readers of other languages; nothing for a plain text."""
    made = described(message)
    return {} if made is None else {_MADE_OF: made}
