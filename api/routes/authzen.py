"""AuthZEN: evaluations that may be requested, access requests and their tasks, metadata and keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.context import ApiContext
from api.deps import Caller, Here, ThisCall
from api.http.authentication import base_url
from api.http.calls import PersonalRoute, record_refusal
from api.http.parameters import PublicRoute
from api.http.paths import BASE
from api.http.problems import KeyReused, status_of
from api.schemas.authzen import (
    AccessRequest,
    AccessResult,
    AccessTask,
    AccessTaskView,
    Cancellation,
    Decision,
    DecisionPoint,
    Evaluation,
)
from placet.errors import AccessRequestRefused, AccessRequestTaken, InputInvalid, NotConfigured
from service.authzen.access import Authzen, Task
from service.authzen.tokens import written

_REQUEST_ID = "x-request-id"
_LONGEST_ID = 255
_AGAIN = "5"  # seconds after which a pending task may be asked for again
_CAPABILITY = "urn:openid:authzen:capability:access-request"


class AuthzenRoute(PersonalRoute):
    """A route whose refusals have the problem types of the profile, and are on record."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route in the names of the profile."""
        handle = super().get_route_handler()

        async def named(request: Request) -> Response:
            try:
                return await handle(request)
            except KeyReused as error:
                raise AccessRequestTaken(error.message, code="duplicate_request") from error
            except AccessRequestRefused as error:
                await record_refusal(
                    request.app.state.context,
                    request.state.principal,
                    action="access request",
                    request_id=request.path_params.get("task_id"),
                    task_id=None,
                    status=status_of(error),
                    reason=error.message,
                )
                raise

        return named


router = APIRouter(prefix="/authzen", tags=["authzen"], route_class=AuthzenRoute)
keys = APIRouter(prefix="/authzen", tags=["authzen"], route_class=PublicRoute)
metadata = APIRouter(tags=["authzen"], route_class=PublicRoute)


@router.post("/evaluation")
async def evaluate_access(  # noqa: PLR0917 - called by keyword
    request: Request, response: Response, context: Here, caller: Caller, call: ThisCall, body: Evaluation
) -> Decision:
    """Decide whether a subject may do something: only with an approval, which counts once, for exactly that.

    A denial says whether people can be asked. The same `X-Request-ID` has the same decision.
    """
    key, given = call.key, request.headers.get(_REQUEST_ID)
    if given is not None:
        if not 0 < len(given) <= _LONGEST_ID or not given.isprintable():
            raise InputInvalid.at("/X-Request-ID", "write 1 to 255 printable characters")
        response.headers["X-Request-ID"] = given
        key = hashlib.sha256(f"evaluation:{caller.person}:{given}".encode()).hexdigest()
    endpoint = f"{_base(context, request)}/authzen/requests"
    found = await _authzen(context).evaluate(caller, body.access, endpoint=endpoint, key=key)
    return Decision.model_validate(found)


@router.post("/requests", status_code=202, response_model=AccessTaskView, response_model_exclude_none=True)
async def submit_access_request(request: Request, context: Here, caller: Caller, body: AccessRequest) -> Response:
    """Ask people for what was denied. The same denial is asked for once, and has one task."""
    authzen = _authzen(context)
    if body.items is not None or body.resource is None or body.action is None:
        raise AccessRequestRefused(
            "A request is about one resource and one action; send one for each item.", code="not_requestable"
        )
    if body.callback is not None:
        raise InputInvalid.at("/callback", "tasks call nobody back; read the task, or add a webhook")
    task = await authzen.submit(caller, body.submission)
    view = _view(context, request, task)
    status = 202 if task.status == "pending" else 201
    return JSONResponse(view.model_dump(exclude_none=True), status, {"Location": view.task.status_endpoint})


@router.get("/requests/{task_id}", response_model=AccessTaskView, response_model_exclude_none=True)
async def read_access_task(request: Request, context: Here, caller: Caller, task_id: str) -> Response:
    """Show the task of an access request, with the approval once there is one."""
    task = await _authzen(context).task(caller, task_id)
    headers = {"Retry-After": _AGAIN} if task.status == "pending" else {}
    return JSONResponse(_view(context, request, task).model_dump(exclude_none=True), headers=headers)


@router.post("/requests/{task_id}/cancel", response_model=AccessTaskView, response_model_exclude_none=True)
async def cancel_access_request(  # noqa: PLR0917 - called by keyword
    request: Request, context: Here, caller: Caller, call: ThisCall, task_id: str, body: Cancellation | None = None
) -> Response:
    """Take an access request back. It ends as cancelled, never as denied."""
    comment = None if body is None else body.comment or body.reason
    task = await _authzen(context).cancel(caller, task_id, comment=comment, key=call.key)
    return JSONResponse(_view(context, request, task).model_dump(exclude_none=True))


@keys.get("/jwks")
async def read_authzen_keys(context: Here) -> dict[str, Any]:
    """Return the keys that verify binding tokens, as a JWK Set."""
    return _authzen(context).tokens.jwks


@metadata.get("/.well-known/authzen-configuration")
async def read_authzen_metadata(request: Request, context: Here) -> DecisionPoint:
    """Describe this decision point."""
    _authzen(context)
    base = _base(context, request)
    return DecisionPoint(
        policy_decision_point=base_url(context, request),
        access_evaluation_endpoint=f"{base}/authzen/evaluation",
        access_request_endpoint=f"{base}/authzen/requests",
        jwks_uri=f"{base}/authzen/jwks",
        capabilities=[_CAPABILITY],
    )


def _authzen(context: ApiContext) -> Authzen:
    if not context.authzen.templates:
        raise NotConfigured("AuthZEN is not set up here: set PLACET_AUTHZEN_TEMPLATES.")
    return Authzen(context, context.authzen, context.secret)


def _base(context: ApiContext, request: Request) -> str:
    return f"{base_url(context, request)}{BASE}"


def _view(context: ApiContext, request: Request, task: Task) -> AccessTaskView:
    here = f"{_base(context, request)}/authzen/requests/{task.id}"
    links = {"ticket": f"{base_url(context, request)}/requests/{task.id}"}
    if task.status == "pending":
        links["cancel"] = f"{here}/cancel"
    shown = AccessTask(
        id=task.id,
        status=task.status,
        status_endpoint=here,
        expires_at=written(task.expires_at),
        progress={"step_name": task.stage} if task.stage is not None and task.status == "pending" else None,
        display={"title": task.title},
        links=links,
    )
    if task.status != "approved" or task.approved_at is None:
        return AccessTaskView(task=shown)
    approval = {
        "id": task.id,
        "approved_at": written(task.approved_at),
        "approved_until": written(task.expires_at),
    }
    return AccessTaskView(task=shown, result=AccessResult(mode="reevaluate", approval=approval))
