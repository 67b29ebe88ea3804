"""A past that is known to be true: requests that the core ran in virtual time, with people whose waits are given."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from insight.forecast.delays import Delays, Wait
from insight.forecast.futures import Draw
from placet.directory import Directory
from placet.engine.state import Decision, State
from placet.plan.plan import Plan
from service.forecasts.virtual import DrawnPeople
from simulation.run.driver import directory_reader, drive, opening_for
from simulation.world.answers import answers_for
from simulation.world.world import World
from storage.queries.requests.past import PastRequestRow, PastTaskRow

HOUR = 3600.0


def truth(
    stages: Mapping[str, tuple[float, float]], answers: Mapping[Decision, float], *, seed: int = 0, count: int = 4_000
) -> Delays:
    """Return delays that are lognormal by stage: the median in hours, and the spread (sigma of the logarithm)."""
    draw = random.Random(seed)
    waits: list[Wait] = []
    for stage, (hours, spread) in stages.items():
        for _ in range(count):
            decision = draw.choices(list(answers), list(answers.values()))[0]
            seconds = hours * HOUR * draw.lognormvariate(0, spread)
            waits.append(Wait(stage=stage, person=None, seconds=seconds, decision=decision))
    return Delays.of(waits, [draw.lognormvariate(0, 0.5) * 6 * HOUR for _ in range(count)])


def ran(
    plan: Plan,
    people: Directory,
    delays: Delays,
    starts: Sequence[tuple[str, datetime, dict[str, Any]]],
    until: datetime,
    *,
    requester: str = "rita",
) -> list[State]:
    """Return the states of requests (id, start, input) as they are at a moment."""
    read_directory = directory_reader(plan, people)
    found: list[State] = []
    for request_id, start, given in starts:
        draw = Draw(delays=delays, seed=request_id, waited={})
        world = World(
            plan=plan,
            people=DrawnPeople(plan=plan, draw=draw),
            run_child=lambda *_: None,
            answers=answers_for(plan),
        )
        opening = opening_for(
            plan,
            people,
            requester=requester,
            given=given,
            start=start,
            request_id=request_id,
            read_directory=read_directory,
        )
        found.append(drive(plan, opening, world, read_directory=read_directory, horizon=until - start).state)
    return found


def row_of(state: State) -> PastRequestRow:
    """Return what is stored of a request."""
    return PastRequestRow(
        id=state.request_id,
        requester=state.requester,
        title=state.title,
        input=state.given,
        status=state.status,
        started_at=state.started_at,
        ended_at=state.ended_at,
        tasks=tuple(
            PastTaskRow(
                id=task.id,
                stage=task.stage,
                round=task.round,
                assignee=task.assignee,
                status=task.status,
                opened_at=task.opened_at,
                decision=task.decision,
                decided_by=task.decided_by,
                decided_at=task.decided_at,
            )
            for task in state.tasks
        ),
    )


def spread(count: int, first: datetime, gap: timedelta, seed: int = 0) -> list[tuple[str, datetime, dict[str, Any]]]:
    """Return requests that begin one after the other, of small and large amounts."""
    draw = random.Random(seed)
    amounts = [str(draw.choice((100, 900, 7_000, 20_000)) + draw.randrange(99)) for _ in range(count)]
    return [(f"r{n}", first + n * gap, {"amount": amount}) for n, amount in enumerate(amounts)]
