"""Errors of the core as application failures of the workflow, and back."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError

from placet import errors
from placet.errors import AlreadyDecided, ContentChanged, PlacetError, Problem


def as_failure(error: PlacetError) -> ApplicationError:
    """Return the failure that carries an error of the core to an update's caller. It fails the update only."""
    detail: dict[str, Any] = {"problems": [{"pointer": p.pointer, "message": p.message} for p in error.problems]}
    if isinstance(error, AlreadyDecided):
        detail["standing"] = error.standing
    if isinstance(error, ContentChanged):
        detail["difference"] = error.difference
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
    problems = tuple(Problem(pointer=p["pointer"], message=p["message"]) for p in detail.get("problems", []))
    return kind(failure.message, problems=problems)
