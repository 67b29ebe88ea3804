"""Timers: when a request has something to do by itself, what that is, and doing all of it once it is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from placet.engine.claims import claim_ends, expire
from placet.engine.run import DirectoryNeeded, Run
from placet.engine.state import State, Task
from placet.plan.plan import Plan
from placet.tasks.deadlines import jitter, nominal
from placet.tasks.decisions import next_to_stand, stand
from placet.tasks.sla import Settle, breach, escalate, first_level_due, send_reminder, turn_critical, warn
from placet.tasks.substitution import absent_seat_holder

Purpose = Literal[
    "warning",
    "deadline",
    "critical",
    "escalation",
    "reminder",
    "wait_ends",
    "decision_stands",
    "absence_ends",
    "claim_ends",
]
"""What a request does by itself."""

# One call of `carry_out_due` does at most so much; the rest is due again at once. It bounds the work of one event.
MOST_AT_ONCE = 10_000

_FURTHEST_END = timedelta(days=366)

# What happens at its moment exactly; other moments are spread.
_EXACT = frozenset({"decision_stands", "absence_ends", "claim_ends"})
_WARN, _BREACH, _CRITICAL, _ESCALATE, _REMIND = range(5)
_PURPOSES: tuple[Purpose, ...] = ("warning", "deadline", "critical", "escalation", "reminder")  # of each


def next_due(plan: Plan, state: State) -> datetime | None:
    """Return the earliest moment at which `carry_out_due` has something to do, for which the one timer is set."""
    if state.claimable and state.action is not None:
        return state.action.expires_at
    if state.status != "pending" or state.returned_at is not None:
        return None
    provisional = [t for t in state.tasks if t.undo_until is not None]
    held = {t.node for t in provisional}
    moments = [m for t in state.tasks if t.status == "open" and t.node not in held for m, _ in _moments(t)]
    moments += [wait.until for wait in state.waits if wait.until is not None]
    due = [min(moments) + jitter(plan, state.request_id)] if moments else []
    due += [t.undo_until for t in provisional if t.undo_until is not None]
    back = _next_absence_end(state)
    return min([*due, back] if back is not None else due, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """Something that a request will do by itself, unless something else happens before; at `node`, if anywhere."""

    at: datetime
    does: Purpose
    node: str | None
    task: Task | None = None


def upcoming(plan: Plan, state: State) -> list[Upcoming]:
    """List what a request will do by itself, the next of each kind for each task, in the order of the moments.

    Moments of tasks and waits are those at which the timer fires, so the first one is that of `next_due`. The first
    escalation of a task is listed before its moment is set, which its breach does.
    """
    if state.status != "pending" or state.returned_at is not None:
        return []
    later = jitter(plan, state.request_id)
    found = []
    for at, _, does, node, task in _planned(state):
        moment = at if does in _EXACT else at + later
        found.append(Upcoming(at=moment, does=does, node=node, task=task))
        if does == "deadline" and task is not None and (stage := plan.nodes[task.node].asked) is not None:
            escalates = first_level_due(plan.calendar, stage, task, breached_at=at)
            found.append(Upcoming(at=escalates + later, does="escalation", node=node, task=task))
    return sorted(found, key=lambda one: one.at)


def next_purpose(state: State) -> str | None:
    """Say what is due first, such as `reminder of Manager Approval` or `end of the wait at delivery`."""
    found = [(at, rank, _in_words(does, node, task)) for at, rank, does, node, task in _planned(state)]
    return min(found)[2] if found else None


def _in_words(does: Purpose, node: str | None, task: Task | None) -> str:
    match does:
        case "wait_ends":
            return f"end of the wait at {node}"
        case "decision_stands":
            return f"end of the time to undo a decision of {task.stage if task else node}"
        case "absence_ends":
            return "end of an absence"
        case "claim_ends":
            return "end of the time in which the action can be claimed"
        case _:
            return f"{does} of {task.stage if task else node}"


def carry_out_due(run: Run, settle: Settle) -> None:
    """Carry out everything that is due by now, in the order of the moments it was due at.

    `settle` closes a stage with the result of its final rule, and goes on from a wait that is over.
    """
    if claim_ends(run):
        expire(run)
        return
    back = _next_absence_end(run.state)
    if back is not None and back <= run.now and run.state.directory_at < back:
        raise DirectoryNeeded  # with which the task is whose it is then
    for _ in range(MOST_AT_ONCE):
        at = nominal(run)
        held = {task.node for task in run.tasks.values() if task.provisional}
        due = [
            (moment, rank, index, task)
            for index, task in enumerate(run.open_tasks())
            if task.node not in held
            for moment, rank in _moments(task)
            if moment <= at
        ]
        over = min(((w.until, w.node) for w in run.waits.values() if w.until and w.until <= at), default=None)
        first = min(due, key=lambda d: d[:3], default=None)
        decided = next_to_stand(run)
        if decided is not None and decided.undo_until is not None:
            before = min([m for m in (over and over[0], first and first[0]) if m], default=None)
            if before is None or decided.undo_until <= before + (run.now - at):
                stand(run, decided)
                continue
        if over is not None and (first is None or over[0] < first[0]):
            settle(run, over[1], "elapsed" if run.waits[over[1]].event is None else "timeout")
            continue
        if first is None:
            return
        _, rank, _, task = first
        if rank == _WARN:
            warn(run, task)
        elif rank == _BREACH:
            breach(run, task)
        elif rank == _CRITICAL:
            turn_critical(run, task)
        elif rank == _ESCALATE:
            escalate(run, task, settle)
        else:
            send_reminder(run, task)


def _planned(state: State) -> Iterator[tuple[datetime, int, Purpose, str | None, Task | None]]:
    """Generate what is planned: the moment, its rank among those of the same moment, what it is, where and of whom."""
    held = {t.node for t in state.tasks if t.provisional}
    for task in state.open_tasks:
        if task.node not in held:
            for at, rank in _moments(task):
                yield at, rank, _PURPOSES[rank], task.node, task
    for wait in state.waits:
        if wait.until is not None:
            yield wait.until, len(_PURPOSES), "wait_ends", wait.node, None
    for task in state.tasks:
        if task.undo_until is not None:
            yield task.undo_until, len(_PURPOSES) + 1, "decision_stands", task.node, task
    if (back := _next_absence_end(state)) is not None:
        yield back, len(_PURPOSES) + 2, "absence_ends", None, None
    if state.claimable and state.action is not None:
        yield state.action.expires_at, len(_PURPOSES) + 3, "claim_ends", None, None


def _next_absence_end(state: State) -> datetime | None:
    """Return when the first absence ends that gave a substitute an open task, as far as the request knows.

    An end that is too far away for a timer is noticed when somebody acts.
    """
    ends: list[datetime] = []
    for task in state.open_tasks:
        if (away := absent_seat_holder(state, task.via)) is not None:
            seen = max(state.directory_at, task.opened_at)
            spans = (state.directory.absence(one, seen) for one in (away, *state.directory.substitutes_of(away, seen)))
            ends += [span.until for span in spans if span is not None and span.until - seen <= _FURTHEST_END]
    return min(ends, default=None)


def _moments(task: Task) -> Iterator[tuple[datetime, int]]:
    if task.warn_at is not None and task.sla_state == "ok":
        yield task.warn_at, _WARN
    if task.due_at is not None and task.breached_at is None:
        yield task.due_at, _BREACH
    if task.critical_at is not None:
        yield task.critical_at, _CRITICAL
    if task.escalate_at is not None:
        yield task.escalate_at, _ESCALATE
    if task.remind_before:
        yield task.remind_before[0], _REMIND
    if task.remind_at is not None:
        yield task.remind_at, _REMIND
