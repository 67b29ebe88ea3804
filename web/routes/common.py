"""What all routes of the pages share: the context, the visitor, the entries of a form, and pages for errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import uuid4

import structlog
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Connection
from starlette.background import BackgroundTask

from api.context import ApiContext
from api.http.calls import record_error
from placet.definition.assignees import is_person, person_id
from placet.errors import InputInvalid, PlacetError, ReauthenticationRequired, Unavailable
from service import commands
from service.administration.health import Health
from service.attachments.attachments import missing
from service.engine.client import Command
from storage.queries.people import people_listing
from storage.queries.requests import reading_marks
from storage.queries.requests.reading_marks import Mark
from storage.queries.requests.requests import RequestWithTasks
from web.forms.fields import Fault, Field, as_entered, faults_of, with_errors
from web.forms.reading import Entries
from web.templating import render
from web.views.inbox import read_inbox_count
from web.views.requests.files import FileLine
from web.views.requests.forecasts import ForecastLines
from web.views.versions import Versions
from web.views.waiting_processes import WaitingProcesses
from web.views.words import marked
from web.visitor import Visitor

_log = structlog.get_logger(__name__)
UNKNOWN_PERSON = marked("Name a person by their id or by their full name, as the list proposes them.")


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """What the pages of one process of Placet work with."""

    context: ApiContext
    health: Health
    versions: Versions = field(default_factory=Versions)
    waiting_processes: WaitingProcesses = field(default_factory=WaitingProcesses)
    forecasts: ForecastLines = field(default_factory=ForecastLines)


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
        return tuple(await missing(here.context.files, request_id, [file.attachment for file in files]))
    except Unavailable:
        return ()


def noting(
    here: WebContext, visitor: Visitor, request: Request, request_id: str, mark: Mark | None
) -> BackgroundTask | None:
    """Return what stores, after the page was sent, how far its reader has read the request; None for nothing.

    A browser that fetches a page in advance has shown it to nobody, and a form that comes back is no look of its own.
    """
    purpose = f"{request.headers.get('sec-purpose', '')} {request.headers.get('purpose', '')}".lower()
    if mark is None or request.method != "GET" or "prefetch" in purpose or "prerender" in purpose:
        return None

    async def note() -> None:
        try:
            await here.context.database.write(reading_marks.put, request_id, visitor.principal.person, mark)
        except Unavailable as error:  # the page was shown; the next look notes it
            _log.warning("last_look_not_stored", reason=error.message)

    return BackgroundTask(note)


def see_other(address: str, done: str | None = None, *, undo: str | None = None) -> RedirectResponse:
    """Send the browser on after a form; `done` names what was done, for a notice there.

    `undo` is the task whose decision the notice offers to undo.
    """
    page, mark, place = address.partition("#")
    if done:
        page += ("&" if "?" in page else "?") + urlencode({"done": done, **({"undo": undo} if undo else {})})
    return RedirectResponse(page + mark + place, 303)


def fresh_key() -> str:
    """Return a key that makes a form count once, however often it is sent."""
    return uuid4().hex


async def entries_of(request: Request, visitor: Visitor) -> Entries:
    """Return the entries of the form that was sent."""
    form = await request.form()  # web.security has bounded it
    return Entries.of(form.multi_items(), visitor.wording.zone, visitor.wording.decimal_sign)


def done_key(visitor: Visitor, given: str) -> str:
    """Return the engine's update id of a form: the same form of the same person counts once."""
    return hashlib.sha256(f"page:{visitor.principal.person}:{given}".encode()).hexdigest()


async def person_of(here: WebContext, visitor: Visitor, text: str) -> str:
    """Return whom a text names, as events name people: by id, or by a name that one active person alone has.

    Raises InputInvalid for what can be nobody's id; whether such a person is there, whoever is asked for them says.
    """
    person = person_id(text)
    found = await here.context.database.read(people_listing.named, person) if person and "\0" not in person else None
    if found is None and not is_person(person):
        raise InputInvalid(visitor.wording.say(UNKNOWN_PERSON))
    return f"user:{found or person}"


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
    await record_error(here.context, visitor.principal, error, action=action, task_id=task_id, request_id=request_id)


