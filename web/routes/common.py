"""What all routes of the pages share: the context, the visitor, the entries of a form, and pages for errors."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from api.context import ApiContext
from api.http.calls import record_refusal, request_of
from api.http.problems import status_of
from placet.errors import PlacetError, Unavailable, Unseen
from web.forms.fields import Field
from web.forms.reading import Entries
from web.templating import render
from web.views.files import FileLine
from web.views.versions import Versions
from web.visitor import Visitor


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """What the pages of one process of Placet work with."""

    context: ApiContext
    versions: Versions = field(default_factory=Versions)


async def _here(request: Request) -> WebContext:
    here: WebContext = request.app.state.web
    return here


Here = Annotated[WebContext, Depends(_here)]


def shown(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page."""
    return render(request, template, values, status=status)


async def missing_files(here: WebContext, request_id: str, files: Sequence[FileLine]) -> tuple[int, ...]:
    """Return the numbers of those files that the store does not have; none where the store does not answer."""
    try:
        held = [here.context.files.holds(request_id, file.sha256, file.bytes) for file in files]
        return tuple(file.n for file, there in zip(files, await asyncio.gather(*held), strict=True) if not there)
    except Unavailable:
        return ()


def see_other(address: str, done: str | None = None) -> RedirectResponse:
    """Send the browser on after a form; `done` names what was done, for a notice there."""
    page, mark, place = address.partition("#")
    if done:
        page += ("&" if "?" in page else "?") + f"done={done}"
    return RedirectResponse(page + mark + place, 303)


def fresh_key() -> str:
    """Return a key that makes a form count once, however often it is sent."""
    return uuid4().hex


async def entries_of(request: Request, visitor: Visitor) -> Entries:
    """Return the entries of the form that was sent."""
    form = await request.form()  # web.security has bounded it
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
