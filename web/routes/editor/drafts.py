"""Drafts: the list of them, beginning one, and the editor in which each change is saved by itself."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection
from starlette.datastructures import UploadFile

from api.http.uploads import FIELD
from placet.definition.formats import CURRENT
from placet.errors import BlueprintInvalid, Conflict, DraftChanged, InputInvalid, PlacetError
from service.drafting.drafting import draft_from_words
from service.drafts import drafts, exchange
from service.drafts.draft import Draft
from service.drafts.exchange import Source
from service.drafts.merge import Side, merge
from service.visibility import seen_definition
from storage.queries.definitions import drafts as draft_rows
from web.editor.conflict import ConflictView, conflict_of, mine_at, mine_of
from web.editor.findings import ReportView
from web.editor.labels import label_of
from web.editor.operations import changed, patch_between, undone
from web.editor.page import as_text, view_of
from web.editor.words import REFUSALS, WordsBox, status_of, words_box
from web.forms.reading import Entries, whole
from web.paging import PAGE, address_of
from web.routes.common import Here, WebContext, badge_of, done_key, entries_of, fresh_key, see_other, shown
from web.routes.editor.common import PART, DraftId, DraftLine, around, line_of, report_about
from web.security import PageRoute, UploadPageRoute
from web.views.people import names_of
from web.views.processes import ProcessList, read_processes
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/drafts", route_class=PageRoute)
uploads = APIRouter(prefix="/drafts", route_class=UploadPageRoute)

_POLICIES = ("first", "unique", "any")
_LISTED = ("open", "submitted")
_JSON_BEGINS = ("{", "[", " ", "\n", "\r", "\t")  # what a file begins with that is meant as JSON
_LOOK_SECONDS = 0.2  # between looks whether the browser still waits
At = Annotated[str, Query(max_length=300)]


@router.get("")
async def draft_list(
    request: Request, here: Here, visitor: SignedIn, after: Annotated[str | None, Query(max_length=500)] = None
) -> HTMLResponse:
    """List a page of the drafts, those changed last first, and a page of the processes that can be edited."""
    return await _list(request, here, visitor, after)


async def _list(  # noqa: PLR0917 - what became of each way to begin
    request: Request,
    here: WebContext,
    visitor: Visitor,
    after: str | None = None,
    refused: tuple[str, str, PlacetError] | None = None,
    unusable: PlacetError | None = None,
) -> HTMLResponse:
    """Show the list; with `refused`, what was asked for in words, of which process, and why nothing came of it.

    `unusable` says why a file became no draft.
    """

    def read(connection: Connection) -> tuple[ProcessList, list[DraftLine], str | None, WordsBox]:
        page = drafts.list_(connection, visitor.principal, limit=PAGE, cursor=after, status=_LISTED)
        named = names_of(connection, {one.updated_by for one in page.items})
        lines = [line_of(one, named, visitor) for one in page.items]
        box = words_box(connection, here.context.drafting)
        return read_processes(connection, request.query_params), lines, page.next_cursor, box

    processes, lines, following, box = await here.context.database.read(read)
    address = address_of("/drafts", after=following) if following else None
    return shown(
        request,
        "editor/drafts.html",
        status=422 if unusable is not None else 200 if refused is None else status_of(refused[2]),
        section="drafts",
        box=box if refused is None else box.refused(*refused),
        badge=await badge_of(here, visitor),
        unusable=unusable,
        drafts=lines,
        processes=processes,
        next_drafts=address,
        key=fresh_key(),
    )


@uploads.post("")
async def begin(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Begin a draft: from a published version, from a file, or empty."""
    form = await request.form()
    entries = await entries_of(request, visitor)
    context, principal, say = here.context, visitor.principal, visitor.wording.say
    how = entries.text("how")
    if how == "version":
        row = await context.database.read(seen_definition, principal, entries.text("from"))
        draft = await drafts.create(context, principal, based_on=(row.name, row.version))
    elif how == "file":
        try:
            imported = await exchange.import_(context, principal, await _source(form.get(FIELD), visitor))
        except (InputInvalid, BlueprintInvalid) as error:
            return await _list(request, here, visitor, unusable=error)
        draft = imported.draft
        if imported.left:
            badge = await badge_of(here, visitor)
            return shown(
                request, "editor/imported.html", section="drafts", badge=badge, draft=draft, left=imported.left
            )
    elif how == "words":
        return await _begin_from_words(request, here, visitor, entries)
    else:
        name = entries.text("name") or say("New process")
        draft = await drafts.create(context, principal, content=_blank(name, say("Approval")))
    return see_other(f"/drafts/{draft.id}")