async def act(
    here: WebContext,
    visitor: Visitor,
    event: Command,
    entries: Entries,
    action: str,
    *,
    request_id: str | None = None,
    usual: str | None = None,
) -> RequestWithTasks:
    """Offer what a form asks for: about the event's task, or about a request. A refusal is stored as `action`.

    The form's key makes it count once, or the `usual` one where it has none. The form of a list has one key for all
    that can be done in it.
    """
    given, about = entries.text("key"), usual or f"{action}:{request_id or getattr(event, 'task_id', None)}"
    key = done_key(visitor, f"{given}:{about}" if given else usual or fresh_key())
    event = replace(event, key=key)
    task_id: str | None = getattr(event, "task_id", None)
    try:
        if request_id is None:
            assert task_id is not None  # noqa: S101 - who names no request has an event of a task
            return await commands.act_on_task(here.context, visitor.principal, task_id, event, key=key)
        return await commands.act_on_request(here.context, visitor.principal, request_id, event, key=key)
    except ReauthenticationRequired:  # no refusal yet: the page leads on to the signature
        raise
    except PlacetError as error:
        await record(here, visitor, action, error, task_id=task_id, request_id=request_id)
        raise


async def badge_of(here: WebContext, visitor: Visitor) -> str | None:
    """Return how many tasks wait for the reader, for the frame of a page that reads nothing else at that moment."""
    return await here.context.database.read(read_inbox_count, visitor.principal, visitor.wording)


def operations_frame(connection: Connection, visitor: Visitor, part: str) -> dict[str, Any]:
    """Return what every page of operations shows around itself; `part` is the tab that it belongs to."""
    badge = read_inbox_count(connection, visitor.principal, visitor.wording)
    return {"badge": badge, "section": "operations", "part": part}


def judged_decision(
    fields: tuple[Field, ...], error: PlacetError | None, say: Callable[[str], str], entries: Entries | None = None
) -> dict[str, Any]:
    """Return what `judged` does about the form of a decision, whose comment is a field of its own."""
    comment = Field(name="comment", pointer="/comment", label=say("Comment"), widget="long", at="comment")
    found = judged((*fields, comment), error, entries)
    *fields_of_stage, comment = found["fields"]
    return {**found, "fields": tuple(fields_of_stage), "comment_error": comment.error}


def judged(fields: tuple[Field, ...], error: PlacetError | None, entries: Entries | None = None) -> dict[str, Any]:
    """Return the fields of a form with what is wrong with them, and the list above it; `error` None: nothing is.

    The numbers of a form that was sent stand in its fields as they were written, by its `entries`.
    """
    if entries is not None:
        fields = as_entered(fields, entries)
    if error is None:
        return {"fields": fields, "faults": []}
    found = faults_of(error.problems)
    return {"fields": with_errors(fields, found), "faults": _listed(error, found, fields)}


def _listed(error: PlacetError, faults: Sequence[Fault], fields: tuple[Field, ...]) -> list[dict[str, str | None]]:
    """Return what is wrong as the list above a form: each with the field it is about, if it is one of the form."""
    known = {one.pointer: one for one in _flat(fields)}
    if not faults:
        return [{"ident": None, "label": None, "message": error.message}]
    found: list[dict[str, str | None]] = []
    for pointer, message in faults:
        place = pointer
        while place and place not in known:
            place = place.rpartition("/")[0]
        one = known.get(place)
        said = one.said((pointer, message)) if one is not None else None
        where = {"ident": one.ident if one else None, "label": one.label if one else None}
        found.append(where | {"message": said or message})
    return found


def _flat(fields: tuple[Field, ...]) -> list[Field]:
    found: list[Field] = []
    for one in fields:
        found += [one, *_flat(one.fields)]
        for row in one.rows:
            found += _flat(row)
    return found
