"""Tasks: the inbox, and the commands about one task or several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection

from api.context import ApiContext
from api.deps import At, Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute, record_error
from api.http.problems import problem_of, status_of
from api.schemas.common import Listed
from api.schemas.consequences import ConsequencesView
from api.schemas.requests import BulkResult, BulkResults, Nothing, RequestView
from api.schemas.tasks import (
    BulkDecision,
    BulkDelegate,
    DecisionToken,
    HandOver,
    NewApprover,
    NewDecision,
    NewDelegate,
    TaskItem,
    TaskView,
)
from placet.engine.events import AddApprover, Claim, Decide, Delegate, Reassign, Release, Undo
from placet.errors import PlacetError
from placet.json_text import with_floats
from service import commands, consequences
from service.documents import PersonOrMe
from service.engine.client import Command
from service.principal import Principal
from service.visibility import seen_task, visibility_of, visibility_of_caller, with_candidates
from storage.queries.requests import requests
from storage.queries.requests.requests import ListedTask, RequestWithTasks

router = APIRouter(prefix="/workflow/tasks", tags=["tasks"], route_class=PersonalRoute)


@router.get("/")
async def list_tasks(  # noqa: PLR0917 - called by keyword, with what its query may hold
    context: Here,
    caller: Caller,
    limit: Limit = 50,
    cursor: Cursor = None,
    assignee: Annotated[PersonOrMe | None, Query(description="`me`, or a person: `user:mia`.")] = None,
    status: Literal["open", "decided", "superseded", "cancelled"] | None = None,
    sla_state: Literal["ok", "warning", "breached"] | None = None,
    request_id: Annotated[str | None, Query(max_length=200)] = None,
    template: Annotated[str | None, Query(max_length=200)] = None,
    due_after: At = None,
    due_before: At = None,
    sort: Annotated[
        Literal["due", "age", "amount"] | None,
        Query(description="`due` soonest first, `age` oldest first, `amount` largest first; else newest first."),
    ] = None,
) -> Listed[TaskItem]:
    """List tasks, newest first. With `assignee`, also tasks that the person may claim or decide for others."""
    whose, now = caller.person if assignee == "me" else assignee, context.now()

    def read(connection: Connection) -> tuple[list[ListedTask], str | None]:
        page = requests.task_page(
            connection,
            limit=limit,
            cursor=cursor,
            viewer=None if whose == caller.person else visibility_of_caller(connection, caller, now),
            waits_for=None if whose is None else visibility_of(connection, whose, now),
            status=status,
            sla_state=sla_state,
            request_id=request_id,
            template=template,
            due=requests.TimeSpan(after=due_after, before=due_before),
            sort=sort,
        )
        return with_candidates(connection, page.items, now), page.next_cursor

    rows, next_cursor = await context.database.read(read)
    return Listed(items=[TaskItem.listed(row) for row in rows], next_cursor=next_cursor)


@router.post("/decide/")
async def decide_many(
    request: Request, context: Here, caller: Caller, call: ThisCall, body: BulkDecision
) -> BulkResults:
    """Decide several tasks. Each decision succeeds or fails by itself."""
    raw = await request.json()
    decisions = [_decision(caller, item, item.task_id, call.key) for item in body.each]

    def place(task_id: str, pointer: str) -> str:
        return body.place(task_id, pointer, raw)

    return await _act_on_many(request, context, caller, decisions, call.key, place)


@router.post("/delegate/")
async def delegate_many(
    request: Request, context: Here, caller: Caller, call: ThisCall, body: BulkDelegate
) -> BulkResults:
    """Delegate several tasks to one person. Each succeeds or fails by itself."""
    events = [
        Delegate(by=caller.actor, task_id=task_id, to=body.to, keep=body.keep, reason=body.reason)
        for task_id in dict.fromkeys(body.task_ids)
    ]
    return await _act_on_many(request, context, caller, events, call.key, lambda _, pointer: pointer)


@router.get("/{task_id}/")
async def read_task(context: Here, caller: Caller, task_id: str) -> TaskView:
    """Show one task."""
    return TaskView.of(await context.database.read(seen_task, caller, task_id, context.now()))


@router.get("/{task_id}/consequences/")
async def read_consequences(context: Here, caller: Caller, task_id: str) -> ConsequencesView:
    """Show what each decision of the caller on a task would lead to. For whoever may decide it; nothing changes."""
    return ConsequencesView.of(await consequences.consequences_of(context, caller, task_id))


@router.post("/{task_id}/decide/")
async def decide(context: Here, caller: Caller, call: ThisCall, task_id: str, body: NewDecision) -> RequestView:
    """Decide a task. The answer is the request after the decision."""
    return await _act(context, caller, task_id, _decision(caller, body, task_id, call.key), call.key)


@router.post("/{task_id}/undo/")
async def undo(
    context: Here,
    caller: Caller,
    call: ThisCall,
    task_id: str,
    body: Nothing | None = None,  # noqa: ARG001 - an empty object may be sent
) -> RequestView:
    """Undo your own decision until `undo_until` of the task (`undo_seconds` of its stage). The task is open again."""
    return await _act(context, caller, task_id, Undo(by=caller.actor, task_id=task_id, key=call.key), call.key)


@router.post("/{task_id}/reassign/")
async def reassign(context: Here, caller: Caller, call: ThisCall, task_id: str, body: HandOver) -> RequestView:
    """Reassign a task to another person. For its assignee, the process owner and admins."""
    event = Reassign(by=caller.actor, task_id=task_id, to=body.to, reason=body.reason, key=call.key)
    return await _act(context, caller, task_id, event, call.key)


@router.post("/{task_id}/delegate/")
async def delegate(context: Here, caller: Caller, call: ThisCall, task_id: str, body: NewDelegate) -> RequestView:
    """Delegate a task to another person. For its assignee."""
    event = Delegate(by=caller.actor, task_id=task_id, to=body.to, keep=body.keep, reason=body.reason, key=call.key)
    return await _act(context, caller, task_id, event, call.key)


@router.post("/{task_id}/approvers/")
async def add_approver(context: Here, caller: Caller, call: ThisCall, task_id: str, body: NewApprover) -> RequestView:
    """Add an approver to the task's stage of this one request. For who may decide the task, the owner and admins."""
    event = AddApprover(by=caller.actor, task_id=task_id, to=body.who, reason=body.reason, key=call.key)
    return await _act(context, caller, task_id, event, call.key)


