"""Problem details (RFC 9457): the form of all errors of the API, and the status of each error class."""

from __future__ import annotations

import http
import math
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from placet.audit.chain import moment
from placet.definition.validation_messages import sentence_of
from placet.errors import (
    AccessRequestLate,
    AccessRequestRefused,
    AccessRequestTaken,
    AccessRequestUnknown,
    AlreadyDecided,
    BlueprintInvalid,
    Busy,
    CallbackRefused,
    ClaimRefused,
    CodeSpent,
    ConditionInvalid,
    Conflict,
    ContentChanged,
    DraftChanged,
    DraftingFailed,
    Ended,
    EvaluationFailed,
    InputInvalid,
    LinkRefused,
    NotAuthenticated,
    NotConfigured,
    NotFound,
    NotPermitted,
    PlacetError,
    Problem,
    ProofRefused,
    ReauthenticationRequired,
    Refused,
    Returned,
    TooLarge,
    TooMuchWork,
    TooSoon,
    TypeNotAllowed,
    Unavailable,
    UnknownQuestion,
    UnknownTask,
    code_of,
)
from placet.json_pointer import pointer_of
from placet.sentences import as_sentence, sentence
from service.security_log import reason_of

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds
MOST_PROBLEMS = 200  # the maximum number of faults in one answer

_log = structlog.get_logger(__name__)


class KeyReused(Conflict):
    """This Idempotency-Key was used for another call; use a new key for a new call."""


# The first matching class gives the status, so a class stands before its bases.
_STATUS: tuple[tuple[type[PlacetError], int], ...] = (
    (KeyReused, 422),
    (AccessRequestLate, 410),
    (AccessRequestTaken, 409),
    (AccessRequestUnknown, 404),
    (AccessRequestRefused, 400),
    (ProofRefused, 403),
    (ReauthenticationRequired, 401),
    (NotPermitted, 403),
    (TooSoon, 429),
    (UnknownTask, 404),
    (UnknownQuestion, 404),
    (NotFound, 404),
    (CodeSpent, 410),
    (CallbackRefused, 401),
    (NotAuthenticated, 401),
    (LinkRefused, 410),
    (AlreadyDecided, 409),
    (ContentChanged, 409),
    (Returned, 409),
    (Ended, 409),
    (ClaimRefused, 409),
    (Refused, 409),
    (DraftChanged, 409),
    (Conflict, 409),
    (BlueprintInvalid, 422),
    (ConditionInvalid, 422),
    (EvaluationFailed, 422),
    (InputInvalid, 422),
    (TooMuchWork, 422),
    (DraftingFailed, 422),
    (NotConfigured, 501),
    (TooLarge, 413),
    (TypeNotAllowed, 415),
    (Busy, 429),
    (Unavailable, 503),
)

TITLES: Final[dict[type[PlacetError], str]] = {
    KeyReused: "The idempotency key was used for another call",
    AccessRequestLate: "The denial or the task has expired",
    AccessRequestTaken: "Not possible for this task",
    AccessRequestUnknown: "No such access request",
    AccessRequestRefused: "Access cannot be requested so",
    ProofRefused: "Not proven who you are",
    ReauthenticationRequired: "The decision has to be signed",
    NotPermitted: "Not permitted",
    TooSoon: "Too soon after the last time",
    UnknownTask: "No such task",
    UnknownQuestion: "No such question",
    NotFound: "Not found",
    CallbackRefused: "The call is not one of the chat's",
    CodeSpent: "The address was used or has expired",
    NotAuthenticated: "Not logged in",
    LinkRefused: "The link decides nothing",
    AlreadyDecided: "Already decided",
    ContentChanged: "The request has changed",
    Returned: "The request waits for its requester",
    Ended: "The request has ended",
    ClaimRefused: "The action cannot be claimed",
    Refused: "Not possible in the request's current state",
    DraftChanged: "The draft has changed",
    Conflict: "Conflict",
    BlueprintInvalid: "The blueprint is invalid",
    ConditionInvalid: "The condition is invalid",
    EvaluationFailed: "A condition could not be evaluated",
    InputInvalid: "The input is invalid",
    TooMuchWork: "Too much work",
    DraftingFailed: "No draft could be written",
    NotConfigured: "Not set up here",
    TooLarge: "What was sent is too large",
    TypeNotAllowed: "The type of the file is not taken",
    Busy: "Too many calls for now",
    Unavailable: "Temporarily unavailable",
}
"""What each refusal is called; pages show it too, in the reader's language."""


def status_of(error: PlacetError) -> int:
    """Return the HTTP status of an error; 500 for a class that has none."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def kinds() -> list[tuple[type[PlacetError], int, str]]:
    """Return each kind of refusal with its status and its problem type; the first that a class is one of counts."""
    return [(kind, status, type_of(code_of(kind))) for kind, status in _STATUS]


def type_of(kind: str) -> str:
    """Return the problem type of a kind, such as `input-invalid`."""
    return f"urn:placet:problem:{kind}"


def problem(
    status: int,
    detail: str,
    *,
    title: str | None = None,
    kind: str | None = None,
    errors: Sequence[Problem] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return a problem document; `more` are extension members."""
    return {
        "type": type_of(kind) if kind else "about:blank",
        "title": title or http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"pointer": e.pointer, "message": e.message} for e in errors],
        **more,
    }


