"""Deadlines: the due moments of a task, when it opens, when its deadline moves, and when its rules change.

A process may declare a jitter, so that thousands of deadlines at the same instant are spread. It delays everything of
one request by the same time: what is carried out late counts from its `nominal` time, so that delays do not add up.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypedDict

from placet.engine.run import Run
from placet.engine.state import Task
from placet.plan.calendar import Calendar, add_hours
from placet.plan.graph import Stage
from placet.plan.plan import Plan


class Deadlines(TypedDict):
    """The moments of a task that opens, as fields of Task."""

    due_at: datetime | None
    warn_at: datetime | None
    remind_at: datetime | None
    remind_before: tuple[datetime, ...]


def jitter(plan: Plan, request_id: str) -> timedelta:
    """Return this request's share of the declared jitter: the same in every replay, spread evenly over requests."""
    return plan.jitter * _share(request_id) if plan.jitter else timedelta(0)


def nominal(run: Run) -> datetime:
    """Return the time by which deadlines count: now, less the request's share of the jitter."""
    return run.now - jitter(run.plan, run.state.request_id)


def start_deadlines(run: Run, stage: Stage) -> Deadlines:
    """Return the deadlines of a task that opens now."""
    due = run.after(run.now, stage.sla) if stage.sla is not None else None
    warn = run.before(due, stage.warn_before) if due is not None and stage.warn_before else None
    return Deadlines(
        due_at=due,
        warn_at=max(warn, run.now) if warn is not None else None,
        remind_at=run.after(run.now, stage.remind_every) if stage.remind_every else None,
        remind_before=_before(run, due, stage.remind_before),
    )


def move_deadline(run: Run, task: Task, due: datetime | None) -> Task:
    """Move a task's deadline, and what depends on it; without a deadline the task is no longer late."""
    stage = run.stage_of(task)
    changes: dict[str, Any] = {"due_at": due}
    if task.breached_at is None:
        warn = run.before(due, stage.warn_before) if due is not None and stage.warn_before else None
        changes["warn_at"] = max(warn, run.now) if warn is not None else None
        if due is None or (task.sla_state == "warning" and warn is not None and warn > run.now):
            changes["sla_state"] = "ok"
        changes["remind_before"] = _before(run, due, stage.remind_before)
    else:  # the breach stands; the next level of the chain, or its end, waits for the new deadline
        changes |= {"escalate_at": due, "escalation_ended": False}
        if task.critical_at is not None and due is not None:
            changes["critical_at"] = critical_from(run, stage, due)
    return run.change(task, **changes)


def move_on(run: Run, task: Task, since: datetime) -> Task:
    """Move a task's deadlines on by the working time for which they were suspended, from `since` until now."""
    return run.change(
        task,
        due_at=task.due_at and later(run, task.due_at, since),
        warn_at=task.warn_at and later(run, task.warn_at, since),
        remind_at=task.remind_at and later(run, task.remind_at, since),
        remind_before=tuple(later(run, moment, since) for moment in task.remind_before),
        escalate_at=task.escalate_at and later(run, task.escalate_at, since),
        critical_at=task.critical_at and later(run, task.critical_at, since),
    )


def critical_from(run: Run, stage: Stage, target: datetime) -> datetime | None:
    """Return when a task becomes critical whose deadline was then; None where its stage does not say."""
    return run.after(target, stage.critical) if stage.critical is not None else None


def later(run: Run, moment: datetime, since: datetime) -> datetime:
    """Return a moment moved on by the working time since then; a moment that was past by then stays."""
    return run.after(run.now, run.working(since, moment)) if moment > since else moment


def follow(run: Run, task: Task, before: Stage, calendar: Calendar) -> Task:
    """Apply the current rules of its stage to an open task that followed those of `before`.

    A clock whose rule is the same stays as it is. The deadline counts from when the task opened, as if the new rule had
    held from the start; one that somebody moved, or that an escalation set, stays. A breach stands: what comes after it
    by another chain comes at its own moment, but leaves people the time to re-escalate from now.
    """
    stage = run.stage_of(task)
    same_time = calendar == run.calendar
    due = task.due_at
    declared = add_hours(calendar, task.opened_at, before.sla.total_seconds()) if before.sla is not None else None
    if task.breached_at is None and due == declared and not (same_time and stage.sla == before.sla):
        due = run.after(task.opened_at, stage.sla) if stage.sla is not None else None
    rules = (before.warn_before, before.remind_before) != (stage.warn_before, stage.remind_before)
    if task.breached_at is None and (due != task.due_at or rules or not same_time):
        task = move_deadline(run, task, due)
    if stage.remind_every != before.remind_every or (not same_time and stage.remind_every):
        every = stage.remind_every or (stage.re_escalate_after if task.escalation_ended else None)
        task = run.change(task, remind_at=run.after(run.now, every) if every else None)
    if task.breached_at is not None and _chain(stage) != _chain(before):
        soonest = run.after(run.now, stage.re_escalate_after)
        at = soonest
        if task.next_level < len(stage.levels):
            at = max(soonest, run.after(task.breached_at, stage.levels[task.next_level].after))
        task = run.change(task, escalate_at=at, escalation_ended=False)
    if task.breached_at is not None and stage.critical != before.critical:
        known = before.critical is None or task.critical_at is not None  # else it is critical already
        critical = critical_from(run, stage, task.breached_at) if known else None
        task = run.change(task, critical_at=max(critical, run.now) if critical is not None else None)
    return task


@lru_cache(maxsize=1024)
def _share(request_id: str) -> float:
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:6]) / 2**48


def _before(run: Run, due: datetime | None, spans: tuple[timedelta, ...]) -> tuple[datetime, ...]:
    """Return the reminders before a deadline that are still to come."""
    return tuple(m for span in spans if (m := run.before(due, span)) > run.now) if due is not None else ()


def _chain(stage: Stage) -> tuple[object, ...]:
    return stage.levels, stage.to_the_top, stage.re_escalate_after, stage.final
