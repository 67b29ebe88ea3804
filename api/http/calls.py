"""The steps before a route: authentication, then access, then the body, then the stored answer of its Idempotency-Key.

All routes that need a person use the class `PersonalRoute`, so none can skip a step.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, ClassVar, get_args
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from api.access import rule_of
from api.context import ApiContext
from api.deps import Call
from api.http.authentication import authenticate
from api.http.parameters import check_parameters, parameters_of, without_empty
from api.http.paths import BASE
from api.http.problems import KeyReused, status_of, validation_problem
from api.schemas.common import Body
from placet.errors import (
    ClaimRefused,
    InputInvalid,
    NotFound,
    NotPermitted,
    PlacetError,
    Problem,
    ReauthenticationRequired,
    Unavailable,
    Unseen,
)
from placet.json_text import read_json
from service.principal import Principal
from storage.queries import api_calls
from storage.recording import metrics
from storage.tables.approvals import Refusal

_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LONGEST_KEY = 255
_LONGEST_REASON = 1000
_SHORT = 32_000  # bytes; a longer body is parsed on a thread


class _ExactRequest(Request):
    """A request whose body is parsed already, with exact numbers."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._value = value

    async def json(self) -> Any:
        """Return the parsed body."""
        return self._value


class PersonalRoute(APIRoute):
    """A route that only an authenticated person may call."""

    changes: ClassVar[bool] = True
    """Whether its calls that are no GET change something."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route in the steps of every call."""
        handle = super().get_route_handler()
        path = self.path_format.removeprefix(BASE)
        rules = {method: rule_of(method, path) for method in self.methods or ()}
        model = self._body
        known = parameters_of(self)
        mutating = _MUTATING if self.changes else frozenset[str]()

        async def personal(request: Request) -> Response:
            context: ApiContext = request.app.state.context
            principal = await authenticate(context, request, changes=request.method in mutating)
            request.state.principal = principal
            try:
                principal.need(rules[request.method])
                if request.method in mutating:
                    principal.need_to_change()
            except NotPermitted as error:
                await _put_on_record(context, principal, request, error)
                raise
            _check_address(request)
            check_parameters(request, known)
            if request.method not in _MUTATING:
                return await handle(without_empty(request))
            value: Any = None
            try:
                received, value = await self._received(context, request)
                if not mutating:
                    return await handle(received)
                try:
                    return await _once(context, principal, received, value, handle)
                finally:
                    await received.close()  # of the files in it
            except (PlacetError, RequestValidationError) as error:
                await _put_on_record(context, principal, request, error)
                if model is not None and isinstance(error, PlacetError):
                    error.move(lambda pointer: model.as_sent(pointer, value))
                raise

        return personal

    async def _received(self, context: ApiContext, request: Request) -> tuple[Request, Any]:
        """Return the call with its body read, and the body's value, by which a repeat is recognised."""
        body = await read_bytes(request, context.max_body_bytes)
        if not body.strip():
            return _ExactRequest(request, b"", None), None
        _check_media_type(request.headers.get("content-type"))
        value = await _read(body)
        return _ExactRequest(request, body.strip(), value), value

    @cached_property
    def _body(self) -> type[Body] | None:
        """The model of the body; None if the body is free JSON or empty."""
        for param in self.dependant.body_params:
            kind = param.field_info.annotation
            for one in (kind, *get_args(kind)):
                if isinstance(one, type) and issubclass(one, Body):
                    return one
        return None


class ReadingRoute(PersonalRoute):
    """A route that is told by POST what to read, and changes nothing: tokens that only read may call it.

    Nor does it need the mark of a page of ours, since a page of another site gets no answer of it to see.
    """

    changes = False


async def read_bytes(request: Request, most: int) -> bytes:
    """Return the body; raises 413 if it is longer than `most` bytes, whatever its Content-Length says."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise HTTPException(413, f"The body is longer than {most} bytes; send less.", {"Connection": "close"})
        chunks.append(chunk)
    return b"".join(chunks)


def _check_media_type(content_type: str | None) -> None:
    """Raise 415 if the Content-Type of a body is not JSON."""
    kind = (content_type or "application/json").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, f"A body of {kind[:100]} cannot be read; send Content-Type: application/json.")


async def _read(body: bytes) -> Any:
    """Parse a body; a long one on a thread, so that it does not block the event loop."""
    return read_json(body) if len(body) < _SHORT else await asyncio.to_thread(read_json, body)


def _check_address(request: Request) -> None:
    """Refuse U+0000, which databases cannot search for."""
    if any("\0" in str(value) for value in request.path_params.values()):
        raise NotFound
    for name, value in request.query_params.multi_items():
        if "\0" in value or "\0" in name:
            message = "the character U+0000 is not allowed; remove it"
            raise InputInvalid(f"/{name}: {message}", problems=(Problem(pointer=f"/{name}", message=message),))


async def _once(
    context: ApiContext,
    principal: Principal,
    request: Request,
    value: Any,
    handle: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    """Carry a call out, or return the stored answer of its Idempotency-Key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        request.state.call = Call(key=str(uuid.uuid4()), subject=uuid.uuid4().hex, fresh=True)
        return await handle(request)
    if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
        message = f"write 1 to {_LONGEST_KEY} printable characters"
        raise InputInvalid(
            f"Idempotency-Key: {message}.", problems=(Problem(pointer="/Idempotency-Key", message=message),)
        )
    async with context.repeats.alone(principal.person, key):
        return await _answered(context, principal, request, value, handle, key)