@router.get("/{draft_id}")
async def editor(
    request: Request, here: Here, visitor: SignedIn, draft_id: DraftId, at: At = "process"
) -> HTMLResponse:
    """Show a draft with one of its parts."""
    draft = await here.context.database.read(drafts.find, visitor.principal, draft_id)
    return await _page(request, here, visitor, draft, at)


@router.post("/{draft_id}")
async def save(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> Response:
    """Save what a form of the editor holds, and do what it asks for."""
    entries = await entries_of(request, visitor)
    context, principal, at = here.context, visitor.principal, entries.text("at") or "process"
    draft = await context.database.read(drafts.find, principal, draft_id)
    sent = whole(entries.text("revision"))
    revision = draft.revision if sent is None else sent
    base = await _content_at(here, draft, revision)
    op = entries.text("op")
    if op == "undo":
        after = undone(base, entries.text("back"), visitor.wording)
    elif op in {"settle", "overlay"} and entries.text("now") != str(draft.revision):
        after = mine_of(entries, visitor.wording)  # somebody has saved once more since the choice was shown
    elif op in {"settle", "overlay"}:
        mine = mine_of(entries, visitor.wording)
        side: Side = "mine" if op == "overlay" else "theirs"
        choice = partial(merge, base, draft.content, mine, conflicts_to=side, mine_at=mine_at(entries))
        after = (await context.pool.run(choice, by=principal.person)).content
        revision = draft.revision
    else:
        after, at = changed(base, entries, visitor.wording)
    before = draft.content
    try:
        if after != base or op in {"settle", "overlay"}:
            draft = (await drafts.save(context, principal, draft_id, revision=revision, content=after)).draft
    except DraftChanged as error:
        draft = await context.database.read(drafts.find, principal, draft_id)
        named = await context.database.read(names_of, [error.by])
        conflict = conflict_of(error, after, named(error.by), visitor.wording)
        return await _page(request, here, visitor, draft, at, conflict=conflict, began=revision)
    if request.headers.get(PART) is None:
        return see_other(f"/drafts/{draft_id}?{urlencode({'at': at})}#edit", "saved")
    back = as_text(patch_between(draft.content, before)) if draft.content != before else None
    return await _page(request, here, visitor, draft, at, back=back)


@router.get("/{draft_id}/findings")
async def findings(
    request: Request, here: Here, visitor: SignedIn, draft_id: DraftId, at: At = "process"
) -> HTMLResponse:
    """Show the draft with what is found about it. The work ends where nobody waits for its answer any more."""
    draft = await here.context.database.read(drafts.find, visitor.principal, draft_id)
    work = asyncio.create_task(report_about(here, visitor, draft))
    try:
        while not work.done():
            await asyncio.wait([work], timeout=_LOOK_SECONDS)
            if not work.done() and await request.is_disconnected():
                return HTMLResponse(status_code=499)
        report, _ = await work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError, PlacetError):
            await work
    return await _page(request, here, visitor, draft, at, report=report)


