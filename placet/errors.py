"""The one tree of errors.

PlacetError
├── BlueprintInvalid      a blueprint cannot be used; carries every finding
├── ConditionInvalid      an expression does not parse or does not type-check
├── EvaluationFailed      an expression could not be evaluated on these values
│   └── ValueAbsent       it reads a variable that has no value; names the variable
├── InputInvalid          a request's input, a form or an event breaks its declared shape
│   └── LastAdmin         nobody could administer the installation after this change of people
├── Refused               an event may not be applied to this state
│   ├── NotPermitted      the wrong person, or separation of duties
│   │   ├── ProofRefused  a proof of who somebody is does not hold
│   │   └── HandedOver    the task has changed hands, or was opened again, since the token for it was made
│   ├── AlreadyDecided    the task was settled before; carries the decision that stands
│   ├── DoesNotMap        the request has no place in another version; carries everything that keeps it
│   ├── Overtaken         the request has changed since it was read
│   ├── Returned          the request is with its requester for changes
│   ├── ContentChanged    the decision is about an older revision; carries the difference
│   ├── Ended             the request has ended
│   ├── ClaimRefused      the action of the request cannot be claimed; carries which condition failed
│   ├── ReauthenticationRequired  the decision is signed: it needs a fresh proof of who decides; carries where
│   ├── TooSoon           the same was done a short while ago; carries when it is possible again
│   ├── UnknownTask       no such task in this request
│   └── UnknownQuestion   no such question in this request
├── NotFound              nothing is stored under that name or id
│   ├── Unseen            it exists, but the caller may not see it; reported as if it did not exist
│   └── Gone              the engine runs no such request
├── NotAuthenticated      nobody is known by what was sent: no valid token, session or code
│   └── CodeSpent         a one-time address that was used or has expired
├── LinkRefused           a link from a notification decides nothing, by its code
├── Conflict              the same thing exists already, or is used differently
│   ├── DraftChanged      somebody else has saved the draft meanwhile; carries what they changed and what both did
│   └── NewerSchema       a newer release has migrated the database; this one does not start on it
├── TooLarge              a file is larger than it may be
├── TypeNotAllowed        a file is of another type than it says, or than is taken here
├── TooMuchWork           what was sent asks for more memory or time than one call may take
├── NotConfigured         what this needs is not set up in this installation
├── DraftingFailed        a language model wrote no blueprint that could be used; carries what was sent to it
├── Busy                  more wait here than can be carried out in time; nothing has happened
├── Unavailable           engine, database or every worker is away; the outcome is unknown
│   ├── RowsHeld          somebody else holds rows of the database for too long
│   ├── ModelUnavailable  the language model did not answer
│   └── Stopping          this process is about to end
└── EngineMissing         no Temporal server could be found, downloaded or built
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, Self

from placet.audit.reasons import WORDS, Reason, because, words
from placet.audit.sealed import Sealed
from placet.sentences import as_sentence, sentence


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault: a JSON Pointer into what was sent, and a sentence that says what is wrong and what to do.

    `reason` is the reason behind the sentence, where a request's audit chain may have to record it.
    """

    pointer: str
    message: str
    reason: Reason | None = field(default=None, compare=False, repr=False)


def placed(problem: Problem) -> str:
    """Return what is wrong with its place before it; one that is about the whole has none."""
    if not problem.pointer:
        return problem.message
    return sentence("{pointer}: {message}", pointer=problem.pointer, message=problem.message)


def and_more(problem: Problem, more: int) -> str:
    """Return what is wrong with its place before it, and of how many other faults it is the first."""
    return sentence(
        "{pointer}: {cause} (and {more} more)", pointer=problem.pointer, cause=as_sentence(problem.message), more=more
    )


class PlacetError(Exception):
    """Something in Placet went wrong."""

    def __init__(
        self, message: str | None = None, *, problems: tuple[Problem, ...] = (), reason: Reason | None = None
    ) -> None:
        self.message = message or (words(reason) if reason is not None else self._first(problems))
        self.problems = problems
        self.reason = reason  # what the message was made of, where an audit chain may have to hold it
        super().__init__(self.message)

    def move(self, place: Callable[[str], str]) -> None:
        """Say of each problem that it is at another place, by its pointer; the message names the place as well."""
        before = self.problems
        self.problems = tuple(replace(problem, pointer=place(problem.pointer)) for problem in before)
        if before and self.message == placed(before[0]):
            self.message = placed(self.problems[0])
        elif before and self.message == and_more(before[0], len(before) - 1):
            self.message = and_more(self.problems[0], len(before) - 1)

    @classmethod
    def _first(cls, problems: tuple[Problem, ...]) -> str:
        """Return the first problem, or what the class says of itself."""
        if not problems:
            return says(cls)
        return placed(problems[0])


