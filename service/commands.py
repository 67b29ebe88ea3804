"""What people do to requests and tasks: offered to the engine, and answered with what is then on record."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from activities.decision_tokens import DecisionTokens
from placet.audit.chain import moment
from placet.definition.assignees import people_in
from placet.definition.model import parse_definition
from placet.definition.variables import normalise_input
from placet.engine.bound_action import BoundAction
from placet.engine.events import AddApprover, Claim, Decide, Delegate, Happened, Proof, Reassign, Resubmit, Undo
from placet.errors import AlreadyDecided, Ended, Gone, NotPermitted, PlacetError, ReauthenticationRequired
from placet.expressions.templates import value_from
from placet.plan.plan import Plan
from placet.sentences import sentence
from placet.tasks.permissions import require_no_agent, require_not_operating_own
from service import mentions
from service.context import Context
from service.engine import client as engine
from service.engine.client import Command
from service.principal import Principal
from service.requests import require_known
from service.visibility import present, see_request, see_task, seen_request
from storage.queries.definitions import definitions
from storage.queries.people import people
from storage.queries.requests import deciders, requests
from storage.queries.requests.requests import RequestWithTasks, TaskRow
from storage.recording.outbox import Confirmation
from storage.tables.approvals import DefinitionVersion

# Events of one bulk call at the same time; more would delay the calls of others in the engine.
_AT_ONCE = 8
CLOCK_SKEW = timedelta(minutes=1)
"""By how much the clock of an identity provider may be ahead of ours."""


async def act_on_task(
    context: Context, principal: Principal, task_id: str, event: Command, *, key: str
) -> RequestWithTasks:
    """Offer an event about one task; raises NotFound, NotPermitted, the core's refusal, Busy, or Unavailable.

    `key` is the engine's update id: the same event under the same key is carried out once.
    """
    if isinstance(event, Decide):
        event = event if event.proof is not None else replace(event, proof=_proof_of(context, principal, event))
        await context.rate_limits.decisions.count(principal.person)
    request_id, event = await context.database.look_up(resolve, principal, task_id, event, context.now())
    try:
        return await _offer(context, principal, request_id, event, key=key, task_id=task_id)
    except ReauthenticationRequired as error:
        raise _where_to_sign(context, error.message, task_id) from None


def _proof_of(context: Context, principal: Principal, event: Decide) -> Proof | None:
    """Return how a call itself proves who decides: by the JWT of a person who has just logged in at the provider.

    It is theirs and for this task alone by the call, and for what they saw by its revision.
    """
    at = principal.authenticated_at
    if principal.channel != "jwt" or principal.actor_type != "person" or at is None or event.revision is None:
        return None
    now = context.now()
    if not now - context.identity.sign_within <= at <= now + CLOCK_SKEW:
        return None
    return Proof(name=principal.name or principal.person, method="oidc", at=at)


def _where_to_sign(context: Context, message: str | None, task_id: str) -> ReauthenticationRequired:
    where = f"{context.notify.public_url or ''}/tasks/{task_id}"
    max_age = int(context.identity.sign_within.total_seconds())
    return ReauthenticationRequired(message, where=where, max_age=max_age)


async def act_on_tasks(
    context: Context,
    principal: Principal,
    events: Sequence[Decide] | Sequence[Delegate | Reassign],
    *,
    key: str,
) -> list[RequestWithTasks | PlacetError]:
    """Offer an event about each of several tasks; each succeeds or fails by itself.

    Returns for each, in their order, the request after it or the error of `act_on_task`. Each task has its own key,
    derived from `key`, so that a repeat under the same key repeats each event.
    """
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(event: Decide | Delegate | Reassign) -> RequestWithTasks | PlacetError:
        own = hashlib.sha256(f"{key}:{event.task_id}".encode()).hexdigest()
        async with room:
            try:
                return await act_on_task(context, principal, event.task_id, replace(event, key=own), key=own)
            except PlacetError as error:
                return error

    return await asyncio.gather(*map(one, events))


async def act_on_request(
    context: Context, principal: Principal, request_id: str, event: Command, *, key: str, task_id: str | None = None
) -> RequestWithTasks:
    """Offer an event about a request; raises NotFound, NotPermitted, the core's refusal, Busy, or Unavailable."""
    stored = await context.database.read(see_request, principal, request_id, context.now())
    require_not_operating_own(event, stored.request.requester)
    if isinstance(event, mentions.MENTIONING) and "@" in event.text:
        told = await context.database.read(mentions.told, request_id, event.text, context.now())
        event = replace(event, mentions=told)
    return await _offer(context, principal, request_id, event, key=key, task_id=task_id)


