"""Errors as pages: what happened, and what to do. Programs that ask for JSON get the problem documents of the API."""

from __future__ import annotations

import traceback
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.http import problems
from api.http.authentication import SAFE_METHODS, session_of
from placet.errors import Busy, NotAuthenticated, PlacetError
from service.security_log import reason_of
from web.refusals import told
from web.security import form_page, log_in_address
from web.templating import render
from web.visitor import wording_of

_log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Answer every error of the pages with a page."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, PlacetError)  # noqa: S101 - registered for nothing else
        request.state.refused = reason_of(error)
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Busy) else None
        log_in = _way_back(request) if isinstance(error, NotAuthenticated) else None
        return show(request, problems.problem_of(error), headers, log_in=log_in)

    async def shape(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
        return show(request, problems.validation_problem(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
        document = problems.problem(error.status_code, str(error.detail))
        log_in = None if await _is_logged_in(request) else "/login"
        return show(request, document, dict(error.headers or {}), log_in=log_in)

    async def gone(request: Request, _: Exception) -> Response:
        return show(request, problems.problem(408, "The connection was closed before the form was complete."))

    async def unexpected(request: Request, error: Exception) -> Response:
        # As text: log renderers that show local variables would write what people sent into the log.
        trace = "".join(traceback.format_exception(error))
        _log.error("unexpected_error", path=request.url.path, method=request.method, trace=trace)
        return show(request, problems.internal())

    app.add_exception_handler(PlacetError, ours)
    app.add_exception_handler(RequestValidationError, shape)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unexpected)


def show(
    request: Request, document: dict[str, Any], headers: dict[str, str] | None = None, *, log_in: str | None = None
) -> Response:
    """Return a problem as a page, or as the document itself where the caller is a program.

    `log_in` is where its reader can log in, if that helps.
    """
    accept = request.headers.get("accept", "")
    # A program says what it wants, or has come to an address that is no page.
    program = "json" in accept or "route" not in request.scope
    if program and "html" not in accept:
        return problems.respond(document, headers)
    if document["status"] == 503:
        headers = {"Retry-After": str(problems.RETRY_AFTER), **(headers or {})}
    title, advice, detail = told(document, wording_of(request))
    shown = {
        "problem": document,
        "title": title,
        "advice": advice,
        "detail": detail,
        "log_in": log_in,
        "unsent": getattr(request.state, "written", ()),
        "about": _about(request) if document["status"] == 409 else None,
    }
    return render(request, "problem.html", shown, status=document["status"], headers=headers)


def _about(request: Request) -> str | None:
    """Return the page of the request or the task that a form was about; None where it was about none."""
    for name, pages in (("request_id", "/requests"), ("task_id", "/tasks")):
        if name in request.path_params:
            return f"{pages}/{quote(request.path_params[name], safe='')}"
    return None


def _way_back(request: Request) -> str:
    """Return the log-in page, which leads back to the form where one was sent."""
    return "/login" if request.method in SAFE_METHODS else log_in_address(form_page(request))


async def _is_logged_in(request: Request) -> bool:
    """Say whether whoever came to an address has a session: one without a page has not looked."""
    if not hasattr(request.state, "session"):
        try:
            request.state.session = await session_of(request.app.state.context, request)
        except PlacetError:  # what is told about the address is true all the same
            return True
    return request.state.session is not None
