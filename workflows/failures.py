"""Errors of the core as application failures of the workflow, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.exceptions import ApplicationError

from placet import errors
from placet.audit.chain import moment
from placet.errors import AlreadyDecided, ContentChanged, PlacetError, Problem, ReauthenticationRequired, TooSoon


def as_failure(error: PlacetError) -> ApplicationError:
    """Return the failure that carries an error of the core to an update's caller. It fails the update only."""
    detail: dict[str, Any] = {"problems": [{"pointer": p.pointer, "message": p.message} for p in error.problems]}
    if isinstance(error, AlreadyDecided):
        detail["standing"] = error.standing
    if isinstance(error, ContentChanged):
        detail["difference"] = error.difference
    if isinstance(error, TooSoon) and error.again_at is not None:
        detail["again_at"] = moment(error.again_at)
    return ApplicationError(error.message, detail, type=type(error).__name__, non_retryable=True)


def as_error(failure: ApplicationError) -> PlacetError | None:
    """Return the error of the core that a failure carries, or None for another failure."""
    kind = getattr(errors, failure.type or "", None)
    if not (isinstance(kind, type) and issubclass(kind, PlacetError)):
        return None
    detail: dict[str, Any] = failure.details[0] if failure.details else {}
    if kind is AlreadyDecided:
        return AlreadyDecided(failure.message, standing=detail.get("standing"))
    if kind is ContentChanged:
        return ContentChanged(failure.message, difference=tuple(detail.get("difference", ())))
    if kind is ReauthenticationRequired:
        return ReauthenticationRequired(failure.message)  # the service knows where
    if kind is TooSoon:
        again_at = detail.get("again_at")
        return TooSoon(failure.message, again_at=datetime.fromisoformat(again_at) if again_at else None)
    problems = tuple(Problem(pointer=p["pointer"], message=p["message"]) for p in detail.get("problems", []))
    return kind(failure.message, problems=problems)
