"""What all routes of the pages share: the context, the visitor, the entries of a form, and pages for errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from api.context import ApiContext
from api.http.calls import record_refusal, request_of
from api.http.problems import status_of
from placet.errors import PlacetError, Unseen
from web.forms.fields import Field
from web.forms.reading import Entries
from web.pages import Pages, Visitor
from web.security import signed_in, wording_of
from web.views.versions import Versions
from web.views.words import marked

_MOST_FIELDS = 5_000


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """What the pages of one process of Placet work with."""

    context: ApiContext
    pages: Pages = field(default_factory=Pages)
    versions: Versions = field(default_factory=Versions)


async def _here(request: Request) -> WebContext:
    here: WebContext = request.app.state.web
    return here


Here = Annotated[WebContext, Depends(_here)]
SignedIn = Annotated[Visitor, Depends(signed_in)]


def shown(request: Request, here: WebContext, visitor: Visitor, template: str, **values: Any) -> HTMLResponse:
    """Render a page for somebody who is logged in."""
    return here.pages.page(request, visitor, template, wording=visitor.wording, **values)


async def entries_of(request: Request, visitor: Visitor) -> Entries:
    """Return the entries of the form that was sent."""
    form = await request.form(max_fields=_MOST_FIELDS, max_files=0)
    return Entries.of(form.multi_items(), visitor.wording.zone)


def done_key(visitor: Visitor, given: str) -> str:
    """Return the engine's update id of a form: the same form of the same person counts once."""
    return hashlib.sha256(f"page:{visitor.principal.person}:{given}".encode()).hexdigest()


async def record(
    here: WebContext,
    visitor: Visitor,
    action: str,
    error: PlacetError,
    *,
    task_id: str | None = None,
    request_id: str | None = None,
) -> None:
    """Store that a person was refused something, as the API does."""
    status = status_of(error)
    if status not in {403, 409, 422} and not isinstance(error, Unseen):
        return
    await record_refusal(
        here.context,
        visitor.principal,
        action=action,
        request_id=request_id or request_of(task_id),
        task_id=task_id,
        status=status,
        reason=error.message,
    )


def faults_of(error: PlacetError, fields: tuple[Field, ...]) -> list[dict[str, str | None]]:
    """Return what is wrong as the list above a form: each with the field it is about, if it is one of the form."""
    known = {one.pointer: one for one in _flat(fields)}
    if not error.problems:
        return [{"ident": None, "label": None, "message": error.message}]
    found: list[dict[str, str | None]] = []
    for problem in error.problems:
        place = problem.pointer
        while place and place not in known:
            place = place.rpartition("/")[0]
        one = known.get(place)
        found.append(
            {"ident": one.ident if one else None, "label": one.label if one else None, "message": problem.message}
        )
    return found


def _flat(fields: tuple[Field, ...]) -> list[Field]:
    found: list[Field] = []
    for one in fields:
        found += [one, *_flat(one.fields)]
        for row in one.rows:
            found += _flat(row)
    return found


class PageRoute(APIRoute):
    """A route whose errors are pages: they say what happened and what to do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route."""
        handle = super().get_route_handler()

        async def paged(request: Request) -> Response:
            try:
                return await handle(request)
            except PlacetError as error:
                return problem_page(request, status_of(error), error.message)
            except RequestValidationError:
                return problem_page(request, 404, "")

        return paged


def problem_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """Return a page that says what went wrong; for whoever is logged in with their navigation around it."""
    here: WebContext = request.app.state.web
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    wording = visitor.wording if visitor is not None else wording_of(request, here)
    title, advice = _PROBLEMS.get(status, _PROBLEMS[500])
    headers = {"Retry-After": "2"} if status in {429, 503} else {}
    return here.pages.page(
        request,
        visitor,
        "problem.html" if visitor is not None else "stranger.html",
        wording=wording,
        status=status,
        headers=headers,
        problem={"title": wording.say(title), "advice": wording.say(advice), "detail": detail if status != 404 else ""},
    )


_ = marked
_PROBLEMS = {
    401: (_("You are not logged in"), _("Log in, and open the page again.")),
    403: (_("You may not do this"), _("Ask the process owner or an admin if you think you should.")),
    404: (_("There is no such page"), _("It may have moved, or it is not yours to see.")),
    409: (_("This is not possible any more"), _("Look at the request as it is now.")),
    410: (_("This link is used up"), _("Each link works once and for a short time. Ask for a new one.")),
    413: (_("Too much was sent"), _("Send less.")),
    422: (_("Something is wrong with what was sent"), _("Go back, correct it, and send it again.")),
    429: (_("Too many at once"), _("Nothing has happened. Wait a moment and try again.")),
    500: (_("Something went wrong"), _("It is on record. Try again, and tell an admin if it stays.")),
    503: (
        _("Placet cannot say what happened"),
        _("A part of it is away for a moment. Send it again: it counts once, however often it is sent."),
    ),
}
