"""Requests: follow one, withdraw it, and answer a request for changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.engine.content import changes_as_json, changes_between
from placet.engine.events import Withdraw
from placet.errors import InputInvalid, PlacetError
from service import commands
from web.forms import shapes
from web.forms.reading import Entries, whole
from web.routes.common import (
    Here,
    WebContext,
    act,
    badge_of,
    done_key,
    entries_of,
    fresh_key,
    judged,
    missing_files,
    noting,
    record,
    see_other,
    shown,
)
from web.routes.waiting import read_panel
from web.security import PageRoute
from web.views import words
from web.views.inbox import read_inbox_count
from web.views.requests.conversation import untold_in
from web.views.requests.files import limits_of
from web.views.requests.request import RequestPage, read_request, read_requests
from web.views.requests.timeline import Until
from web.views.values import changes_of
from web.visitor import SignedIn, Visitor
from web.waiting.panel import Panel

router = APIRouter(prefix="/requests", route_class=PageRoute)

RequestId = Annotated[str, Path(max_length=200)]
_SORTS = {"started", "age", "ended", "due", "amount"}
_LONGEST = 4_000
_TITLE = 200


@router.get("")
async def request_list(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """List the reader's requests, or all that they may see."""
    given, wording = request.query_params, visitor.wording
    chosen = {
        "whose": whose if (whose := given.get("whose")) in {"all", "answer"} else "me",
        "q": given.get("q", "").replace("\0", "")[:200].strip(),
        "status": given.get("status", "") if given.get("status") in words.STATUSES else "",
        "template": given.get("template", "").replace("\0", "")[:200],
        "sort": given.get("sort", "") if given.get("sort") in _SORTS else "",
    }

    def read(connection: Connection, cursor: str | None) -> tuple[Any, str | None]:
        found = read_requests(connection, visitor.principal, here.versions, wording, **chosen, cursor=cursor)
        return found, read_inbox_count(connection, visitor.principal, wording)

    try:
        found, badge = await here.context.database.read(read, given.get("cursor") or None)
    except InputInvalid:  # a cursor of another list, or cut off
        found, badge = await here.context.database.read(read, None)
    following = {name: value for name, value in chosen.items() if value and value != "me"}
    this_page = {**following, **({"cursor": given["cursor"][:500]} if given.get("cursor") else {})}
    return shown(
        request,
        "requests.html",
        section="requests",
        badge=badge,
        list=found,
        statuses={key: wording.say(word) for key, word in words.STATUSES.items()},
        next_address="/requests?" + urlencode({**following, "cursor": found.next_cursor or ""}),
        this_address="/requests?" + urlencode(this_page),
        chosen=chosen,
        pickable=visitor.principal.admin and chosen["whose"] == "all",
    )


