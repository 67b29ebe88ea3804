"""Event logs of other systems: one is looked at and imported, read while one watches, and becomes a draft."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from api.context import ApiContext
from api.http.uploads import FIELD, upload_in
from placet.errors import Busy, Conflict, InputInvalid, NotFound, PlacetError
from placet.json_values import storable
from service.attachments.attachments import Upload
from service.drafts import drafts
from service.event_logs import logs
from service.event_logs.stored import LONGEST_NAME
from storage.queries import event_logs
from web.event_logs.map_form import map_fields, read_map_form
from web.event_logs.page import EventLogLine, PreviewView, SuggestedProcess, lines_of, preview_of, suggested_of
from web.forms.fields import Field
from web.forms.reading import whole
from web.paging import PAGE, address_of
from web.routes.common import (
    Here,
    WebContext,
    badge_of,
    done_key,
    entries_of,
    fresh_key,
    judged,
    record,
    see_other,
    shown,
)
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.visitor import SignedIn, Visitor


class EventLogPageRoute(PageRoute):
    """A page whose form may carry an event log."""

    def _most_bytes(self, context: ApiContext) -> int:
        return context.max_body_bytes + context.event_log_bytes


@dataclass(frozen=True, kw_only=True)
class _Filled:
    """What was entered to import a log: its name, and a map once one was shown; `key` makes the form count once."""

    key: str
    name: str = ""
    mapped: dict[str, Any] | None = None


router = APIRouter(prefix="/event-logs", route_class=PageRoute)
uploads = APIRouter(prefix="/event-logs", route_class=EventLogPageRoute)

LogId = Annotated[str, Path(max_length=200)]
LEAST = 10  # decisions of a stage, unless another number is entered
_MOST_LEAST = 100_000


@router.get("")
async def log_list(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> HTMLResponse:
    """List the logs, newest first."""

    def read(connection: Connection, cursor: str | None) -> tuple[tuple[EventLogLine, ...], str | None, str | None]:
        page = event_logs.page(connection, limit=PAGE, cursor=cursor)
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return lines_of(connection, page.items, visitor.wording), page.next_cursor, badge

    try:
        rows, after, badge = await here.context.database.read(read, cursor)
    except InputInvalid:  # a cursor of another list, or cut off
        rows, after, badge = await here.context.database.read(read, None)
    following = address_of("/event-logs", cursor=after) if after else None
    return shown(request, "event_logs/list.html", section="drafts", badge=badge, rows=rows, next_address=following)


@router.get("/new")
async def new(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the form that a log is imported by."""
    return await _form(request, here, visitor, _Filled(key=fresh_key()))


