"""How the core's errors travel: as application failures out of the workflow, and back into errors for its callers."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError

from placet import errors
from placet.errors import AlreadyDecided, ContentChanged, PlacetError, Problem


def as_failure(error: PlacetError) -> ApplicationError:
    """Wrap an error of the core so that an update's caller gets it whole; it fails the update, not the workflow."""
    detail: dict[str, Any] = {"problems": [{"pointer": p.pointer, "message": p.message} for p in error.problems]}
    if isinstance(error, AlreadyDecided):
        detail["standing"] = error.standing
    if isinstance(error, ContentChanged):
        detail["difference"] = error.difference
    return ApplicationError(error.message, detail, type=type(error).__name__, non_retryable=True)


def as_error(failure: ApplicationError) -> PlacetError | None:
    """Return the core's error that a failure carries, or None where it is something else."""
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
