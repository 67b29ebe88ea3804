"""The one tree of errors.

PlacetError
├── BlueprintInvalid      a blueprint cannot be used; carries every finding
├── ConditionInvalid      an expression does not parse or does not type-check
├── EvaluationFailed      an expression could not be evaluated on these values
│   └── ValueAbsent       it reads a variable that has no value; names the variable
├── InputInvalid          a request's input, a form or an event breaks its declared shape
├── Refused               an event may not be applied to this state
│   ├── NotPermitted      the wrong person, or separation of duties
│   ├── AlreadyDecided    the task was settled before; carries the decision that stands
│   ├── DoesNotMap        the request has no place in another version; carries everything that keeps it
│   ├── Overtaken         the request has changed since it was looked at
│   ├── Ended             the request has ended
│   └── UnknownTask       no such task in this request
├── NotFound              nothing is stored under that name or id
├── Conflict              the same thing exists already, or is used differently
├── Busy                  more wait here than can be carried out in time; nothing has happened
├── Unavailable           engine, database or every worker is away; the outcome is unknown
└── EngineMissing         no Temporal server could be found, downloaded or built
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Say what is wrong at one place: a JSON Pointer into what was sent, and a sentence that says what to do."""

    pointer: str
    message: str


class PlacetError(Exception):
    """Something in Placet went wrong."""

    def __init__(self, message: str | None = None, *, problems: tuple[Problem, ...] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.problems = problems
        super().__init__(self.message)


class BlueprintInvalid(PlacetError):
    """The blueprint cannot be used as it is; every finding names its place."""


class ConditionInvalid(PlacetError):
    """The expression does not parse or does not type-check."""


class EvaluationFailed(PlacetError):
    """The expression could not be evaluated on these values."""


class ValueAbsent(EvaluationFailed):
    """The expression reads a variable that has no value."""

    def __init__(self, message: str | None = None, *, variable: str) -> None:
        super().__init__(message)
        self.variable = variable


class InputInvalid(PlacetError):
    """The input breaks its declared shape."""

    @classmethod
    def at(cls, pointer: str, message: str) -> Self:
        """Return the refusal of one thing at its place, a JSON Pointer."""
        return cls(f"{pointer}: {message}", problems=(Problem(pointer=pointer, message=message),))


class Refused(PlacetError):
    """This event may not be applied to the request as it stands."""


class NotPermitted(Refused):
    """This is not this person's to do."""


class AlreadyDecided(Refused):
    """The task has already been settled."""

    def __init__(self, message: str | None = None, *, standing: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.standing = standing or {}


class DoesNotMap(Refused):
    """The request cannot go on under that version as it stands."""


class Overtaken(Refused):
    """The request has changed since it was looked at; look at it again."""


class Ended(Refused):
    """The request has ended."""


class UnknownTask(Refused):
    """The request has no such task."""


class NotFound(PlacetError):
    """Nothing is stored under that name or id."""


class Conflict(PlacetError):
    """The same thing exists already, or is used differently."""


class Busy(PlacetError):
    """More calls wait here than can be carried out in time; nothing has happened. Try again later."""

    def __init__(self, message: str | None = None, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class Unavailable(PlacetError):
    """Engine, database or every worker is away and the outcome is unknown; repeat with the same Idempotency-Key."""


class EngineMissing(PlacetError):
    """No Temporal server could be found, downloaded or built."""