async def _answered(  # noqa: PLR0917 - of `_once` alone
    context: ApiContext,
    principal: Principal,
    request: Request,
    value: Any,
    handle: Callable[[Request], Coroutine[Any, Any, Response]],
    key: str,
) -> Response:
    subject = uuid.uuid4().hex
    fingerprint = _fingerprint(request, value)
    known = await context.reservations.submit(
        api_calls.Reservation(
            principal=principal.person, key=key, fingerprint=fingerprint, subject=subject, now=context.now()
        )
    )
    if known.fingerprint != fingerprint:
        raise KeyReused
    if known.status_code is not None:
        return JSONResponse(known.answer, known.status_code, {"Idempotent-Replayed": "true"})
    fresh = known.subject == subject
    request.state.call = Call(key=_digest(principal.person, key), subject=known.subject or "", fresh=fresh)
    try:
        response = await handle(request)
    except (PlacetError, RequestValidationError) as error:
        # Nothing has happened, so the key may be used again for the corrected call.
        if fresh and not isinstance(error, Unavailable):
            await context.database.write(api_calls.release, principal=principal.person, key=key)
        raise
    if response.status_code < 300 and not getattr(request.state, "unsettled", False):
        await context.completions.submit(
            api_calls.Completion(
                principal=principal.person,
                key=key,
                status_code=response.status_code,
                answer=json.loads(bytes(response.body)),
            )
        )
    return response


def _fingerprint(request: Request, value: Any) -> str:
    """Return a digest that identifies a call: method, path, query in any order, and body."""
    asked = [urlencode(sorted(request.query_params.multi_items()))] if request.query_params else []
    return _digest(request.method, request.url.path, json.dumps(value, sort_keys=True, default=str), *asked)


def _digest(*parts: str) -> str:
    # With their lengths, so that different parts never make the same bytes.
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


async def _put_on_record(
    context: ApiContext, principal: Principal, request: Request, error: PlacetError | RequestValidationError
) -> None:
    """Record that a person was refused something on a request; a refused update leaves no trace in the engine."""
    if isinstance(error, PlacetError):
        status, reason = status_of(error), error.message
    else:
        status, reason = 422, validation_problem(error)["detail"]
    task_id = request.path_params.get("task_id")
    request_id = request.path_params.get("request_id") or request_of(task_id)
    concerns_request = request_id is not None and _is_refusal(status, error)
    if not concerns_request and not isinstance(error, NotPermitted):
        return
    await record_refusal(
        context,
        principal,
        action=request.scope["route"].name,
        request_id=request_id,
        task_id=task_id,
        status=status,
        reason=reason,
        counted=metrics.increment(metrics.CLAIMS, error.failure) if isinstance(error, ClaimRefused) else None,
    )


async def record_error(
    context: ApiContext,
    principal: Principal,
    error: PlacetError,
    *,
    action: str,
    task_id: str | None = None,
    request_id: str | None = None,
) -> None:
    """Store that a person was refused something on a request, where the error is a refusal."""
    status = status_of(error)
    if not _is_refusal(status, error):
        return
    await record_refusal(
        context,
        principal,
        action=action,
        request_id=request_id or request_of(task_id),
        task_id=task_id,
        status=status,
        reason=error.message,
    )


def _is_refusal(status: int, error: Exception) -> bool:
    return status in {403, 409, 422} or isinstance(error, ReauthenticationRequired | Unseen)


async def record_refusal(
    context: ApiContext,
    principal: Principal,
    *,
    action: str,
    request_id: str | None,
    task_id: str | None,
    status: int,
    reason: str,
    counted: metrics.Changes | None = None,
) -> None:
    """Store one refusal, and count what it counts."""
    refusal = Refusal(
        at=context.now(),
        principal=principal.person,
        request_id=request_id and request_id[:200],
        task_id=task_id and task_id[:200],
        action=action,
        status_code=status,
        reason=reason[:_LONGEST_REASON],
    )

    def store(connection: Connection) -> None:
        api_calls.add_refusal(connection, refusal)
        metrics.count(connection, counted or metrics.Changes())

    await context.database.write(store)


def request_of(task_id: str | None) -> str | None:
    """Return the id of the request that a task belongs to, by its own id."""
    return task_id.rpartition(".")[0] or None if task_id else None
