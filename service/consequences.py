"""What a decision on a task would lead to, and what may still come of a request: worked out from the request's live
state; nothing changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import thread_time

from sqlalchemy import Connection

from insight.forecast.response_times import PastTasks
from placet.directory import Directory
from placet.engine.events import Decide
from placet.engine.state import Decision, State
from placet.errors import Gone
from placet.errors import Unavailable as Away
from placet.plan.plan import Plan
from service import commands
from service.context import Context
from service.engine import client as engine
from service.forecasts.past import past_of_process
from service.principal import Principal
from service.visibility import seen_request
from simulation.modes.ahead import MOST_STEPS, Ahead, ahead_of
from simulation.modes.consequences import Bound, Consequence, Unavailable, consequences
from storage.queries.definitions import definitions
from storage.queries.people.people import read_directory
from storage.queries.requests import requests
from storage.tables.approvals import DefinitionVersion

# Of the processor, for all decisions of a task together, and for what may still come of a request. What others do on a
# busy machine makes nobody's request too large to explore.
SECONDS = 0.1
SECONDS_AHEAD = 0.1
# Until the workflow has told its state; one that nobody has at hand is replayed first, and has it at the next look.
SECONDS_OF_ENGINE = 1.0
AWAY = "The engine does not answer now. Look again later."


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What each decision leads to, and the revision that it would be a decision on."""

    revision: int
    decisions: Mapping[Decision, Consequence | Unavailable]


async def consequences_of(context: Context, principal: Principal, task_id: str) -> Consequences:
    """Return what a person's decision on a task leads to.

    Raises NotFound, NotPermitted for whoever may not decide it, the core's refusal, Ended and Unavailable.
    """
    event = Decide(by=principal.actor, task_id=task_id, decision="approve")
    request_id, resolved = await context.database.read(commands.resolve, principal, task_id, event, context.now())
    assert isinstance(resolved, Decide)  # noqa: S101 - a decision stays one
    try:
        state, plan, template = await _live(context, request_id)
    except Gone:  # it has ended
        raise commands.what_stands(await context.database.read(requests.read, request_id), task_id) from None
    past = await context.database.read(past_of_process, template.name, context.now())
    people = await context.database.read(read_directory, plan.names, also=state.people, given=state.input)
    found = await asyncio.to_thread(_work_out, context, plan, state, resolved, people, past)
    return Consequences(revision=state.revision, decisions=found)


async def what_may_come(context: Context, principal: Principal, request_id: str) -> Ahead | Unavailable | None:
    """Return what may still come of a request, or why that cannot be said; None where it has ended.

    Raises NotFound where the person may not see the request.
    """
    stored = await context.database.read(seen_request, principal, request_id, context.now())
    if stored.request.status != "pending":
        return None
    try:
        async with asyncio.timeout(SECONDS_OF_ENGINE):
            state, plan, _ = await _live(context, request_id)
    except (Away, TimeoutError):
        return Unavailable(reason=AWAY)
    except Gone:
        return None
    if state.status != "pending":
        return None
    return await asyncio.to_thread(_look_ahead, plan, state)


def _look_ahead(plan: Plan, state: State) -> Ahead | Unavailable:
    until = thread_time() + SECONDS_AHEAD
    return ahead_of(plan, state, Bound(work=MOST_STEPS, in_time=lambda: thread_time() < until))


async def _live(context: Context, request_id: str) -> tuple[State, Plan, DefinitionVersion]:
    """Return a running request's state as its workflow holds it, and what it runs; raises Gone and Unavailable."""
    state = await engine.state_of(context, request_id)

    def read(connection: Connection) -> DefinitionVersion:
        stored = requests.read(connection, request_id)
        return definitions.get(connection, stored.request.template_id)

    template = await context.database.read(read)
    return state, await context.plans.of(context.database, template, state.started_at), template


def _work_out(  # noqa: PLR0917 - called in a thread
    context: Context,
    plan: Plan,
    state: State,
    event: Decide,
    people: Directory,
    past: PastTasks,
) -> Mapping[Decision, Consequence | Unavailable]:
    usual = {stage: times.quantile(0.5) for stage, times in past.response_times(plan.calendar).items()}
    until = thread_time() + SECONDS
    return consequences(
        plan,
        state,
        event,
        now=context.now(),
        directory=people,
        usual=usual,
        bound=Bound(in_time=lambda: thread_time() < until),
    )