async def resubmit(
    context: Context,
    principal: Principal,
    request_id: str,
    *,
    given: dict[str, Any] | None = None,
    title: str | None = None,
    action: BoundAction | None = None,
    comment: str | None = None,
    key: str,
) -> RequestWithTasks:
    """Answer a request for changes; of the input, only what is given changes. Raises as `act_on_request`."""
    if given is not None:
        stored, template = await _with_definition(context, principal, request_id)
        variables = parse_definition(template.blueprint).variables
        # What was left out may be what the process itself has set, and is the core's to fill in.
        given = {name: value for name, value in normalise_input(variables, given).items() if name in given}
        await _require_known(context, (await _plan(context, stored, template)).asked(given), at="/input")
    event = Resubmit(by=principal.actor, input=given, title=title, action=action, comment=comment, key=key)
    return await act_on_request(context, principal, request_id, event, key=key)


async def tell_event(
    context: Context, principal: Principal, request_id: str, *, name: str, payload: dict[str, Any], key: str
) -> RequestWithTasks:
    """Tell a request that something it waits for has happened outside. Raises as `act_on_request`.

    InputInvalid where it would make somebody an approver who is not there.
    """
    plan = await _plan(context, *await _with_definition(context, principal, request_id))
    outputs = [item for node in plan.nodes.values() if node.event == name for item in node.sources.items()]
    sources = {source for variable, source in outputs if variable in plan.people_variables}
    await _require_known(context, {source: value_from(payload, source) for source in sorted(sources)}, at="/payload")
    event = Happened(by=principal.actor, name=name, payload=payload, key=key)
    return await act_on_request(context, principal, request_id, event, key=key)


async def decision_token(context: Context, principal: Principal, task_id: str, secret: str) -> tuple[str, TaskRow]:
    """Sign a token with which the `decide` signal decides a task as this person, until it changes hands.

    Returns it with the task. Raises NotFound and NotPermitted.
    """
    decides = Decide(by=principal.actor, task_id=task_id, decision="approve")
    task = await context.database.read(concerned, principal, task_id, decides, context.now())
    token = DecisionTokens(secret, context.now).issue(
        principal.person, task_id, task.round, hand_overs=task.hand_overs, revision=task.revision
    )
    return token, task


def concerned(connection: Connection, principal: Principal, task_id: str, event: Command, now: datetime) -> TaskRow:
    """Return the task that an event is about; raises NotFound, and NotPermitted for what the caller may never do."""
    require_no_agent(event)
    if isinstance(event, Decide | Undo | Claim):
        _need_decider(connection, principal, task_id)
    task = see_task(connection, principal, task_id, now)
    if (requester := requests.requester_of(connection, task.request_id)) is not None:
        require_not_operating_own(event, requester)
    if isinstance(event, Undo) and task.signature is not None and principal.channel == "token":
        raise ReauthenticationRequired(
            "This decision is signed, and a token alone does not undo it. Log in as yourself and undo it on its page.",
            where=f"/tasks/{task_id}",
        )
    return task


def _need_decider(connection: Connection, principal: Principal, task_id: str) -> None:
    """Raise NotPermitted for whoever is no approver, unless the task is of a process of theirs.

    Checked before the lookup, so the answer does not reveal whether the task exists.
    """
    if not principal.approves and not principal.owns(requests.owner_of(connection, task_id)):
        raise NotPermitted(
            sentence("Deciding needs the access approver, which user:{person} does not have.", person=principal.person)
        )