@uploads.post("")
async def import_(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Look at the beginning of a file by a map, or import it; a form that is sent twice imports one log."""
    entries = await entries_of(request, visitor)
    filled = _Filled(key=entries.text("key") or fresh_key(), name=entries.text("name"), mapped=read_map_form(entries))
    try:
        upload = await _upload_of(request, visitor)
    except InputInvalid as error:
        return await _form(request, here, visitor, filled, error=error)
    filled = replace(filled, name=filled.name or upload.name[:LONGEST_NAME])
    if entries.text("step") == "import" and filled.mapped is not None:
        log_id = done_key(visitor, f"{filled.key}:{upload.sha256}")[:32]
        try:
            row = await logs.import_log(
                here.context,
                here.context.event_logs,
                visitor.principal,
                upload,
                log_id=log_id,
                name=filled.name,
                mapped=filled.mapped,
            )
        except (InputInvalid, Busy) as error:
            await record(here, visitor, "import_log", error)
            return await _looked_at(request, here, visitor, upload, filled, error=error)
        return see_other(f"/event-logs/{row.id}")
    return await _looked_at(request, here, visitor, upload, filled)


@router.get("/{log_id}")
async def log_page(request: Request, here: Here, visitor: SignedIn, log_id: LogId) -> HTMLResponse:
    """Show a log: how far it is, and what it holds."""
    return await _page(request, here, visitor, log_id)


@router.post("/{log_id}/suggest")
async def suggest(request: Request, here: Here, visitor: SignedIn, log_id: LogId) -> HTMLResponse:
    """Suggest a process from a log, and show how well it fits later cases; nothing is stored."""
    entries = await entries_of(request, visitor)
    least = whole(entries.text("least") or str(LEAST))
    try:
        if least is None or not 1 <= least <= _MOST_LEAST:
            message = visitor.wording.say("Enter a whole number from 1 to {most}.")
            raise InputInvalid.at("/min_occurrences", message.format(most=visitor.wording.number(_MOST_LEAST)))
        found = await logs.suggest(here.context, visitor.principal, log_id, min_occurrences=least)
    except (InputInvalid, Conflict) as error:
        return await _page(request, here, visitor, log_id, error=error)

    def read(connection: Connection) -> tuple[EventLogLine, SuggestedProcess, str | None]:
        row = event_logs.get(connection, log_id)
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return (
            lines_of(connection, [row], visitor.wording)[0],
            suggested_of(connection, found, visitor.wording),
            badge,
        )

    log, suggested, badge = await here.context.database.read(read)
    return shown(
        request,
        "event_logs/suggestion.html",
        section="drafts",
        badge=badge,
        log=log,
        found=suggested,
        least=least,
        key=fresh_key(),
    )


@router.post("/{log_id}/draft")
async def open_draft(request: Request, here: Here, visitor: SignedIn, log_id: LogId) -> Response:
    """Begin a draft with the process that was suggested; a form that is sent twice begins one."""
    entries = await entries_of(request, visitor)
    await here.context.database.read(event_logs.get, log_id)
    try:
        content = json.loads(entries.text("blueprint"))
    except (ValueError, RecursionError) as error:
        raise InputInvalid(visitor.wording.say("Suggest the process again, and open that.")) from error
    draft_id = f"log-{done_key(visitor, entries.text('key') or fresh_key())[:32]}"
    draft = await drafts.create(here.context, visitor.principal, content=content, draft_id=draft_id)
    return see_other(f"/drafts/{draft.id}")


@router.get("/{log_id}/remove")
async def ask_before_removing(request: Request, here: Here, visitor: SignedIn, log_id: LogId) -> HTMLResponse:
    """Ask before a log is deleted."""
    return await _ask(request, here, visitor, log_id)


@router.post("/{log_id}/remove")
async def remove(request: Request, here: Here, visitor: SignedIn, log_id: LogId) -> Response:
    """Delete a log with its cases."""
    try:
        await logs.delete_log(here.context, visitor.principal, log_id)
    except Conflict as error:
        return await _page(request, here, visitor, log_id, error=error)
    except NotFound:  # the form was sent twice
        pass
    return see_other("/event-logs", "log_removed")


async def _upload_of(request: Request, visitor: Visitor) -> Upload:
    sent = (await request.form()).get(FIELD)
    if sent is None or isinstance(sent, str) or not sent.filename or not storable(sent.filename):
        raise InputInvalid.at(f"/{FIELD}", visitor.wording.say("Choose a file first."))
    return await upload_in(sent)


async def _looked_at(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    upload: Upload,
    filled: _Filled,
    *,
    error: PlacetError | None = None,
) -> HTMLResponse:
    """Show what the beginning of a file holds; where the map is wrong, what its columns are."""
    context, principal, mapped = here.context, visitor.principal, filled.mapped
    told = None
    try:
        told = await logs.preview(context, principal, upload, mapped)
    except InputInvalid as wrong:
        error = error or wrong
        if any(one.pointer.startswith("/map") for one in wrong.problems):
            told = await logs.preview(context, principal, upload, None)
    if told is None:
        return await _form(request, here, visitor, filled, error=error)
    used = mapped if mapped is not None else told["map"] or told["proposed_map"]
    wrong_map = mapped is not None and told["map"] != mapped
    return await _form(
        request,
        here,
        visitor,
        filled,
        error=error,
        fields=map_fields(told["columns"], used, visitor.wording),
        preview=None if wrong_map else preview_of(told, visitor.wording),
        file_name=upload.name,
    )


async def _form(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    filled: _Filled,
    *,
    error: PlacetError | None = None,
    fields: tuple[Field, ...] = (),
    preview: PreviewView | None = None,
    file_name: str = "",
) -> HTMLResponse:
    status = 200 if error is None else 503 if isinstance(error, Busy) else 422
    return shown(
        request,
        "event_logs/new.html",
        section="drafts",
        badge=await badge_of(here, visitor),
        status=status,
        key=filled.key,
        name=filled.name,
        file_name=file_name,
        preview=preview,
        longest_name=LONGEST_NAME,
        most=here.context.event_log_bytes,
        **judged(fields, error),
    )


async def _page(
    request: Request, here: WebContext, visitor: Visitor, log_id: str, *, error: PlacetError | None = None
) -> HTMLResponse:
    def read(connection: Connection) -> tuple[EventLogLine, str | None]:
        row = event_logs.get(connection, log_id)
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return lines_of(connection, [row], visitor.wording)[0], badge

    log, badge = await here.context.database.read(read)
    reasons = [] if error is None else [one.message for one in error.problems] or [error.message]
    status = 200 if error is None else 409 if isinstance(error, Conflict) else 422
    return shown(
        request,
        "event_logs/page.html",
        section="drafts",
        badge=badge,
        status=status,
        log=log,
        reasons=reasons,
        least=LEAST,
        most_least=_MOST_LEAST,
    )


async def _ask(request: Request, here: WebContext, visitor: Visitor, log_id: str) -> HTMLResponse:
    def read(connection: Connection) -> tuple[EventLogLine, str | None]:
        row = event_logs.get(connection, log_id)
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return lines_of(connection, [row], visitor.wording)[0], badge

    log, badge = await here.context.database.read(read)
    return shown(request, "event_logs/remove.html", section="drafts", badge=badge, log=log)