def code_of(kind: type[PlacetError]) -> str:
    """Return the code of a class of errors, as problem documents have it: `already-decided`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def codes_of(error: PlacetError) -> tuple[str, ...]:
    """Return the codes of an error: that of its class, and those of what its class is a kind of."""
    return tuple(
        code_of(kind) for kind in type(error).__mro__ if issubclass(kind, PlacetError) and kind is not PlacetError
    )


class BlueprintInvalid(PlacetError):
    """The blueprint cannot be used as it is; every finding names its place."""


class ConditionInvalid(PlacetError):
    """The expression does not parse or does not type-check."""


class EvaluationFailed(PlacetError):
    """The expression could not be evaluated on these values."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason=reason)


class ValueAbsent(EvaluationFailed):
    """The expression reads a variable that has no value."""

    def __init__(self, reason: Reason, *, variable: str) -> None:
        super().__init__(reason)
        self.variable = variable


class InputInvalid(PlacetError):
    """The input breaks its declared shape."""

    @classmethod
    def at(cls, pointer: str, message: str) -> Self:
        """Return the refusal of one thing at its place, a JSON Pointer."""
        return cls(
            sentence("{pointer}: {message}", pointer=pointer, message=message),
            problems=(Problem(pointer=pointer, message=message),),
        )


class LastAdmin(InputInvalid):
    """Nobody would be an admin any more, so nobody could administer this installation."""


class Refused(PlacetError):
    """This event may not be applied to the request as it stands."""


class NotPermitted(Refused):
    """This person may not do this."""


class HandedOver(NotPermitted):
    """The task has changed hands, or a decision on it was undone, since this token was made; ask for a new one."""


class ProofRefused(NotPermitted):
    """This does not prove who you are. Nothing was decided; try again."""