@router.post("/{task_id}/claim/")
async def claim(
    context: Here,
    caller: Caller,
    call: ThisCall,
    task_id: str,
    body: Nothing | None = None,  # noqa: ARG001 - an empty object may be sent
) -> RequestView:
    """Claim a task from its queue."""
    return await _act(context, caller, task_id, Claim(by=caller.actor, task_id=task_id, key=call.key), call.key)


@router.post("/{task_id}/release/")
async def release(
    context: Here,
    caller: Caller,
    call: ThisCall,
    task_id: str,
    body: Nothing | None = None,  # noqa: ARG001 - an empty object may be sent
) -> RequestView:
    """Return a claimed task to its queue."""
    return await _act(context, caller, task_id, Release(by=caller.actor, task_id=task_id, key=call.key), call.key)


@router.post("/{task_id}/token/")
async def issue_decision_token(context: Here, caller: Caller, task_id: str) -> DecisionToken:
    """Sign a token for the `decide` signal. It decides this task as the caller, until the task is reassigned."""
    token, task = await commands.decision_token(context, caller, task_id, context.secret)
    return DecisionToken(token=token, task_id=task_id, round=task.round)


def _decision(caller: Principal, body: NewDecision, task_id: str, key: str) -> Decide:
    return Decide(
        by=caller.actor,
        task_id=task_id,
        decision=body.decision,
        comment=body.comment,
        form=with_floats(body.form),
        round=body.round,
        revision=body.revision,
        reason=body.reason,
        key=key,
    )


async def _act(context: ApiContext, caller: Principal, task_id: str, event: Command, key: str) -> RequestView:
    return _shown(context, await commands.act_on_task(context, caller, task_id, event, key=key))


async def _act_on_many(  # noqa: PLR0917
    request: Request,
    context: ApiContext,
    caller: Principal,
    events: Sequence[Decide] | Sequence[Delegate],
    key: str,
    place: Callable[[str, str], str],
) -> BulkResults:
    """Offer each event; `place` is the JSON Pointer in the whole body of a fault at a pointer of one task's event."""

    async def shown(event: Decide | Delegate, outcome: RequestWithTasks | PlacetError) -> BulkResult:
        task_id = event.task_id
        if not isinstance(outcome, PlacetError):
            return BulkResult(task_id=task_id, status=200, request=_shown(context, outcome))
        await record_error(context, caller, outcome, action=type(event).__name__.lower(), task_id=task_id)
        outcome.move(lambda pointer: place(task_id, pointer))
        return BulkResult(task_id=task_id, status=status_of(outcome), problem=problem_of(outcome))

    outcomes = await commands.act_on_tasks(context, caller, events, key=key)
    results = await asyncio.gather(*map(shown, events, outcomes))
    # An unknown result is not stored as the answer of the key; a repeat finds the result.
    request.state.unsettled = any(result.status >= 500 for result in results)
    return BulkResults(results=results)


def _shown(context: ApiContext, stored: RequestWithTasks) -> RequestView:
    return RequestView.of(stored, context.ui_link(stored.request.id))
