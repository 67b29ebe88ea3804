"""Templates: jinja2 with everything escaped, in the reader's language, and what each page knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes
from jinja2.ext import InternationalizationExtension
from markupsafe import Markup, escape

from languages.catalogues import say_in
from placet.sentences import translated
from service.identity.login import Session
from web.forms.browser_drafts import browser_draft
from web.languages import Wording, catalogue
from web.views.browsers import browser_named
from web.views.inbox import counted
from web.views.words import NOTICES
from web.visitor import wording_of

STATIC = Path(__file__).with_name("static")


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page.

    Every template knows `me` (the principal, or None), `draft_of` (where the browser keeps the texts of a form),
    `csrf_token`, `path`, `wording`, and what the frame shows around it. `?done=` in the address names what was just
    done, for a notice.
    """
    session: Session | None = getattr(request.state, "session", None)
    wording = wording_of(request)
    me = None if session is None else session.principal
    done = NOTICES.get(request.query_params.get("done", ""))
    known = {
        "me": me,
        "draft_of": None if me is None else partial(browser_draft, request.app.state.context.secret, me.person),
        "csrf_token": "" if session is None else session.csrf_token,
        "path": request.url.path,
        "layout": "plain.html" if me is None else "base.html",
        "wording": wording,
        "zone": str(wording.zone),
        "may_start": me is not None and bool(me.access & {"requester", "admin"}),
        "may_operate": me is not None and me.admin,
        "may_audit": me is not None and me.sees_all,
        "may_design": me is not None and bool(me.access & {"designer", "admin"}),
        "notice": wording.say(done) if done else None,
        "badge": None,
        "own_breaches": None,
        "section": None,
        "faults": (),
        "conflict": None,
        "undo": None,
    }
    html = _environment(wording.language).get_template(template).render({**known, **(values or {})})
    return HTMLResponse(html, status_code=status, headers=dict(headers or {}))


def static(name: str) -> str:
    """Return the address of a static file; a digest of what is in it lets browsers keep it for good."""
    return _addresses()[name]


@lru_cache(1024)
def icon(name: str, size: int = 16) -> Markup:
    """Return a picture of the set of icons, `size` pixels wide and high, which says nothing to a screen reader."""
    use = f'<use href="{static("icons.svg")}#{escape(name)}"/>'
    return Markup(f'<svg class="icon" aria-hidden="true" width="{size}" height="{size}">{use}</svg>')  # noqa: S704 - what is not ours is escaped


def when(at: datetime, wording: Wording) -> Markup:
    """Return how far a moment is from now, with the moment itself to point at."""
    moment, zone, distance = escape(wording.moment(at)), escape(wording.zone_name(at)), escape(wording.distance(at))
    return Markup(f'<time datetime="{at.isoformat()}" title="{moment} {zone}">{distance}</time>')  # noqa: S704 - what is not ours is escaped


class OwnTexts(InternationalizationExtension):
    """Gettext in templates, for an environment with one language: a text without variables is translated once."""

    def _make_node(self, singular: str, plural: str | None, context: str | None, *rest: Any) -> nodes.Output:
        variables, plural_expr = rest[0], rest[1]
        made = super()._make_node(singular, plural, context, *rest)
        if plural_expr is not None or context is not None or variables:
            return made
        say: Callable[[str], str] = self.environment.texts.gettext  # type: ignore[attr-defined]  # extended below
        return nodes.Output([nodes.TemplateData(say(singular) % {})])


def initials(name: str) -> str:
    """Return the first letters of the first and the last word of a name."""
    parts = name.split()
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:]))[:2].upper()


@cache
def _addresses() -> dict[str, str]:
    files = (file for file in STATIC.iterdir() if file.is_file())
    return {file.name: f"/static/{file.name}?{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}" for file in files}


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[OwnTexts],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.extend(texts=catalogue(language))
    environment.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    # Filters, and not functions: what they make of constants is in the compiled template.
    environment.filters["static"] = static
    environment.filters["icon"] = icon
    environment.filters["when"] = when
    environment.filters["tell"] = partial(translated, say=say_in(language))
    environment.filters["counted"] = counted
    environment.filters["initials"] = initials
    environment.filters["browser"] = browser_named
    return environment