def resolve(
    connection: Connection, principal: Principal, task_id: str, event: Command, now: datetime
) -> tuple[str, Command]:
    """Return the request's id and the event, a substitute's decision marked as such; raises as `concerned`."""
    task = concerned(connection, principal, task_id, event, now)
    if (
        isinstance(event, Decide | AddApprover)
        and task.status == "open"
        and stands_in(connection, principal, task, now)
    ):
        event = replace(event, stands_in=True)
    return task.request_id, event


def stands_in(connection: Connection, principal: Principal, task: TaskRow, now: datetime) -> bool:
    """Whether this person stands in now for whoever has a task, or for a delegate; the core asks again."""
    if principal.person in {task.assignee, *task.delegates}:
        return False
    how, _, away = task.assigned_via.partition(":")
    holder = away if how == "substitution" else task.assignee
    holders = [one for one in (holder, *task.delegates) if one is not None]
    stand_ins = deciders.substitutes_of(connection, holders, now) if holders else {}
    return any(principal.person in people for people in stand_ins.values())


async def _with_definition(
    context: Context, principal: Principal, request_id: str
) -> tuple[RequestWithTasks, DefinitionVersion]:
    def read(connection: Connection) -> tuple[RequestWithTasks, DefinitionVersion]:
        stored = seen_request(connection, principal, request_id, context.now())
        return stored, definitions.get(connection, stored.request.template_id)

    return await context.database.read(read)


async def _plan(context: Context, stored: RequestWithTasks, template: DefinitionVersion) -> Plan:
    """Return the plan by which a request may name people; it is compiled as of when the request began."""
    return await context.plans.of(context.database, template, stored.request.started_at)


async def _require_known(context: Context, asked: dict[str, Any], *, at: str) -> None:
    """Raise InputInvalid where what is sent names somebody who is not there."""
    known = await context.database.read(people.activity, [one for value in asked.values() for one in people_in(value)])
    require_known(asked, lambda person: known.get(person, False), at=at)


async def _offer(
    context: Context, principal: Principal, request_id: str, event: Command, *, key: str, task_id: str | None
) -> RequestWithTasks:
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
    # History holds the entries now, so their notifications may leave.
    context.confirmations.note(Confirmation(request_id=request_id, seq=answer.seq, head=answer.head))
    return await context.database.look_up(_presented, request_id, context.now())


def _presented(connection: Connection, request_id: str, now: datetime) -> RequestWithTasks:
    return present(connection, requests.read(connection, request_id), now)


def what_stands(stored: RequestWithTasks, task_id: str | None) -> PlacetError:
    """Return why nothing can be done to a request that the engine no longer runs."""
    task = next((t for t in stored.tasks if t.id == task_id), None)
    if task is not None and task.status in {"decided", "superseded"}:
        return AlreadyDecided(_said(task), standing=_standing(task, stored))
    if stored.request.status == "pending":
        return Ended("The engine no longer runs this request: it was terminated there, or its history is gone.")
    return Ended(sentence("The request has ended: {outcome}.", outcome=stored.request.outcome or stored.request.status))


def _said(task: TaskRow) -> str:
    if task.status == "decided":
        by = f"user:{task.decided_by}" if task.decided_by else "system"
        return f"The task has been decided: {task.decision} by {by}."
    return "The task is closed: its stage has been settled without it."


def _standing(task: TaskRow, stored: RequestWithTasks) -> dict[str, str | None]:
    decided = task if task.status == "decided" else _last_vote(task, stored)
    return {
        "task_id": task.id,
        "status": task.status,
        "decision": decided.decision if decided else None,
        "decided_by": f"user:{decided.decided_by}" if decided and decided.decided_by else None,
        "decided_at": moment(decided.decided_at) if decided and decided.decided_at else None,
        "outcome": stored.request.outcome,
    }


def _last_vote(task: TaskRow, stored: RequestWithTasks) -> TaskRow | None:
    """Return the task whose decision settled the stage of a task that was closed unanswered, if one did."""
    votes = [t for t in stored.tasks if (t.stage, t.round, t.status) == (task.stage, task.round, "decided")]
    return max(reversed(votes), key=lambda t: t.decided_at or t.opened_at, default=None)
