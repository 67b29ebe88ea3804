"""The API documentation as a web page. All of its files are served from here, so it works offline."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.http.paths import BASE

_STATIC = Path(__file__).with_name("static")


def install(app: FastAPI) -> None:
    """Serve the page at /docs, and its files."""
    app.mount(f"{BASE}/static", StaticFiles(directory=_STATIC), name="static")

    @app.get(f"{BASE}/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=f"{BASE}/openapi.json",
            title="Placet API",
            swagger_js_url=f"{BASE}/static/swagger-ui/swagger-ui-bundle.js",
            swagger_css_url=f"{BASE}/static/swagger-ui/swagger-ui.css",
            swagger_favicon_url=f"{BASE}/static/swagger-ui/favicon-32x32.png",
        )
