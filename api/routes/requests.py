"""Requests: start, list, read, and everything that concerns one as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from api.acting import act_on_request
from api.calls import PersonalRoute
from api.context import Context
from api.deps import At, Caller, Cursor, Here, Limit, Reading, ThisCall
from api.identity import Principal
from api.schemas.common import Listed, PersonRef
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
from api.seeing import Unseen, all_present, seen_request, sight_of
from api.starting import require_known, start_request
from api.verifying import verify
from placet.definition.model import parse_definition
from placet.definition.variables import normalise_input
from placet.engine.events import Comment, Extend, Happened, Resubmit, Withdraw
from placet.errors import NotFound
from placet.expressions.templates import taken
from placet.json_text import with_floats
from placet.plan.assignees import people_in
from storage.queries.cursor import read_number, write
from storage.queries.definitions import definitions
from storage.queries.people import people
from storage.queries.requests import requests
from storage.queries.requests.requests import Stored
from storage.recording.verify import verify_rows

router = APIRouter(prefix="/workflow/requests", tags=["requests"], route_class=PersonalRoute)

_SECONDS_AN_HOUR = 3600


@router.post("/", status_code=201)
async def start_a_request(context: Here, caller: Caller, call: ThisCall, body: NewRequest) -> RequestView:
    """Start a request for approval; answers once its first entry is on record."""
    return _view(context, await start_request(context, caller, body, call))


@router.get("/")
async def list_requests(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    session: Reading,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Literal["pending", "completed", "failed", "cancelled"] | None = None,
    template: Annotated[str | None, Query(max_length=200)] = None,
    requester: Annotated[PersonRef | Literal["me"] | None, Query()] = None,
    outcome: Annotated[str | None, Query(max_length=60)] = None,
    title: Annotated[str | None, Query(max_length=200, description="A part of it, in any case.")] = None,
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
    page = await requests.page(
        session,
        limit=limit,
        cursor=cursor,
        viewer=None if caller.sees_all else await sight_of(session, caller.person),
        status=status,
        template=template,
        requester=caller.person if requester == "me" else requester,
        outcome=outcome,
        title=title,
        started=requests.Span(after=started_after, before=started_before),
        ended=requests.Span(after=ended_after, before=ended_before),
        sort=sort,
    )
    shown = await all_present(session, page.items)
    return Listed(items=[_view(context, stored) for stored in shown], next_cursor=page.next_cursor)


@router.get("/{request_id}/")
async def read_request(context: Here, session: Reading, caller: Caller, request_id: str) -> RequestView:
    """Show one request with all of its tasks."""
    return _view(context, await seen_request(session, caller, request_id))


@router.get("/{request_id}/timeline/")
async def read_timeline(
    session: Reading, caller: Caller, request_id: str, limit: Limit | None = None, cursor: Cursor = None
) -> Listed[TimelineItem]:
    """Show all that happened to a request, oldest first; in pages where a `limit` is given."""
    await seen_request(session, caller, request_id)
    rows = await requests.timeline(session, request_id)
    after = read_number(cursor) if cursor is not None else 0
    end = len(rows) if limit is None else min(len(rows), after + limit)
    items = [TimelineItem.of(row, number) for number, row in enumerate(rows[after:end], after + 1)]
    return Listed(items=items, next_cursor=write(str(end)) if end < len(rows) else None)


@router.get("/{request_id}/audit/verify/")
async def verify_chain(context: Here, session: Reading, caller: Caller, request_id: str) -> Verified:
    """Recompute the audit chain from its rows, and compare its head with the engine's history."""
    await _may_verify(session, caller, request_id)
    found = await verify(context.database, context.client, request_id)
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
    """Take a request back; its requester can."""
    event = Withdraw(by=caller.actor, how="withdrawn", reason=body.reason if body else None, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/cancel/")
async def cancel(
    context: Here, caller: Caller, call: ThisCall, request_id: str, body: ReasonBody | None = None
) -> RequestView:
    """End a request without an outcome of its own; its process owner and admins can."""
    event = Withdraw(by=caller.actor, how="cancelled", reason=body.reason if body else None, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/comments/")
async def comment(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewComment) -> RequestView:
    """Say something about a request, on record."""
    event = Comment(by=caller.actor, text=body.text, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/extend/")
async def extend(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewDeadline) -> RequestView:
    """Move deadlines; the process owner and admins can."""
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
    """Tell a request that something it waits for has happened; the process owner and admins can."""
    await _require_known(context, caller, request_id, body)
    event = Happened(by=caller.actor, name=body.name, payload=with_floats(body.payload), key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


@router.post("/{request_id}/resubmit/")
async def resubmit(
    context: Here, caller: Caller, call: ThisCall, request_id: str, body: Resubmission | None = None
) -> RequestView:
    """Answer a request for changes: the stage that asked opens again."""
    given = None
    body = body or Resubmission()
    if body.input is not None:
        async with context.database.session() as session:
            stored = await seen_request(session, caller, request_id)
            template = await definitions.get(session, stored.request.template_id)
        variables = parse_definition(template.blueprint).variables
        # What was left out may be what the process itself has set, and is the core's to fill in.
        given = {k: v for k, v in normalise_input(variables, body.input).items() if k in body.input}
        async with context.database.session() as session:
            asked = (await context.plans.of(session, template, stored.request.started_at)).asked(given)
        known = await context.database.read(people.activity, [one for v in asked.values() for one in people_in(v)])
        require_known(asked, lambda person: known.get(person, False))
    event = Resubmit(by=caller.actor, input=given, title=body.title, comment=body.comment, key=call.key)
    return _view(context, await act_on_request(context, caller, request_id, event, key=call.key))


async def _require_known(context: Context, caller: Principal, request_id: str, body: NewEvent) -> None:
    """Raise InputInvalid where an event would make somebody an approver who is not there."""
    async with context.database.session() as session:
        stored = await seen_request(session, caller, request_id)
        template = await definitions.get(session, stored.request.template_id)
        plan = await context.plans.of(session, template, stored.request.started_at)
    pauses = [p.wait_spec for p in plan.nodes.values() if p.wait_spec is not None and p.wait_spec.event == body.name]
    sources = {source for pause in pauses for variable, source in pause.output.items() if variable in plan.naming}
    asked = {source: taken(body.payload, source) for source in sorted(sources)}
    known = await context.database.read(people.activity, [one for v in asked.values() for one in people_in(v)])
    require_known(asked, lambda person: known.get(person, False), at="/payload")


async def _may_verify(session: AsyncSession, caller: Principal, request_id: str) -> None:
    try:
        await seen_request(session, caller, request_id)
    except Unseen:
        raise
    except NotFound:
        if not (await verify_rows(session, request_id))["entries"]:
            raise  # otherwise the request's own row is gone, and its entries are not
    except (ValueError, DBAPIError):
        return  # a row that was edited into nonsense: that is what is to be found out


def _view(context: Context, stored: Stored) -> RequestView:
    return RequestView.of(stored, context.ui_link(stored.request.id))
