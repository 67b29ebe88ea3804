"""The application: every router under /api/v1, its errors as problem details, and its own documentation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from opentelemetry.trace import TracerProvider

from api import docs
from api.context import ApiContext
from api.http import problems
from api.http.paths import BASE, EitherSlash
from api.http.shutdown import Shutdown, ShutdownMiddleware
from api.routes import (
    actions,
    bpmn,
    costs,
    health,
    metrics,
    migration,
    notifications,
    people,
    requests,
    simulations,
    tasks,
    templates,
    webhooks,
)
from api.schemas.common import ProblemDocument
from service.administration.health import Health

_DESCRIPTION = """\
Approval processes as durable Temporal workflows. Send `Authorization: Bearer TOKEN` (`placet token PERSON` makes one)
and, with every call that changes something, an `Idempotency-Key` of your own: a repeat with the same key gets the one
answer. Errors are problem details (RFC 9457) that name each place that is wrong by JSON Pointer.
"""
_ERRORS: dict[int, str] = {
    401: "No valid token.",
    403: "Not this person's to do.",
    404: "There is no such thing.",
    409: "Decided already, ended, or in conflict with what is there.",
    422: "Wrong shape or content; `errors` names each place.",
    429: "More calls wait than can be carried out in time; nothing has happened. Repeat after `Retry-After` seconds.",
    503: "The outcome is unknown; repeat with the same Idempotency-Key after `Retry-After` seconds.",
}
# Both headers are read by api.http.calls before a route is; here they are described.
_TOKEN = HTTPBearer(auto_error=False, scheme_name="token", description="What `placet token PERSON` prints.")
_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key gets the one answer; the same key with another body is 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class _Api(FastAPI):
    """FastAPI whose documentation shows the key of mutating calls."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            for operations in super().openapi()["paths"].values():
                for method in operations.keys() & {"post", "put", "patch", "delete"}:
                    operations[method].setdefault("parameters", []).append(_KEY)
        return super().openapi()


def create_app(context: ApiContext) -> FastAPI:
    """Return the API for this context."""
    app = _application(context.tracer_provider)
    app.state.context = context
    app.state.shutdown = Shutdown(context.admission)
    app.state.health = Health(context)
    return app


def describe() -> dict[str, Any]:
    """Return the OpenAPI document, which needs nothing to run."""
    return _application().openapi()


def _application(tracer_provider: TracerProvider | None = None) -> _Api:
    app = _Api(
        telemetry={
            "tracer_provider": tracer_provider,
            "tracing": tracer_provider is not None,
            "metrics": False,  # the stored totals are the API's metrics
            "logs": False,
            "operation_spans": False,
            "exclude": _watched,
        },
        lifespan=_beside,
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
    app.add_middleware(cast(Any, ShutdownMiddleware))
    app.add_middleware(cast(Any, EitherSlash))
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    errors = {
        status: {"model": ProblemDocument, "description": text, "content": content} for status, text in _ERRORS.items()
    }
    for part in (
        templates,
        bpmn,
        migration,
        requests,
        costs,
        tasks,
        people,
        actions,
        simulations,
        notifications,
        webhooks,
        metrics,
    ):
        app.include_router(part.router, prefix=BASE, responses=cast(Any, errors), dependencies=[Security(_TOKEN)])
    app.include_router(health.router, prefix=BASE)
    app.include_router(metrics.scraped, prefix=BASE)
    return app


@asynccontextmanager
async def _beside(app: FastAPI) -> AsyncIterator[None]:
    """Run what goes on beside the calls: standing shadows are fed, and simulations watched."""
    context: ApiContext = app.state.context
    watching = [asyncio.create_task(work) for work in (context.shadows.watch(), context.jobs.watch())]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await context.pool.close()


def _watched(scope: MutableMapping[str, Any]) -> bool:
    """Tell whether a call comes from what watches this process, which would drown the traces of people."""
    return str(scope.get("path", "")).startswith((f"{BASE}/health", f"{BASE}/metrics"))
