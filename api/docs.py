"""The API documentation as a web page. All of its files are served from here, so it works offline."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
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
        page = get_swagger_ui_html(
            openapi_url=f"{BASE}/openapi.json",
            title="Placet API",
            swagger_js_url=f"{BASE}/static/swagger-ui/swagger-ui-bundle.js",
            swagger_css_url=f"{BASE}/static/swagger-ui/swagger-ui.css",
            swagger_favicon_url=f"{BASE}/static/swagger-ui/favicon-32x32.png",
        )
        page.headers["Content-Security-Policy"] = _policy(page.body)
        return page


def _policy(page: bytes | memoryview) -> str:
    """Return the policy of a page that runs its own inline scripts, each by its hash, and otherwise files of ours."""
    inline = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in inline)
    return (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