@router.get("/{draft_id}/export")
async def export(here: Here, visitor: SignedIn, draft_id: DraftId) -> Response:
    """Return the draft as a file."""
    draft = await here.context.database.read(drafts.find, visitor.principal, draft_id)
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in draft.process)[:80]
    headers = {"Content-Disposition": f'attachment; filename="{name or "blueprint"}.json"'}
    return Response(exchange.export(draft), media_type="application/json", headers=headers)


async def _begin_from_words(request: Request, here: WebContext, visitor: Visitor, entries: Entries) -> Response:
    """Have a draft written, or a suggestion where a process was chosen; the same form again is the same one."""
    words, template = entries.text("words"), entries.text("template")
    ident = done_key(visitor, f"words:{entries.text('key') or fresh_key()}")[:32]
    try:
        made = await draft_from_words(here.context, visitor.principal, words, template=template or None, ident=ident)
    except REFUSALS as error:
        return await _list(request, here, visitor, refused=(words, template, error))
    if made.suggestion is not None:
        return see_other(f"/suggestions/{made.suggestion.row.id}", "drafted")
    assert made.draft is not None  # noqa: S101 - it is either
    return see_other(f"/drafts/{made.draft.id}", "drafted")


async def _content_at(here: WebContext, draft: Draft, revision: int) -> dict[str, Any]:
    """Return what a draft held when a form was made of it; raises Conflict where that is too long ago."""
    if revision == draft.revision:
        return draft.content
    found = await here.context.database.read(draft_rows.content_of, draft.id, revision)
    if found is None:
        raise Conflict("This page is too old to be saved. Open the draft again, and change it there.")
    return found


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    draft: Draft,
    at: str,
    *,
    conflict: ConflictView | None = None,
    began: int = 0,
    back: str | None = None,
    report: ReportView | None = None,
) -> HTMLResponse:
    surroundings, named = await around(here, draft)
    line = line_of(draft, named, visitor)
    view = view_of(draft.content, at, line.base, surroundings, visitor.wording)
    say = visitor.wording.say
    return shown(
        request,
        "editor/draft.html",
        section="drafts",
        badge=await badge_of(here, visitor),
        draft=line,
        view=view,
        conflict=conflict,
        began=began,
        back=back,
        report=report,
        policies=[(one, label_of(f"={one}", say)) for one in _POLICIES],
    )


async def _source(sent: object, visitor: Visitor) -> Source:
    """Return a file as what is imported: BPMN where it is XML, else a blueprint; raises InputInvalid."""
    say = visitor.wording.say
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise InputInvalid(say("Choose a file first."))
    content = await sent.read()
    try:
        text = content.decode("utf-8-sig")
        if text.lstrip().startswith("<"):
            return Source(bpmn=text)
        return Source(blueprint=json.loads(text))
    except json.JSONDecodeError as error:
        if text[:1] not in _JSON_BEGINS:
            raise InputInvalid(say("This file is neither JSON nor BPMN; choose another one.")) from error
        said = say("This file is not JSON: line {line}, column {column} cannot be read. Correct it there.")
        raise InputInvalid(said.format(line=error.lineno, column=error.colno)) from error
    except (ValueError, RecursionError) as error:
        raise InputInvalid(say("This file is neither JSON nor BPMN; choose another one.")) from error


def _blank(name: str, stage: str) -> dict[str, Any]:
    """Return the least that is a process: one stage, whose requests end approved or rejected."""
    return {
        "format": CURRENT,
        "name": name,
        "version": "1.0.0",
        "process_steps": [{"stage_name": stage, "approvers": ["manager_of(requester)"]}],
        "graph_spec": {
            "nodes": [
                {"id": "start", "type": "trigger"},
                {"id": "approval", "type": "approval", "step": stage},
                {"id": "yes", "type": "terminator", "outcome": "approved"},
                {"id": "no", "type": "terminator", "outcome": "rejected"},
            ],
            "edges": [
                {"from": "start", "to": "approval"},
                {"from": "approval", "to": "yes", "on": "approved"},
                {"from": "approval", "to": "no", "on": "rejected"},
            ],
        },
    }
