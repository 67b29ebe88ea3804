"""Carry out what people do to a request: offer it to the engine, and answer with what is then on record."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from api import engine
from api.context import Context
from api.engine import Command, Gone
from api.identity import Principal
from api.seeing import need_decider, present, see_request, see_task, stands_in
from placet.audit.chain import moment
from placet.engine.events import Claim, Decide
from placet.errors import AlreadyDecided, Ended, PlacetError
from placet.tasks.permissions import require_not_operating_own
from storage.queries.requests import requests
from storage.queries.requests.requests import Stored, TaskRow
from storage.recording.outbox import Confirmation


async def act_on_task(context: Context, principal: Principal, task_id: str, event: Command, *, key: str) -> Stored:
    """Offer an event about one task; raises NotFound, NotPermitted, the core's refusal, Busy, or Unavailable."""
    request_id, event = await context.database.read(_told_apart, principal, task_id, event)
    return await _offer(context, principal, request_id, event, key=key, task_id=task_id)


async def act_on_request(
    context: Context, principal: Principal, request_id: str, event: Command, *, key: str, task_id: str | None = None
) -> Stored:
    """Offer an event about a request; raises NotFound, NotPermitted, the core's refusal, Busy, or Unavailable."""
    stored = await context.database.read(see_request, principal, request_id)
    require_not_operating_own(event, stored.request.requester)
    return await _offer(context, principal, request_id, event, key=key, task_id=task_id)


def concerned(connection: Connection, principal: Principal, task_id: str, event: Command) -> TaskRow:
    """Return the task that an event is about; raises NotFound, and NotPermitted for what is not theirs to do at all."""
    if isinstance(event, Decide | Claim):
        need_decider(connection, principal, task_id)
    task = see_task(connection, principal, task_id)
    if (requester := requests.requester_of(connection, task.request_id)) is not None:
        require_not_operating_own(event, requester)
    return task


def _told_apart(connection: Connection, principal: Principal, task_id: str, event: Command) -> tuple[str, Command]:
    """Return which request an event is about, and the event: of a decision it is said where somebody stands in."""
    task = concerned(connection, principal, task_id, event)
    if isinstance(event, Decide) and task.status == "open" and stands_in(connection, principal, task):
        event = replace(event, stands_in=True)
    return task.request_id, event


async def _offer(
    context: Context, principal: Principal, request_id: str, event: Command, *, key: str, task_id: str | None
) -> Stored:
    try:
        async with context.admission.turn(principal.person, request_id):
            answer = await engine.command(context, request_id, event, key=key)
    except Gone:
        stored = await context.database.read(requests.read, request_id)
        raise what_stands(stored, task_id) from None
    except AlreadyDecided as error:
        if error.standing or task_id is None:
            raise
        # The request no longer keeps the task; the store does.
        raise what_stands(await context.database.read(requests.read, request_id), task_id) from None
    # History holds the entries now, so their notices may leave.
    await context.confirmations.submit(Confirmation(request_id=request_id, seq=answer.seq, head=answer.head))
    return await context.database.read(_presented, request_id)


def _presented(connection: Connection, request_id: str) -> Stored:
    return present(connection, requests.read(connection, request_id))


def what_stands(stored: Stored, task_id: str | None) -> PlacetError:
    """Return why nothing can be done to a request that the engine no longer runs."""
    task = next((t for t in stored.tasks if t.id == task_id), None)
    if task is not None and task.status in {"decided", "superseded"}:
        return AlreadyDecided(_said(task), standing=_standing(task, stored))
    if stored.request.status == "pending":
        return Ended("The engine no longer runs this request: it was terminated there, or its history is gone.")
    return Ended(f"The request has ended: {stored.request.outcome or stored.request.status}.")


def _said(task: TaskRow) -> str:
    if task.status == "decided":
        by = f"user:{task.decided_by}" if task.decided_by else "system"
        return f"The task has been decided: {task.decision} by {by}."
    return "The task is closed: its stage has been settled without it."


def _standing(task: TaskRow, stored: Stored) -> dict[str, str | None]:
    decided = task if task.status == "decided" else _last_vote(task, stored)
    return {
        "task_id": task.id,
        "status": task.status,
        "decision": decided.decision if decided else None,
        "decided_by": f"user:{decided.decided_by}" if decided and decided.decided_by else None,
        "decided_at": moment(decided.decided_at) if decided and decided.decided_at else None,
        "outcome": stored.request.outcome,
    }


def _last_vote(task: TaskRow, stored: Stored) -> TaskRow | None:
    """Return the task whose decision settled the stage of a task that was closed unanswered, if one did."""
    votes = [t for t in stored.tasks if (t.stage, t.round, t.status) == (task.stage, task.round, "decided")]
    return max(reversed(votes), key=lambda t: t.decided_at or t.opened_at, default=None)
