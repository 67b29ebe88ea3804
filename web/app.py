"""The application that people and programs reach: the API, and the pages beside it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api import app as api
from api.context import ApiContext
from api.http.security_headers import AppWithHeaders
from service.administration.health import Health
from web import problems
from web.routes import (
    admin,
    attachments,
    audit,
    bulk,
    canaries,
    consequences,
    conversation,
    costs,
    decision_links,
    evidence,
    forecasts,
    inbox,
    live,
    login,
    me,
    new_request,
    processes,
    receipts,
    requests,
    saved_views,
    sessions,
    suggestions,
    tasks,
    transparency_log,
    waiting,
)
from web.routes.common import WebContext
from web.routes.editor import drafts, publishing, trying
from web.routes.insight import breaches, event_logs, slas
from web.routes.operations import acts, home, people, person_edit, retention, tokens, webhook_changes, webhooks
from web.routes.operations import bulk as bulk_requests
from web.routes.simulations import events, orders, results
from web.security import HEADERS
from web.signing import passkeys, sign
from web.templating import STATIC

ROUTERS = (
    inbox.router,
    saved_views.router,
    bulk.router,
    tasks.router,
    consequences.router,
    receipts.router,
    evidence.router,
    transparency_log.router,
    home.router,
    webhook_changes.router,
    webhooks.router,
    people.router,
    person_edit.router,
    tokens.router,
    retention.router,
    admin.router,
    acts.router,
    bulk_requests.router,
    decision_links.router,
    sign.router,
    new_request.router,
    new_request.uploads,
    requests.router,
    conversation.router,
    processes.router,
    forecasts.router,
    audit.router,
    waiting.router,
    orders.router,
    results.router,
    events.router,
    drafts.router,
    drafts.uploads,
    trying.router,
    publishing.router,
    suggestions.router,
    costs.router,
    event_logs.router,
    event_logs.uploads,
    slas.router,
    breaches.router,
    canaries.router,
    attachments.router,
    me.router,
    me.preferences,
    passkeys.router,
    sessions.router,
    live.router,
    login.router,
)


def create_app(context: ApiContext) -> FastAPI:
    """Return the API and the pages for this context."""
    return api.create_app(context, pages(context))


def pages(context: ApiContext) -> FastAPI:
    """Return the pages alone."""
    app = AppWithHeaders(
        headers=HEADERS, openapi_url=None, docs_url=None, redoc_url=None, title="Placet", redirect_slashes=True
    )
    set_context(app, context)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", _Lasting(directory=STATIC), name="static")
    return app


def set_context(app: FastAPI, context: ApiContext) -> None:
    """Have the pages work with this context from now on."""
    app.state.context = context
    app.state.web = WebContext(context=context, health=Health(context))


class _Lasting(StaticFiles):
    """Static files, which browsers keep: their addresses carry a digest of what is in them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file."""
        response = await super().get_response(path, scope)
        if scope["query_string"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
