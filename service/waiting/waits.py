"""What a request waits for, since when, and what the engine does next by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from placet.engine.state import State
from placet.engine.timers import Purpose, upcoming
from placet.plan.graph import Stage
from placet.plan.plan import Plan
from service.waiting.situation import Situation
from storage.queries.requests.requests import TaskRow

MOST_NEXT = 20

Kind = Literal[
    "decision", "claim", "assignment", "requester", "undo", "action", "subprocess", "event", "time", "engine"
]
"""What is waited for: a decision, that somebody claims a task, that an operator assigns one, the requester, the end of
the time to undo a decision, an action, another request, an event, a moment, or that the engine goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsFor:
    """One thing that a request waits for; `people` are those who can end the waiting."""

    kind: Kind
    since: datetime | None
    stage: str | None = None
    node: str | None = None
    task_id: str | None = None
    people: tuple[str, ...] = ()
    queue: str | None = None
    until: datetime | None = None  # a task's deadline, or when the waiting ends by itself
    name: str | None = None  # of the action or event
    request_id: str | None = None  # of the sub-process


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAct:
    """What the engine does next by itself for one task or wait, unless something happens before.

    `to` is whom an escalation goes to, as the process names them; without one, the `final` rule applies.
    """

    at: datetime
    does: Purpose
    node: str | None
    stage: str | None
    task_id: str | None
    to: str | None = None
    final: str | None = None


def waits_of(situation: Situation) -> list[WaitsFor]:
    """List what a request waits for, by what is stored, and by the engine's word where it answered."""
    request, state = situation.stored.request, situation.state
    if request.returned or (state is not None and state.returned_at is not None):
        returned = _returned_at(state)
        return [WaitsFor(kind="requester", since=returned, stage=request.stage, people=(request.requester,))]
    held = [task for task in situation.stored.tasks if task.undo_until is not None]
    stages = {task.stage for task in held}
    found = [_held(task) for task in held]
    found += [_task(task) for task in situation.open_tasks if task.stage not in stages]
    if state is not None:
        found += _calls(situation, state)
    if not found:
        found.append(WaitsFor(kind="engine", since=request.started_at))
    return found


def next_acts(situation: Situation) -> list[NextAct]:
    """List what the engine does next by itself, in the order of the moments; the first ones of very many."""
    if situation.state is None or situation.plan is None:
        return []
    found = []
    for one in upcoming(situation.plan, situation.state)[:MOST_NEXT]:
        to = final = None
        if one.does == "escalation" and one.task is not None:
            to, final = _escalation(situation.plan, one.task.node, one.task.next_level, one.task.assignee)
        found.append(
            NextAct(
                at=one.at,
                does=one.does,
                node=one.node,
                stage=one.task.stage if one.task is not None else None,
                task_id=one.task.id if one.task is not None else None,
                to=to,
                final=final,
            )
        )
    return found


def _escalation(plan: Plan, node: str, level: int, assignee: str | None) -> tuple[str | None, str | None]:
    """Return whom the next level of an escalation goes to, or the rule that applies where there is none."""
    stage: Stage | None = plan.nodes[node].asked
    if stage is None:
        return None, None
    if level < len(stage.levels):
        return stage.levels[level].to, None
    if stage.to_the_top and assignee is not None:
        return f"manager_of(user:{assignee})", None
    return None, stage.final


def _returned_at(state: State | None) -> datetime | None:
    if state is None:
        return None
    moments = [state.returned_at, *(stage.returned_at for stage in state.stages)]
    return min((at for at in moments if at is not None), default=None)


def _held(task: TaskRow) -> WaitsFor:
    who = (task.decided_by,) if task.decided_by is not None else ()
    return WaitsFor(
        kind="undo", since=task.decided_at, stage=task.stage, task_id=task.id, people=who, until=task.undo_until
    )


def _task(task: TaskRow) -> WaitsFor:
    kind: Kind = "decision" if task.assignee is not None else "claim" if task.candidates else "assignment"
    if task.assignee is None and task.queue is not None:
        kind = "claim"
    who = ((task.assignee,) if task.assignee is not None else tuple(task.candidates)) + tuple(task.delegates)
    return WaitsFor(
        kind=kind,
        since=task.opened_at,
        stage=task.stage,
        task_id=task.id,
        people=who,
        queue=task.queue if task.assignee is None else None,
        until=task.due_at,
    )


def _calls(situation: Situation, state: State) -> Iterator[WaitsFor]:
    since = [call.since for call in situation.calls] if len(situation.calls) == len(state.actions) else []
    for number, call in enumerate(state.actions):
        yield WaitsFor(kind="action", since=since[number] if since else None, node=call.node, name=call.action)
    for child in state.children:
        yield WaitsFor(kind="subprocess", since=None, node=child.node, request_id=child.request_id, name=child.title)
    for wait in state.waits:
        kind: Kind = "time" if wait.event is None else "event"
        yield WaitsFor(kind=kind, since=wait.since, node=wait.node, until=wait.until, name=wait.event)
