"""The situation of a running request: all that is read to say for what it waits and why nothing goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from placet.directory import Directory
from placet.engine.state import State
from placet.errors import Gone, Unavailable
from placet.plan.plan import Plan
from service.administration.health import workers
from service.context import Context
from service.engine import client as engine
from service.engine.client import RunningCall
from storage.queries.definitions import definitions
from storage.queries.notifications import delivery_queue
from storage.queries.people.people import read_directory
from storage.queries.requests.requests import RequestWithTasks, TaskRow
from storage.tables.approvals import DefinitionVersion
from storage.tables.notifications import NotificationMessage

Silence = Literal["engine_away", "worker_away", "request_gone", "no_answer"]
"""Why the engine did not tell how a request stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A request as it is stored and as its workflow holds it.

    `state` and `plan` are None where the engine did not answer (`silence` says why); what is stored is then all that
    is known. `directory` has the people of its open tasks as they are now.
    """

    now: datetime
    stored: RequestWithTasks
    state: State | None
    plan: Plan | None
    silence: Silence | None
    directory: Directory
    messages: tuple[NotificationMessage, ...]
    calls: tuple[RunningCall, ...]

    @property
    def open_tasks(self) -> list[TaskRow]:
        """List the stored tasks that wait for somebody."""
        return [task for task in self.stored.tasks if task.status == "open"]


async def situation_of(context: Context, stored: RequestWithTasks, *, patience: timedelta) -> Situation:
    """Return the situation of a request, whose open tasks say who may claim them now.

    The engine is waited for no longer than `patience`. Raises Unavailable where the database does not answer.
    """
    now = context.now()
    state, calls, silence = await _live(context, stored, now, patience)
    tasks = [task for task in stored.tasks if task.status == "open"]
    people = {stored.request.requester}
    for task in tasks:
        how, _, absent = task.assigned_via.partition(":")
        people.update(filter(None, (task.assignee, *task.delegates, absent if how == "substitution" else None)))
        people.update(task.candidates)

    def read(connection: Connection) -> tuple[DefinitionVersion, Directory, list[NotificationMessage]]:
        return (
            definitions.get(connection, stored.request.template_id),
            read_directory(connection, (), also=people, given=None, loads=False),
            delivery_queue.messages(connection, stored.request.id),
        )

    template, directory, messages = await context.database.read(read)
    plan = await context.plans.of(context.database, template, state.started_at) if state is not None else None
    return Situation(
        now=now,
        stored=stored,
        state=state,
        plan=plan,
        silence=silence,
        directory=directory,
        messages=tuple(messages),
        calls=tuple(calls),
    )


async def _live(
    context: Context, stored: RequestWithTasks, now: datetime, patience: timedelta
) -> tuple[State | None, list[RunningCall], Silence | None]:
    request_id = stored.request.id
    try:
        state = await engine.state_of(context, request_id, within=patience)
        calls = await engine.running_calls(context, request_id, within=patience) if state.actions else []
    except Gone:
        return None, [], "request_gone"
    except Unavailable:
        return None, [], await _silence(context, now, patience)
    return state, calls, None


async def _silence(context: Context, now: datetime, patience: timedelta) -> Silence:
    """Return why nobody answered: the engine is away, no worker polls, or a worker is there and too slow."""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            found = await workers(context.database, context.client, context.task_queue, now)
    except (TimeoutError, Unavailable):
        return "engine_away"
    return "no_answer" if found else "worker_away"
