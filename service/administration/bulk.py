"""Several requests cancelled or extended, or several tasks reassigned, in one go: previewed first, then carried out.

A preview lets the core apply each act to a copy of the request's live state, and changes nothing. What is carried out
are the same acts as one by one. Each names the entry after which it was previewed, so that a request that has changed
since is left alone.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from sqlalchemy import Connection

from placet.audit.chain import Entry
from placet.definition.assignees import person_id
from placet.engine import machine
from placet.engine.events import DirectoryRead, Extend, Reassign, Withdraw
from placet.engine.state import State
from placet.errors import Gone, NotFound, PlacetError, Unavailable
from placet.plan.plan import Plan
from placet.tasks.permissions import require_not_operating_own
from service import commands
from service.administration.acts import TwoActs
from service.context import Context
from service.engine import client as engine
from service.principal import Principal
from service.visibility import see_request
from storage.queries.definitions import definitions
from storage.queries.people.people import read_directory
from storage.queries.requests import requests
from storage.queries.requests.requests import RequestWithTasks
from storage.tables.approvals import DefinitionVersion

MOST = 500
"""How many requests or tasks one order may be about."""
_OPERATE = frozenset({"admin"})
_AT_ONCE = 8  # requests; the engine's workflow tasks are what takes long, and others wait for them too
Verb = Literal["cancel", "extend", "reassign"]
_KINDS = {"cancel": "requests_cancelled", "extend": "requests_extended", "reassign": "tasks_reassigned"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do to each, and why: `to` is who gets the tasks, `seconds` by how much working time deadlines move."""

    verb: Verb
    reason: str
    to: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A request, or one of its tasks where tasks are reassigned. `seq` is the entry after which it was previewed."""

    request_id: str
    task_id: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What an act would do to one item (`entries`), or why it would be refused."""

    item: Item
    title: str
    entries: tuple[Entry, ...] = ()
    refused: PlacetError | None = None


def matching(connection: Connection, *, status: str | None, template: str | None, title: str | None) -> list[str]:
    """Return the ids of up to MOST pending requests that match, newest first; all of them are seen by an admin."""
    if status not in {None, "pending"}:
        return []  # what has ended stays as it is
    page = requests.page(connection, limit=MOST, status="pending", template=template, title=title)
    return [one.request.id for one in page.items]


def tasks_held_by(connection: Connection, holder: str) -> list[Item]:
    """Return up to MOST open tasks that a person has, those that are due first."""
    page = requests.task_page(connection, limit=MOST, assignee=holder, status="open", sort="due")
    return [Item(request_id=one.request_id, task_id=one.id) for one in page.items]


def open_tasks(connection: Connection, ids: Sequence[str]) -> list[Item]:
    """Return up to MOST open tasks of these requests that somebody has."""
    found: list[Item] = []
    for request_id in ids:
        try:
            tasks = requests.read(connection, request_id).tasks
        except NotFound:
            continue
        held = (task for task in tasks if task.status == "open" and task.assignee is not None)
        found += [Item(request_id=request_id, task_id=task.id) for task in held]
    return found[:MOST]


async def preview(context: Context, principal: Principal, order: Order, items: Sequence[Item]) -> list[Looked]:
    """Say what an order would do to each item, those of one request together; nothing changes. For admins."""
    principal.need(_OPERATE)
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(request_id: str, those: list[Item]) -> list[Looked]:
        async with room:
            return await _look(context, principal, order, request_id, those)

    return [found for each in await asyncio.gather(*(one(*group) for group in _by_request(items))) for found in each]


async def carry_out(
    context: Context, principal: Principal, order: Order, items: Sequence[Item], *, key: str
) -> list[tuple[Item, RequestWithTasks | PlacetError]]:
    """Do to each item what the order says; each succeeds or fails by itself.

    Each has its own key, derived from `key`, so that a repeat under the same key repeats nothing. Two acts of
    administration put the order on record, and its end. For admins.
    """
    principal.need(_OPERATE)
    items = items[:MOST]
    acts = TwoActs(context, principal, _KINDS[order.verb], "requests")
    named = [item.task_id or item.request_id for item in items]
    await acts.begin({"items": named, **({"to": order.to} if order.to else {})})
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(request_id: str, those: list[Item]) -> list[tuple[Item, RequestWithTasks | PlacetError]]:
        async with room:
            return await _carry_out(context, principal, order, request_id, those, key)

    found = [one for each in await asyncio.gather(*(one(*group) for group in _by_request(items))) for one in each]
    await acts.end(Counter(_result(outcome) for _, outcome in found), done={"done"})
    return found


