"""Pages: templates, what every page shows, and the headers that every page has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.principal import Principal
from web.languages import Wording, catalogue
from web.views import words
from web.views.inbox import counted

HERE = Path(__file__).parent
STATIC = HERE / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ = words.marked
NOTICES = {
    "approve": _("Approved."),
    "reject": _("Rejected."),
    "request_changes": _("Sent back with your request for changes."),
    "abstain": _("You abstained."),
    "claim": _("The task is yours now."),
    "release": _("The task is back in its queue."),
    "delegate": _("Delegated."),
    "reassign": _("Reassigned."),
    "comment": _("Your comment was sent."),
    "withdraw": _("The request was withdrawn."),
    "cancel": _("The request was cancelled."),
    "resubmit": _("Sent in again."),
    "start": _("Your request was sent in."),
    "saved": _("Saved."),
}


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who looks at a page, and how they read. `csrf_token` belongs into every form."""

    principal: Principal
    name: str
    csrf_token: str
    wording: Wording


class Pages:
    """Renders the pages of one process of Placet; every language has its own environment."""

    @cached_property
    def _static(self) -> dict[str, str]:
        # The digest in the address lets browsers keep a file for good.
        return {
            file.name: f"/static/{file.name}?{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"
            for file in STATIC.iterdir()
        }

    def page(
        self,
        request: Request,
        visitor: Visitor | None,
        template: str,
        *,
        wording: Wording,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """Render a page; `visitor` is None where nobody is logged in."""
        principal = visitor.principal if visitor is not None else None
        done = NOTICES.get(request.query_params.get("done", ""))
        common: dict[str, Any] = {
            "wording": wording,
            "zone": str(wording.zone),
            "csrf_token": visitor.csrf_token if visitor is not None else "",
            "reader_name": visitor.name if visitor is not None else "",
            "may_start": principal is not None and bool(principal.access & {"requester", "admin"}),
            "notice": wording.say(done) if done else None,
            "badge": None,
            "section": None,
            "faults": (),
            "conflict": None,
        }
        text = _environment(wording.language).get_template(template)
        body = text.render(**{**common, **values}, static=self._address)
        return HTMLResponse(body, status, {**HEADERS, **(headers or {})})

    def _address(self, name: str) -> str:
        return self._static[name]


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    environment.filters["counted"] = counted
    environment.filters["initials"] = initials
    return environment


def initials(name: str) -> str:
    """Return the first letters of the first and the last word of a name."""
    parts = name.split()
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:]))[:2].upper()


def see_other(address: str, done: str | None = None) -> RedirectResponse:
    """Send the browser on after a form; `done` names what was done, for a notice there."""
    page, hash_sign, place = address.partition("#")
    if done:
        page += ("&" if "?" in page else "?") + f"done={done}"
    return RedirectResponse(page + hash_sign + place, 303, {"Cache-Control": "no-store"})


def own_address(text: str | None, otherwise: str = "/") -> str:
    """Return an address of a page of ours; another one is not followed."""
    if text and text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and len(text) < 2000:
        return text
    return otherwise


def fresh_key() -> str:
    """Return a key that makes a form count once, however often it is sent."""
    return uuid4().hex
