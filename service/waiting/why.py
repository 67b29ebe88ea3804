"""Why somebody is asked in a request, or is not: from what its audit entries say of the choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from placet.audit.asking import KINDS, Whether, visit_of, why_asked
from placet.engine.state import State
from placet.errors import NotFound, NotPermitted, PlacetError
from placet.sentences import sentence
from service.context import Context
from service.engine import client as engine
from service.principal import Principal
from service.visibility import seen_request, sees_failures
from storage.queries.people import people
from storage.queries.requests import deciders
from storage.queries.requests.chosen import choosing_entries
from storage.queries.requests.requests import RequestWithTasks, TaskRow

# How long the engine may take to say whose turn comes later in a sequence.
PATIENCE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAnswer:
    """Whether a person is asked at one open stage, and why."""

    stage: str
    round: int
    whether: Whether


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Whether a person is asked at each open stage of a request; no stages where none is open."""

    stored: RequestWithTasks
    person: str
    at: datetime
    stages: tuple[StageAnswer, ...]


def may_ask_about(principal: Principal, owner: str | None, person: str) -> bool:
    """Whether the caller may see why a person is asked or not: their own reasons are for everybody who sees the
    request, those of others for its owner, auditors and admins.
    """
    return principal.person == person or sees_failures(principal, owner)


async def why(
    context: Context, principal: Principal, request_id: str, person: str, *, patience: timedelta = PATIENCE
) -> Why:
    """Return why a person is asked in a request, or is not.

    Raises NotFound where the caller may not see the request or there is no such person, and NotPermitted where the
    person's reasons are not theirs to see.
    """
    now = context.now()

    def look(connection: Connection) -> RequestWithTasks:
        stored = seen_request(connection, principal, request_id, now)
        if not may_ask_about(principal, stored.request.owner, person):
            raise NotPermitted("Why somebody else is asked or not is for the process owner, auditors and admins.")
        if person != principal.person and people.find(connection, person) is None:
            raise NotFound(sentence("There is no person {person!r}", person=person))
        return stored

    stored = await context.database.read(look)
    state = await _state(context, stored, person, patience)
    found = await context.database.read(answers_of, stored, person, now, later=_later(state, person))
    return Why(stored=stored, person=person, at=now, stages=found)


def answers_of(
    connection: Connection, stored: RequestWithTasks, person: str, now: datetime, *, later: frozenset[str] = frozenset()
) -> tuple[StageAnswer, ...]:
    """Return whether a person is asked at each open stage; `later` are the stages in which their turn comes later."""
    stages: dict[str, list[TaskRow]] = {}
    for task in stored.tasks:
        if task.status == "open" or task.undo_until is not None:
            stages.setdefault(task.stage, []).append(task)
    if not stages:
        return ()
    entries = choosing_entries(connection, stored.request.id, KINDS)
    stands_in_for = _stands_in_for(connection, stored, person, now)
    return tuple(
        StageAnswer(
            stage=stage,
            round=tasks[0].round,
            whether=why_asked(
                person,
                [task for task in tasks if task.status == "open"],
                visit_of(stage, entries),
                requester=stored.request.requester,
                stands_in_for=stands_in_for,
                later=stage in later,
            ),
        )
        for stage, tasks in stages.items()
    )


def _stands_in_for(connection: Connection, stored: RequestWithTasks, person: str, now: datetime) -> Mapping[str, str]:
    """Return for whom a person stands in now, by open task."""
    holders: dict[str, list[str]] = {}
    for task in stored.tasks:
        if task.status == "open":
            how, _, away = task.assigned_via.partition(":")
            whose = away if how == "substitution" else task.assignee
            holders[task.id] = [one for one in (whose, *task.delegates) if one is not None]
    stand_ins = deciders.deciding_substitutes(connection, {one for some in holders.values() for one in some}, now)
    return {
        task: one
        for task, some in holders.items()
        for one in reversed(some)
        if person != stored.request.requester and person in stand_ins.get(one, ())
    }


async def _state(context: Context, stored: RequestWithTasks, person: str, patience: timedelta) -> State | None:
    """Return the live state where it may tell more: somebody may wait for their turn. None where nobody answers."""
    if stored.request.status != "pending" or person == stored.request.requester:
        return None
    try:
        return await engine.state_of(context, stored.request.id, within=patience)
    except PlacetError:
        return None


def _later(state: State | None, person: str) -> frozenset[str]:
    """Return the stages in which a person's seat is filled and its turn has not come."""
    found = set()
    for run in state.stages if state is not None else ():
        for seat in run.seats[run.opened :]:
            if person == seat.person or person in seat.candidates or seat.via == f"substitution:{person}":
                found |= {task.stage for task in state.tasks if task.node == run.node} if state is not None else set()
    return frozenset(found)
