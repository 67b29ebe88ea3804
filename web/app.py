"""The application that people and programs reach: the API, and the pages beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api import app as api
from api.context import ApiContext
from web import problems
from web.routes import home, login
from web.security import HeadersMiddleware

ROUTERS = (home.router, login.router)


def create_app(context: ApiContext) -> FastAPI:
    """Return the API and the pages for this context."""
    return api.create_app(context, pages(context))


def pages(context: ApiContext) -> FastAPI:
    """Return the pages alone."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, title="Placet", redirect_slashes=True)
    app.state.context = context
    problems.install(app)
    app.add_middleware(cast(Any, HeadersMiddleware))
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), name="static")
    return app