class AlreadyDecided(Refused):
    """The task has already been settled."""

    def __init__(self, message: str | None = None, *, standing: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.standing = standing or {}


class DoesNotMap(Refused):
    """The request cannot go on under that version as it stands."""


class Overtaken(Refused):
    """The request has changed since it was read; read it again and repeat."""


class Returned(Refused):
    """The request is with its requester for changes; wait until it is resubmitted."""


class ContentChanged(Refused):
    """The request has been changed since you saw it; look at the difference, and decide on what it is now."""

    def __init__(self, message: str | None = None, *, difference: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(message)
        self.difference = difference


class Ended(Refused):
    """The request has ended."""


ClaimFailure = Literal["not_approved", "digest_mismatch", "expired", "already_claimed"]
"""The condition for which a claim is refused."""
_CLAIM_FAILURES: Final[dict[ClaimFailure, str]] = {
    "not_approved": sentence("The request is not approved, so its action may not be carried out."),
    "digest_mismatch": sentence(
        "This is not the action that was approved; claim exactly what the request shows, or ask anew."
    ),
    "expired": sentence("The approval of this action has expired; ask anew."),
    "already_claimed": sentence("The action has been claimed already, and an approval counts once; ask anew."),
}


class ClaimRefused(Refused):
    """The action cannot be claimed."""

    def __init__(self, failure: ClaimFailure, message: str | None = None) -> None:
        super().__init__(message or _CLAIM_FAILURES[failure])
        self.failure = failure


class ReauthenticationRequired(Refused):
    """This decision is signed, and needs a fresh proof of who you are; nothing was decided. Open the task, decide it
    there, and confirm who you are.
    """

    def __init__(self, message: str | None = None, *, where: str | None = None, max_age: int | None = None) -> None:
        super().__init__(message)
        self.where = where  # the page on which it can be decided
        self.max_age = max_age  # seconds that may lie between the proof and the decision


class TooSoon(Refused):
    """The same was done a short while ago; repeat it later."""

    def __init__(self, message: str | None = None, *, again_at: datetime | None = None) -> None:
        super().__init__(message)
        self.again_at = again_at  # from when on it is possible again


class UnknownTask(Refused):
    """The request has no such task."""


class UnknownQuestion(Refused):
    """The request has no such question."""


def says(kind: type[PlacetError]) -> str:
    """Return what a class of refusals says where nothing more is known: the first paragraph of its text."""
    return " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split())


def reason_of(error: PlacetError) -> Reason:
    """Return the reason of a refusal as the audit chain may hold it: a code, without the text of a library."""
    if error.reason is not None:
        return error.reason
    code = re.sub(r"(?<=.)(?=[A-Z])", "_", type(error).__name__).lower()
    if error.problems:
        return because("input_invalid", pointer=Sealed(error.problems[0].pointer))
    return because(code if code in WORDS else "refused")


class NotFound(PlacetError):
    """Nothing is stored under that name or id."""


class Unseen(NotFound):
    """It exists, but the caller may not see it: the answer is as if it did not exist, and the attempt is recorded."""


class Gone(NotFound):
    """The engine runs no such request: it has ended, or never began."""


class NotAuthenticated(PlacetError):
    """Nobody is known by this token or session: it is unknown, has expired, or was ended. Log in again."""


class CodeSpent(NotAuthenticated):
    """This address was used before, or has expired; ask for a new one with `placet login PERSON`."""


class LinkRefused(PlacetError):
    """This link decides nothing; open Placet and decide there."""

    def __init__(self, code: str, *, person: str | None = None) -> None:
        super().__init__()
        self.code = code
        self.person = person  # the name of whom it is for, where the reader may know it


class CallbackRefused(NotAuthenticated):
    """This call does not prove that the chat has just sent it; nothing was decided."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Conflict(PlacetError):
    """The same thing exists already, or is used differently."""


class AccessRequestRefused(PlacetError):
    """This cannot be requested as it was sent; `code` is the problem type that AuthZEN's profile has for it."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class AccessRequestLate(AccessRequestRefused):
    """The denial, or the task, has expired."""


class AccessRequestTaken(AccessRequestRefused):
    """The key was used for another submission, or the task has ended."""


class AccessRequestUnknown(AccessRequestRefused):
    """There is no such task for this caller."""


class DraftChanged(Conflict):
    """Somebody else has saved this draft since you read it; look at what both of you changed, and save it again.

    Nothing is lost: `content` is what is stored now, in `revision`; `difference` is what others changed since;
    `conflicts` are the places that both changed in different ways; `merged` are both people's changes together, with
    the conflicts as the others have them (`theirs`) and as they were sent (`mine`).
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        by: str,
        at: datetime,
        revision: int,
        content: dict[str, Any],
        difference: tuple[dict[str, Any], ...] = (),
        conflicts: tuple[dict[str, Any], ...] = (),
        merged: dict[str, Any] | None = None,
    ) -> None:
        said = sentence("user:{by} has saved this draft since you read it; nothing of yours was stored.", by=by)
        super().__init__(message or said)
        self.by = by
        self.at = at
        self.revision = revision
        self.content = content
        self.difference = difference
        self.conflicts = conflicts
        self.merged = merged or {}


class NewerSchema(Conflict):
    """A newer release of Placet has migrated this database; start that release, or restore an older back-up."""


class TooLarge(PlacetError):
    """The file is larger than it may be; send a smaller one."""


class TypeNotAllowed(PlacetError):
    """The file is of another type than it says, or than is taken here."""


class TooMuchWork(PlacetError):
    """This asks for more memory or time than one call may take; make it smaller."""


class NotConfigured(PlacetError):
    """What this needs is not set up in this installation; nothing has happened."""


class DraftingFailed(PlacetError):
    """The language model wrote no blueprint that can be used, and nothing was stored; say in other words what you want,
    or begin an empty draft. The last answer had the faults that are listed.
    """

    def __init__(self, *, problems: tuple[Problem, ...], tries: int, sent: tuple[dict[str, str], ...]) -> None:
        super().__init__(says(DraftingFailed), problems=problems)
        self.tries = tries
        self.sent = sent


class Busy(PlacetError):
    """Too many calls are waiting to be carried out in time. Nothing has happened; try again later."""

    def __init__(self, message: str | None = None, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class Unavailable(PlacetError):
    """Engine, database or every worker is away and the outcome is unknown; repeat with the same Idempotency-Key."""


class RowsHeld(Unavailable):
    """Somebody else has held rows of the database for longer than anybody waits for them; nothing was stored."""


class ModelUnavailable(Unavailable):
    """The language model did not answer, or not in time; nothing was stored. Repeat this later."""


class Stopping(Unavailable):
    """This process is being stopped and the outcome is unknown; repeat with the same Idempotency-Key."""


class EngineMissing(PlacetError):
    """No Temporal server could be found, downloaded or built."""
