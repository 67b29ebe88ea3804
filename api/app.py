"""The application: all routers under /api/v1, errors as problem details, and the API documentation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from opentelemetry.trace import TracerProvider
from starlette.types import ASGIApp

from api import docs
from api.context import ApiContext
from api.http import problems
from api.http.call_ids import CallIdMiddleware
from api.http.cross_origin import CodecOriginMiddleware
from api.http.paths import BASE, PagesMiddleware, TrailingSlashMiddleware
from api.http.refused_calls import RefusedCallsMiddleware
from api.http.security_headers import OF_THE_API, AppWithHeaders
from api.http.shutdown import Shutdown, ShutdownMiddleware
from api.routes import (
    actions,
    admin_acts,
    attachments,
    auth,
    authzen,
    bpmn,
    canaries,
    chat,
    claims,
    conversation,
    cost_reports,
    costs,
    drafting,
    drafts,
    event_logs,
    evidence,
    forecasts,
    health,
    metrics,
    migration,
    notifications,
    payloads,
    people,
    receipts,
    requests,
    retention,
    simulations,
    slas,
    suggestions,
    tasks,
    templates,
    transparency_log,
    waiting,
    watching,
    webhooks,
)
from api.schemas.common import ProblemDocument
from api.scim import routes as scim
from service.administration.health import Health
from service.attachments import draft_files
from service.suggestions import generation

_DESCRIPTION = """\
Approval processes as durable Temporal workflows. Send `Authorization: Bearer TOKEN` with every call; `placet token
PERSON` creates a token. A browser that is logged in sends its cookie instead, and `X-CSRF-Token` with calls that change
something. Send an `Idempotency-Key` of your choice with every call that changes something: a repeat with
the same key has no second effect and gets the same answer. Errors are problem details (RFC 9457); `errors` names the
place of each fault by JSON Pointer.
"""
_ERRORS: dict[int, str] = {
    401: "No valid token.",
    403: "The caller is not permitted to do this.",
    404: "The resource does not exist, or the caller may not see it.",
    409: "The task is decided, the request has ended, or the call conflicts with the current state.",
    422: "The body or a parameter is invalid; `errors` names the place of each fault.",
    429: "Too many calls wait. Nothing has happened; repeat after `Retry-After` seconds.",
    503: "The outcome is unknown. Repeat with the same Idempotency-Key after `Retry-After` seconds.",
}
# api.http.calls reads both headers before a route is called; here they are only described.
_TOKEN = HTTPBearer(auto_error=False, scheme_name="token", description="The token that `placet token PERSON` prints.")
_ERRORS_OF_BODIES = {"413": "The body is too large.", "415": "The body is of a type that is not taken."}
_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key gets the same answer; with another body it is refused (422).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class _Api(AppWithHeaders):
    """FastAPI with an id for each call, and the Idempotency-Key header in the documentation of mutating calls."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return what answers calls."""
        return CallIdMiddleware(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            for operations in super().openapi()["paths"].values():
                for method in operations.keys() & {"post", "put", "patch", "delete"}:
                    operations[method].setdefault("parameters", []).append(_KEY)
                    if "requestBody" in operations[method]:
                        _refuse_bodies(operations[method]["responses"])
        return super().openapi()


def _refuse_bodies(responses: dict[str, Any]) -> None:
    """Tell for what a body is refused before it is read; the form of that answer is the one of other problems."""
    if problems.MEDIA_TYPE in (content := responses.get("422", {}).get("content", {})):
        for status, text in _ERRORS_OF_BODIES.items():
            responses.setdefault(status, {"description": text, "content": content})


def create_app(context: ApiContext, pages: ASGIApp | None = None) -> FastAPI:
    """Return the API for this context; `pages` answers what is not the API's."""
    app = _application(context.tracer_provider, pages)
    set_context(app, context)
    return app


def set_context(app: FastAPI, context: ApiContext) -> None:
    """Have an application answer with this context from now on; its tracing stays as it was made."""
    app.state.context = context
    app.state.shutdown = Shutdown(context.admission)
    app.state.health = Health(context)


def describe() -> dict[str, Any]:
    """Return the OpenAPI document; it needs no engine and no database."""
    return _application().openapi()


def _application(tracer_provider: TracerProvider | None = None, pages: ASGIApp | None = None) -> _Api:
    app = _Api(
        headers=OF_THE_API,
        telemetry={
            "tracer_provider": tracer_provider,
            "tracing": tracer_provider is not None,
            "metrics": False,  # the stored totals are the API's metrics
            "logs": False,
            "operation_spans": False,
            "exclude": _is_monitoring,
        },
        lifespan=_lifespan,
        title="Placet",
        version="1.0.0",
        description=_DESCRIPTION,
        openapi_url=f"{BASE}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    problems.install(app)
    docs.install(app)
    if pages is not None:
        app.add_middleware(cast(Any, PagesMiddleware), pages=pages)
    app.add_middleware(cast(Any, RefusedCallsMiddleware))
    app.add_middleware(cast(Any, CodecOriginMiddleware))
    app.add_middleware(cast(Any, ShutdownMiddleware))
    app.add_middleware(cast(Any, TrailingSlashMiddleware))
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    errors = {
        status: {"model": ProblemDocument, "description": text, "content": content} for status, text in _ERRORS.items()
    }
    for part in (
        templates,
        drafting,
        drafts,
        bpmn,
        migration,
        requests,
        claims,
        conversation,
        waiting,
        watching,
        costs,
        cost_reports,
        forecasts,
        tasks,
        receipts,
        transparency_log,
        payloads,
        evidence,
        event_logs,
        admin_acts,
        retention,
        people,
        actions,
        simulations,
        slas,
        suggestions,
        canaries,
        notifications,
        webhooks,
        chat,
        authzen,
        metrics,
        auth,
    ):
        app.include_router(part.router, prefix=BASE, responses=cast(Any, errors), dependencies=[Security(_TOKEN)])
    for router in (attachments.router, attachments.uploads, event_logs.uploads, auth.everybodys):
        app.include_router(router, prefix=BASE, responses=cast(Any, errors), dependencies=[Security(_TOKEN)])
    app.include_router(authzen.keys, prefix=BASE, responses=cast(Any, errors))
    app.include_router(authzen.metadata, responses=cast(Any, errors))
    app.include_router(chat.signed, prefix=BASE, responses=cast(Any, errors))
    app.include_router(scim.router)
    app.include_router(health.router, prefix=BASE)
    app.include_router(metrics.scraped, prefix=BASE)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the background jobs: shadows, simulations, evidence packs, event logs, unsent files, nightly suggestions."""
    context: ApiContext = app.state.context
    works = (
        context.shadows.watch(),
        context.jobs.watch(),
        context.evidence.watch(),
        context.event_logs.watch(),
        draft_files.watch(context),
        generation.watch(context),
    )
    watching = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await context.confirmations.close()
        await context.pool.close()


def _is_monitoring(scope: MutableMapping[str, Any]) -> bool:
    """Whether a call is for monitoring; those calls are not traced, because there are too many of them."""
    return str(scope.get("path", "")).startswith((f"{BASE}/health", f"{BASE}/metrics"))
