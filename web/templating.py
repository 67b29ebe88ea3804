"""Templates: jinja2 with everything escaped, and what each page knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.identity.login import Session

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page. Every template knows `me`, the principal or None, `csrf_token`, and `path`."""
    session: Session | None = getattr(request.state, "session", None)
    known = {
        "me": None if session is None else session.principal,
        "csrf_token": "" if session is None else session.csrf_token,
        "path": request.url.path,
    }
    html = _TEMPLATES.get_template(template).render({**known, **(values or {})})
    return HTMLResponse(html, status_code=status, headers=dict(headers or {}))
