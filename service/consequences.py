"""What a person's decision on a task would lead to, worked out from the request's live state; nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from sqlalchemy import Connection

from placet.directory import Directory
from placet.engine.events import Decide
from placet.engine.state import Decision, State
from placet.plan.plan import Plan
from service import commands
from service.context import Context
from service.engine import client as engine
from service.principal import Principal
from simulation.modes.consequences import Bound, Consequence, Unavailable, consequences
from simulation.report.prediction import LEAST_HISTORY, quantile
from storage.queries.definitions import definitions
from storage.queries.people.people import read_directory
from storage.queries.requests import requests
from storage.queries.simulations import simulations
from storage.tables.approvals import DefinitionVersion

# Of computing, for all decisions together; who waits for a page waits for this as well.
SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What each decision leads to, and the revision that it would be a decision on."""

    revision: int
    decisions: Mapping[Decision, Consequence | Unavailable]


async def consequences_of(context: Context, principal: Principal, task_id: str) -> Consequences:
    """Return what a person's decision on a task leads to.

    Raises NotFound, NotPermitted for whoever may not decide it, the core's refusal, Gone and Unavailable.
    """
    begun = monotonic()
    event = Decide(by=principal.actor, task_id=task_id, decision="approve")
    request_id, resolved = await context.database.read(commands.resolve, principal, task_id, event, context.now())
    assert isinstance(resolved, Decide)  # noqa: S101 - a decision stays one
    state = await engine.state_of(context, request_id)

    def read(connection: Connection) -> tuple[DefinitionVersion, dict[str, list[float]]]:
        stored = requests.read(connection, request_id)
        template = definitions.get(connection, stored.request.template_id)
        return template, simulations.response_times(connection, stored.request.template)

    template, past = await context.database.read(read)
    plan = await context.plans.of(context.database, template, state.started_at)
    people = await context.database.read(read_directory, plan.names, also=state.people, given=state.input)
    found = await asyncio.to_thread(_work_out, context, plan, state, resolved, people, past, begun + SECONDS)
    return Consequences(revision=state.revision, decisions=found)


def _work_out(  # noqa: PLR0917 - called in a thread
    context: Context,
    plan: Plan,
    state: State,
    event: Decide,
    people: Directory,
    past: Mapping[str, list[float]],
    until: float,
) -> Mapping[Decision, Consequence | Unavailable]:
    known = {stage: sorted(times) for stage, times in past.items() if len(times) >= LEAST_HISTORY}
    usual = {stage: timedelta(seconds=quantile(times, 0.5)) for stage, times in known.items()}
    return consequences(
        plan,
        state,
        event,
        now=context.now(),
        directory=people,
        usual=usual,
        bound=Bound(in_time=lambda: monotonic() < until),
    )