def problem_of(error: PlacetError) -> dict[str, Any]:
    """Return the problem document of one of our errors."""
    status = status_of(error)
    if status == 500:
        return internal()
    kind = next(kind for kind, _ in _STATUS if isinstance(error, kind))
    more: dict[str, Any] = {}
    if status == 409:
        more["reason"] = code_of(kind).replace("-", "_")
    if isinstance(error, ClaimRefused):
        more["reason"] = error.failure
    if isinstance(error, CallbackRefused):
        more["reason"] = error.code
    if isinstance(error, AlreadyDecided):
        more["standing"] = error.standing
    if isinstance(error, ContentChanged):
        more["difference"] = list(error.difference)
    if isinstance(error, DraftChanged):
        more |= {
            "changed_by": f"user:{error.by}",
            "changed_at": moment(error.at),
            "revision": error.revision,
            "content": error.content,
            "difference": list(error.difference),
            "conflicts": list(error.conflicts),
            "merged": error.merged,
        }
    if isinstance(error, DraftingFailed):
        more |= {"tries": error.tries, "sent": list(error.sent)}
    if isinstance(error, ReauthenticationRequired):
        more |= {"reason": "reauthentication_required", "where": error.where, "max_age": error.max_age}
    if isinstance(error, TooSoon) and error.again_at is not None:
        more["again_at"] = moment(error.again_at)
    detail = error.message
    if isinstance(error, Unavailable):
        # The log names the host that did not answer; the caller is told what to do.
        detail = (type(error).__doc__ or "").strip()
    if isinstance(error, AccessRequestRefused):
        more["type"] = f"urn:openid:authzen:access-request:error:{error.code}"
    return problem(status, detail, title=TITLES[kind], kind=code_of(kind), errors=error.problems, **more)


def respond(document: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem document as a response."""
    if document["status"] == 503:
        headers = {"Retry-After": str(RETRY_AFTER), **(headers or {})}
    return JSONResponse(document, status_code=document["status"], media_type=MEDIA_TYPE, headers=headers)


def _seconds_until_again(error: PlacetError, app: FastAPI) -> int | None:
    """Return after how many seconds the caller may repeat the call; None where the error does not say.

    The time is read only for an error that names one, so that an application without a store can answer all others.
    """
    if isinstance(error, Busy):
        return error.retry_after
    if isinstance(error, TooSoon) and error.again_at is not None:
        now: datetime = app.state.context.now()
        return max(1, math.ceil((error.again_at - now).total_seconds()))
    return None


def problems_of_validation(error: RequestValidationError) -> tuple[Problem, ...]:
    """Return the faults that FastAPI found, with JSON Pointers into the body or the names of parameters."""
    faults = error.errors()[:MOST_PROBLEMS]
    return tuple(Problem(pointer=pointer_of(_place(e, error.body)), message=sentence_of(e)) for e in faults)


def _place(fault: Mapping[str, Any], body: object) -> list[str | int]:
    """Return the place of a fault in what was sent: a location also names the choices of a union, which nobody sent."""
    location: list[str | int]
    part, *location = fault["loc"]
    if part != "body":
        return location[:1]
    place: list[str | int] = []
    value = body
    for index, step in enumerate(location):
        inside = range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()
        if step in inside:
            value = value[step]  # type: ignore[index]  # it is a list or a mapping
        elif fault["type"] != "missing" or index < len(location) - 1:
            continue
        place.append(step)
    return place


def validation_problem(error: RequestValidationError) -> dict[str, Any]:
    """Return the problem document of an invalid body or parameter."""
    found = problems_of_validation(error)
    detail = "The body or a parameter is invalid."
    if found:
        place = found[0].pointer or as_sentence("the body")
        detail = sentence("{pointer}: {message}", pointer=place, message=found[0].message)
    return problem(422, detail, title=TITLES[InputInvalid], kind="input-invalid", errors=found)


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, PlacetError)  # noqa: S101 - registered for nothing else
        request.state.refused = reason_of(error)
        if status_of(error) >= 500:
            _log.warning("call_failed", error=error.message, kind=type(error).__name__)
        wait = _seconds_until_again(error, request.app)
        headers = {"Retry-After": str(wait)} if wait is not None else None
        if isinstance(error, ReauthenticationRequired):  # as RFC 9470 has it
            age = f', max_age="{error.max_age}"' if error.max_age is not None else ""
            headers = {"WWW-Authenticate": f'Bearer realm="placet", error="insufficient_user_authentication"{age}'}
        return respond(problem_of(error), headers)

    async def shape(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
        return respond(validation_problem(error))

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
        headers = dict(error.headers or {})
        detail = str(error.detail)
        if error.status_code == 404 and detail == http.HTTPStatus.NOT_FOUND.phrase:
            detail = f"There is no resource at {request.url.path}."
        if error.status_code == 405:
            allowed = _allowed(request)
            headers["Allow"] = ", ".join(allowed)
            detail = f"The method {request.method} is not allowed here; use one of: {', '.join(allowed)}."
        return respond(problem(error.status_code, detail), headers)

    async def gone(_: Request, __: Exception) -> JSONResponse:
        # Usually nobody reads this answer: the client has gone, or was too slow.
        return respond(problem(408, "The connection was closed before the request was complete."))

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # As text: log renderers that show local variables would write what people sent into the log.
        trace = "".join(traceback.format_exception(error))
        _log.error("unexpected_error", path=request.url.path, method=request.method, trace=trace)
        return respond(internal())

    app.add_exception_handler(PlacetError, ours)
    app.add_exception_handler(RequestValidationError, shape)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unexpected)


def internal() -> dict[str, Any]:
    """Return the problem document of an error that nobody foresaw."""
    return problem(
        500, "An unexpected error occurred and was logged. Try again; if it happens again, tell the operator."
    )


def _allowed(request: Request) -> list[str]:
    methods: set[str] = set()
    for route in request.app.router.routes:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            match, _ = route.matches({**request.scope, "method": method})
            if match is Match.FULL:
                methods.add(method)
    return sorted(methods)