@router.get("/{request_id}")
async def request_page(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> HTMLResponse:
    """Show a request."""
    return await _page(request, here, visitor, request_id)


@router.get("/{request_id}/edit")
async def edit(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> HTMLResponse:
    """Show the form with which a returned request is sent in again."""
    page = await here.context.database.read(_read, here, visitor, request_id)
    return await _edit_form(request, here, visitor, page, _given(page), page.request.title)


@router.post("/{request_id}/edit")
async def resubmit(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Show what would change, then send a returned request in again."""
    entries = await entries_of(request, visitor)
    page = await here.context.database.read(_read, here, visitor, request_id)
    variables = page.version.asked
    given = shapes.read_input(variables, entries)
    title = entries.text("title")[:_TITLE] or page.request.title
    comment = entries.text("comment")[:_LONGEST]
    if entries.text("step") != "send":
        return await _edit_form(
            request, here, visitor, page, given, title, comment=comment, review=True, entries=entries
        )
    # What was emptied is sent as null, so that it is taken back.
    full = {variable.name: given.get(variable.name) for variable in variables}
    changed = {name: value for name, value in full.items() if value is not None or name in _given(page)}
    key = done_key(visitor, entries.text("key") or fresh_key())
    try:
        await commands.resubmit(
            here.context,
            visitor.principal,
            request_id,
            given=changed,
            title=title if title != page.request.title else None,
            comment=comment or None,
            key=key,
        )
    except InputInvalid as error:
        return await _edit_form(
            request, here, visitor, page, given, title, comment=comment, error=error, entries=entries
        )
    except PlacetError as error:
        await record(here, visitor, "resubmit", error, request_id=request_id)
        raise
    return see_other(f"/requests/{request_id}", "resubmit")


@router.post("/{request_id}/withdraw")
async def withdraw(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Withdraw one's own request."""
    return await _end(request, here, visitor, request_id, "withdrawn")


@router.post("/{request_id}/cancel")
async def cancel(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Cancel the request of somebody else."""
    return await _end(request, here, visitor, request_id, "cancelled")


async def _end(request: Request, here: WebContext, visitor: Visitor, request_id: str, how: Any) -> Response:
    entries = await entries_of(request, visitor)
    reason = entries.text("reason")[:1000] or None
    action = "withdraw" if how == "withdrawn" else "cancel"
    event = Withdraw(by=visitor.principal.actor, how=how, reason=reason)
    await act(here, visitor, event, entries, action, request_id=request_id)
    return see_other(f"/requests/{request_id}", action)


def _read(
    connection: Connection, here: WebContext, visitor: Visitor, request_id: str, until: Until | None = None
) -> RequestPage:
    link = here.context.ui_link(request_id) if here.context.ui_url else ""
    return read_request(connection, visitor.principal, request_id, here.versions, visitor.wording, link, until)


def _number(request: Request, name: str) -> int | None:
    return whole(request.query_params.get(name, "")[:9])


def _given(page: RequestPage) -> dict[str, Any]:
    return page.version.asked_of(page.request.input)[0]


async def _page(request: Request, here: WebContext, visitor: Visitor, request_id: str) -> HTMLResponse:
    until = Until(entries=_number(request, "entries"), said=_number(request, "said"))

    def read(connection: Connection) -> tuple[RequestPage, str | None, tuple[str, ...]]:
        page = _read(connection, here, visitor, request_id, until)
        untold = untold_in(connection, request.query_params, request_id, visitor.wording)
        return page, read_inbox_count(connection, visitor.principal, visitor.wording), untold

    page, badge, untold = await here.context.database.read(read)
    page = replace(page, missing=await missing_files(here, request_id, page.files))
    panel: Panel | None = None
    proposed: list[tuple[str, str]] = []
    if page.request.status == "pending":
        _, panel, proposed = await read_panel(here, visitor, request_id)
    answer = shown(
        request,
        "request.html",
        section="requests",
        badge=badge,
        page=page,
        panel=panel,
        people=proposed,
        untold=untold,
        upload_key=fresh_key(),
        limits=limits_of(page.version, here.context.attachment_bytes, len(page.files), visitor.wording),
    )
    answer.background = noting(here, visitor, request, request_id, page.news.mark)
    return answer


async def _edit_form(  # noqa: PLR0917
    request: Request,
    here: WebContext,
    visitor: Visitor,
    page: RequestPage,
    given: dict[str, Any],
    title: str,
    *,
    comment: str = "",
    review: bool = False,
    error: InputInvalid | None = None,
    entries: Entries | None = None,
) -> HTMLResponse:
    variables = page.version.asked
    fields = shapes.fields_of(variables, given, visitor.wording)
    changes = None
    if review:
        found = changes_as_json(changes_between(_given(page), given))
        if title != page.request.title:
            found.insert(0, {"field": "title", "before": page.request.title, "after": title})
        changes = {"changes": changes_of(variables, found, visitor.wording)}
    return shown(
        request,
        "request_form.html",
        section="requests",
        badge=await badge_of(here, visitor),
        status=200 if error is None else 422,
        heading=page.request.title,
        description=None,
        action=f"/requests/{page.request.id}/edit",
        up=f"/requests/{page.request.id}",
        up_word=page.request.title,
        title=title,
        comment=comment,
        asked=page.asked_changes,
        review=changes,
        resubmits=True,
        limits=None,
        chosen=None,
        unsent=None,
        draft=f"edit:{page.request.id}:{page.request.revision}",
        key=fresh_key(),
        **judged(fields, error, entries),
    )
