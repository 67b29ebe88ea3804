"""Requests: start, list and show them, and the commands about a whole request."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from api.context import ApiContext
from api.deps import At, Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.requests import (
    NewComment,
    NewDeadline,
    NewEvent,
    NewRequest,
    ReasonBody,
    RequestView,
    Resubmission,
    TimelineItem,
    Verified,
)
from placet.engine.events import Comment, Extend, Withdraw
from placet.json_text import with_floats
from service import commands
from service.commands import act_on_request
from service.documents import PersonOrMe
from service.long_poll import MOST_SECONDS, settled
from service.requests import RequestDraft, start_request
from service.verification import verify_for
from service.visibility import all_present, seen_request, visibility_of_caller
from storage.queries.cursor import part
from storage.queries.requests import requests, timelines
from storage.queries.requests.requests import RequestWithTasks
from storage.queries.requests.timelines import TimelineRow

router = APIRouter(prefix="/workflow/requests", tags=["requests"], route_class=PersonalRoute)

_SECONDS_AN_HOUR = 3600


@router.post("/", status_code=201)
async def start_a_request(context: Here, caller: Caller, call: ThisCall, body: NewRequest) -> RequestView:
    """Start a request for approval. The answer comes when its first audit entry is stored."""
    draft = RequestDraft(
        template=body.template,
        version=body.version,
        title=body.title,
        input=body.input,
        action=body.action.bound if body.action is not None else None,
    )
    stored = await start_request(
        context, caller, draft, request_id=call.subject, requester=body.requester, fresh=call.fresh
    )
    return _view(context, stored)


@router.get("/")
async def list_requests(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Literal["pending", "completed", "failed", "cancelled"] | None = None,
    template: Annotated[str | None, Query(max_length=200)] = None,
    requester: Annotated[PersonOrMe | None, Query(description="`me`, or a person: `user:mia`.")] = None,
    outcome: Annotated[str | None, Query(max_length=60)] = None,
    title: Annotated[str | None, Query(max_length=200, description="A part of the title, in any case.")] = None,
    waits_for_answer: Annotated[
        bool,
        Query(
            description="Only the caller's own requests that wait for an answer of theirs: to a question, or to a "
            "request for changes."
        ),
    ] = False,
    watched: Annotated[bool, Query(description="Only requests that the caller watches.")] = False,
    started_after: At = None,
    started_before: At = None,
    ended_after: At = None,
    ended_before: At = None,
    sort: Annotated[
        Literal["started", "age", "ended", "due", "amount"] | None,
        Query(
            description="`started` newest first (as without), `age` oldest first, `ended` latest first, `due` by the "
            "first deadline of an open task, `amount` largest first."
        ),
    ] = None,
) -> Listed[RequestView]:
    """List the requests that the caller may see, newest first."""
    now = context.now()

    def read(connection: Connection) -> tuple[list[RequestWithTasks], str | None]:
        page = requests.page(
            connection,
            limit=limit,
            cursor=cursor,
            viewer=visibility_of_caller(connection, caller, now),
            status=status,
            template=template,
            requester=caller.person if requester == "me" else requester,
            outcome=outcome,
            title=title,
            watched_by=caller.person if watched else None,
            waits_for_answer_of=caller.person if waits_for_answer else None,
            started=requests.TimeSpan(after=started_after, before=started_before),
            ended=requests.TimeSpan(after=ended_after, before=ended_before),
            sort=sort,
        )
        return all_present(connection, page.items, now), page.next_cursor

    shown, next_cursor = await context.database.read(read)
    return Listed(items=[_view(context, stored) for stored in shown], next_cursor=next_cursor)


@router.get("/{request_id}/")
async def read_request(
    context: Here,
    caller: Caller,
    request_id: str,
    wait: Annotated[
        int,
        Query(
            ge=0,
            le=MOST_SECONDS,
            description="Answer once the request has ended or was returned for changes, at the latest after so many "
            "seconds.",
        ),
    ] = 0,
) -> RequestView:
    """Show one request with all of its tasks. With `wait` this is a long poll: a call that is made again to wait on."""
    if wait:
        return _view(context, await settled(context, caller, request_id, seconds=wait))
    return _view(context, await context.database.read(seen_request, caller, request_id, context.now()))


@router.get("/{request_id}/timeline/")
async def read_timeline(
    context: Here,
    caller: Caller,
    request_id: str,
    limit: Limit | None = None,
    cursor: Cursor = None,
) -> Listed[TimelineItem]:
    """Show the timeline of a request, oldest entry first; in pages if `limit` is given."""

    def read(connection: Connection) -> list[TimelineRow]:
        seen_request(connection, caller, request_id, context.now())
        return timelines.of_request(connection, request_id)

    rows = await context.database.read(read)
    page = part(list(enumerate(rows, 1)), len(rows) if limit is None else limit, cursor)
    return Listed(items=[TimelineItem.of(row, number) for number, row in page.items], next_cursor=page.next_cursor)


@router.get("/{request_id}/audit/verify/")
async def verify_chain(context: Here, caller: Caller, request_id: str) -> Verified:
    """Recompute the audit chain from the database, and compare its last hash with the engine's history."""
    found = await verify_for(context, caller, request_id)
    rows = found["rows"]
    return Verified(
        ok=found["ok"],
        entries=rows["entries"],
        head=rows["head"],
        engine_head=found["engine_head"],
        first_bad_seq=rows["first_bad_seq"],
        differs=rows["differs"],
    )


@router.post("/{request_id}/withdraw/")
async def withdraw(
    context: Here, caller: Caller, call: ThisCall, request_id: str, body: ReasonBody | None = None
) -> RequestView:
    """Withdraw a request. For its requester."""
    event = Withdraw(by=caller.actor, how="withdrawn", reason=body.reason if body else None, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/cancel/")
async def cancel(
    context: Here, caller: Caller, call: ThisCall, request_id: str, body: ReasonBody | None = None
) -> RequestView:
    """Cancel a request. For the process owner and admins."""
    event = Withdraw(by=caller.actor, how="cancelled", reason=body.reason if body else None, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/comments/")
async def comment(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewComment) -> RequestView:
    """Add a comment to a request; it is recorded in the audit chain."""
    event = Comment(by=caller.actor, text=body.text, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/extend/")
async def extend(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewDeadline) -> RequestView:
    """Extend deadlines. For the process owner and admins."""
    seconds = body.hours * _SECONDS_AN_HOUR if body.hours is not None else body.seconds
    event = Extend(
        by=caller.actor,
        task_id=body.task_id,
        seconds=seconds,
        due_at=body.due_at,
        reason=body.reason,
        key=call.key,
    )
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key, task_id=body.task_id))


@router.post("/{request_id}/events/")
async def tell_event(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewEvent) -> RequestView:
    """Send a request an event that it waits for. For the process owner and admins."""
    payload = with_floats(body.payload)
    stored = await commands.tell_event(context, caller, request_id, name=body.name, payload=payload, key=call.key)
    return _view(context, stored)


@router.post("/{request_id}/resubmit/")
async def resubmit(
    context: Here, caller: Caller, call: ThisCall, request_id: str, body: Resubmission | None = None
) -> RequestView:
    """Answer a request for changes. The stage that asked for them opens again."""
    body = body or Resubmission()
    stored = await commands.resubmit(
        context,
        caller,
        request_id,
        given=body.input,
        title=body.title,
        action=body.action.bound if body.action is not None else None,
        comment=body.comment,
        key=call.key,
    )
    return _view(context, stored)


def _view(context: ApiContext, stored: RequestWithTasks) -> RequestView:
    return RequestView.of(stored, context.ui_link(stored.request.id))