def _by_request(items: Iterable[Item]) -> list[tuple[str, list[Item]]]:
    """Return the items of each request together: what is done to one is seen by the next."""
    places = {item.request_id: n for n, item in reversed(list(enumerate(items)))}
    ordered = sorted(dict.fromkeys(items), key=lambda item: places[item.request_id])
    return [(request_id, list(those)) for request_id, those in groupby(ordered, lambda item: item.request_id)]


def _event(
    order: Order, principal: Principal, item: Item, *, seq: int | None, key: str | None = None
) -> engine.Command:
    by = principal.actor
    if order.verb == "cancel":
        return Withdraw(by=by, how="cancelled", reason=order.reason, seq=seq, key=key)
    if order.verb == "extend":
        return Extend(by=by, seconds=order.seconds, reason=order.reason, seq=seq, key=key)
    assert item.task_id is not None, "tasks are reassigned"  # noqa: S101
    return Reassign(by=by, task_id=item.task_id, to=order.to or "", reason=order.reason, seq=seq, key=key)


async def _look(
    context: Context, principal: Principal, order: Order, request_id: str, items: list[Item]
) -> list[Looked]:
    def read(connection: Connection) -> tuple[RequestWithTasks, DefinitionVersion]:
        stored = see_request(connection, principal, request_id, context.now())
        return stored, definitions.get(connection, stored.request.template_id)

    try:
        stored, template = await context.database.read(read)
    except PlacetError as error:
        return [Looked(item=item, title=request_id, refused=error) for item in items]
    title = stored.request.title
    try:
        require_not_operating_own(_event(order, principal, items[0], seq=None), stored.request.requester)
        state = await engine.state_of(context, request_id)
        plan = await context.plans.of(context.database, template, state.started_at)
    except Gone:
        why = commands.what_stands(stored, items[0].task_id)
        return [Looked(item=item, title=title, refused=why) for item in items]
    except PlacetError as error:
        return [Looked(item=item, title=title, refused=error) for item in items]
    # All are about the state that the request has now; those that follow the first are carried out after it.
    seq, found = state.seq, []
    for item in items:
        try:
            after, entries = await _applied(context, plan, state, _event(order, principal, item, seq=None))
        except PlacetError as error:
            found.append(Looked(item=item, title=title, refused=error))
        else:
            found.append(Looked(item=replace(item, seq=seq), title=title, entries=entries))
            state = after
    return found


async def _applied(
    context: Context, plan: Plan, state: State, event: engine.Command
) -> tuple[State, tuple[Entry, ...]]:
    now = context.now()
    to = person_id(event.to) if isinstance(event, Reassign) else None
    # Somebody whom the request does not know yet is looked up first, as its workflow does.
    step = machine.apply(plan, state, event, now) if to is None or to in state.directory.people else None
    if step is None or step.needs_directory:
        given = state.input if step is None else step.given
        also = {*state.people, *(() if to is None else (to,))}
        people = await context.database.read(read_directory, plan.names, also=also, given=given)
        read = machine.apply(plan, state, DirectoryRead(directory=people, at=now, given=given), now)
        step = machine.apply(plan, read.state, event, now)
    return step.state, step.entries


async def _carry_out(  # noqa: PLR0917
    context: Context, principal: Principal, order: Order, request_id: str, items: list[Item], key: str
) -> list[tuple[Item, RequestWithTasks | PlacetError]]:
    found: list[tuple[Item, RequestWithTasks | PlacetError]] = []
    seq = items[0].seq
    for item in items:
        own = hashlib.sha256(f"{key}:{item.task_id or request_id}".encode()).hexdigest()
        event = _event(order, principal, item, seq=seq, key=own)
        try:
            if item.task_id is None:
                stored = await commands.act_on_request(context, principal, request_id, event, key=own)
            else:
                stored = await commands.act_on_task(context, principal, item.task_id, event, key=own)
        except PlacetError as error:
            found.append((item, error))
        else:
            found.append((item, stored))
            seq = stored.request.seq  # what this order has changed itself is no change in between
    return found


def _result(outcome: RequestWithTasks | PlacetError) -> str:
    if isinstance(outcome, Unavailable):
        return "unknown"
    return "refused" if isinstance(outcome, PlacetError) else "done"
