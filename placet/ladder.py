"""The ladder: reminders, warning, breach, escalation and the final rule of open tasks, as time passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from placet.plan import Plan, Stage
from placet.policy import Assignment, eligible, nearest, resolve, taken_seats
from placet.run import Run
from placet.state import State, Task
from placet.who import parse_who

# One call of `climb` does at most so much; what is left is due at once again. It bounds an update's or timer's work.
MOST_AT_ONCE = 10_000


def set_clocks(run: Run, task: Task, stage: Stage) -> Task:
    """Start the clocks of a task that opens now."""
    due = run.after(run.now, stage.sla) if stage.sla is not None else None
    warn = run.before(due, stage.warn_before) if due is not None and stage.warn_before else None
    early = [run.before(due, span) for span in stage.remind_before] if due is not None else []
    return run.change(
        task,
        due_at=due,
        warn_at=max(warn, run.now) if warn is not None else None,
        remind_at=run.after(run.now, stage.remind_every) if stage.remind_every else None,
        remind_before=tuple(m for m in early if m > run.now),
        escalate_at=None,
    )


def jitter(plan: Plan, request_id: str) -> timedelta:
    """Return this request's share of the declared jitter: the same in every replay, spread evenly over requests."""
    if not plan.jitter:
        return timedelta(0)
    share = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:6]) / 2**48
    return plan.jitter * share


def next_due(plan: Plan, state: State) -> datetime | None:
    """Return the earliest moment at which `climb` has something to do: what the one timer is armed for."""
    if state.status != "pending" or any(s.returned_at for s in state.stages):
        return None
    moments = [m for t in state.tasks if t.status == "open" for m, _ in _moments(t)]
    return min(moments) + jitter(plan, state.request_id) if moments else None


def climb(run: Run, settle: Callable[[Run, str, str], None]) -> None:
    """Carry out everything that is due by now, in the order of the moments it was due at.

    `settle(run, point, result)` is called where the final rule decides a stage.
    """
    lag = jitter(run.plan, run.state.request_id)
    for _ in range(MOST_AT_ONCE):
        if any(s.returned_at for s in run.stages.values()):
            return
        due = [
            (moment + lag, rank, index, task)
            for index, task in enumerate(run.open_tasks())
            for moment, rank in _moments(task)
            if moment + lag <= run.now
        ]
        if not due:
            return
        _, rank, _, task = min(due, key=lambda d: d[:3])
        if rank == _WARN:
            _warn(run, task)
        elif rank == _BREACH:
            _breach(run, task)
        elif rank == _ESCALATE:
            _escalate(run, task, settle)
        else:
            _remind(run, task)


def finish_ladder(run: Run, task: Task, settle: Callable[[Run, str, str], None]) -> None:
    """Apply the stage's final rule: the chain of escalation has ended and nobody has decided."""
    stage = run.stage_of(task)
    if stage.final == "wait":
        run.change(task, escalate_at=None, remind_at=run.after(run.now, stage.remind_every or stage.re_escalate_after))
        run.record("escalation_ended", task=task, final="wait", why="the escalation chain has ended; reminders go on")
        run.tell("escalation_ended", task.assignee, _owner(run), task=task)
        return
    run.change(task, escalate_at=None)
    run.record(
        "escalation_ended", task=task, final=stage.final, why="the escalation chain has ended without a decision"
    )
    settle(run, task.point, {"approve": "approved", "reject": "rejected", "expire": "expired"}[stage.final])


_WARN, _BREACH, _ESCALATE, _REMIND = range(4)


def _moments(task: Task) -> Iterator[tuple[datetime, int]]:
    if task.warn_at is not None and task.sla_state == "ok":
        yield task.warn_at, _WARN
    if task.due_at is not None and task.breached_at is None:
        yield task.due_at, _BREACH
    if task.escalate_at is not None:
        yield task.escalate_at, _ESCALATE
    if task.remind_before:
        yield task.remind_before[0], _REMIND
    if task.remind_at is not None:
        yield task.remind_at, _REMIND


def _people(task: Task) -> list[str]:
    return [p for p in ((task.assignee, *task.delegates) if task.assignee else task.candidates) if p]


def _warn(run: Run, task: Task) -> None:
    run.change(task, sla_state="warning")
    run.record("sla_warning", task=task, due=task.warn_at, due_at=task.due_at, before="ok", after="warning")
    run.tell("sla_warning", *_people(task), task=task, due_at=task.due_at)


def _breach(run: Run, task: Task) -> None:
    stage = run.stage_of(task)
    first = run.after(run.now, stage.levels[0].after) if stage.levels else run.now
    remind = task.remind_at
    if remind is not None and stage.remind_every and remind <= run.now:
        remind = _following(run, remind, stage.remind_every)
    changed = run.change(
        task,
        sla_state="breached",
        breached_at=run.now,
        warn_at=None,
        remind_before=(),
        remind_at=remind,
        escalate_at=first,
    )
    run.record("sla_breached", task=task, due=task.due_at, before=task.sla_state, after="breached")
    run.tell("sla_breached", *_people(changed), run.state.requester, _owner(run), task=task, due_at=task.due_at)


def _remind(run: Run, task: Task) -> None:
    stage = run.stage_of(task)
    lag = jitter(run.plan, run.state.request_id)
    due = [m for m in (task.remind_at, *task.remind_before[:1]) if m is not None and m + lag <= run.now]
    remind = task.remind_at
    if remind is not None and remind + lag <= run.now:
        remind = _following(run, remind, stage.remind_every or stage.re_escalate_after)
    # Reminders that were missed while nothing ran are one reminder now.
    early = tuple(m for m in task.remind_before if m + lag > run.now)
    run.change(task, remind_at=remind, remind_before=early)
    run.record("reminded", task=task, due=min(due), to=[f"user:{p}" for p in _people(task)], due_at=task.due_at)
    run.tell("reminded", *_people(task), task=task, due_at=task.due_at)


def _following(run: Run, moment: datetime, every: timedelta) -> datetime:
    """Return the first moment of a repeating schedule after now; its rhythm is kept, what was missed is skipped."""
    following = run.after(moment, every)
    if following > run.now:
        return following
    missed = run.working(moment, run.now) // every
    following = run.after(moment, every * max(1, missed))
    while following <= run.now:
        following = run.after(following, every)
    return following


def _escalate(run: Run, task: Task, settle: Callable[[Run, str, str], None]) -> None:
    stage = run.stage_of(task)
    listed = task.next_level < len(stage.levels)
    level = stage.levels[task.next_level] if listed else None
    if level is None and not stage.to_the_top:
        finish_ladder(run, task, settle)
        return
    found, why = _target(run, task, stage)
    if found is None:
        if level is not None and task.next_level + 1 < len(stage.levels):
            run.change(
                task, next_level=task.next_level + 1, escalate_at=_level_due(run, task, stage, task.next_level + 1)
            )
            run.record("escalation_skipped", task=task, to=level.to, why="nobody there may take the task")
            return
        finish_ladder(run, task, settle)
        return
    action = level.action if level is not None else "reassign"
    number = task.level + 1
    due = task.escalate_at
    changes: dict[str, object] = {
        "level": number,
        "next_level": task.next_level + 1,
        "escalate_at": _level_due(run, task, stage, task.next_level + 1),
    }
    if action == "reassign":
        changes |= {
            "assignee": found.person,
            "candidates": (),
            "delegates": (),
            "via": found.via,
            "held_by": (*task.held_by, found.person),
            "due_at": run.after(run.now, stage.re_escalate_after),
            "remind_at": run.after(run.now, stage.remind_every) if stage.remind_every else None,
        }
    elif action == "add":
        changes |= {"delegates": (*task.delegates, found.person), "held_by": (*task.held_by, found.person)}
    changed = run.change(task, **changes)
    run.record(
        "escalated",
        task=task,
        due=due,
        level=number,
        action=action,
        why=why,
        before={"assignee": _name(task.assignee), "due_at": task.due_at},
        after={"assignee": _name(changed.assignee), "due_at": changed.due_at, "to": _name(found.person)},
    )
    run.tell("escalated_to", found.person, task=task, level=number, due_at=changed.due_at)
    run.tell("escalated_from", *(p for p in _people(task) if p != found.person), task=task, level=number)


def _level_due(run: Run, task: Task, stage: Stage, level: int) -> datetime:
    if level < len(stage.levels):
        return max(run.now, run.after(task.breached_at or run.now, stage.levels[level].after))
    return run.after(run.now, stage.re_escalate_after)


def _target(run: Run, task: Task, stage: Stage) -> tuple[Assignment | None, str | None]:
    """Find who takes the task at its next level, and a sentence where it is not simply the one who was named."""
    taken = taken_seats(run, run.stages[task.point], but=task.seat) | set(task.delegates)
    level = stage.levels[task.next_level] if task.next_level < len(stage.levels) else None

    def may(person: str, via: str) -> Assignment | None:
        found = eligible(run, person, stage, task.point, via=via, taken=taken)
        return None if found is None or found.person == task.assignee else found

    if level is None:
        for manager in run.directory.managers(task.assignee) if task.assignee else []:
            if manager not in task.held_by and (found := may(manager, "escalation")):
                return found, "escalates to the manager of whoever had the task"
        return None, None
    named = nearest(
        run, resolve(run, parse_who(level.to), assignee=task.assignee), task.assignee or run.state.requester
    )
    for person in named:
        if found := may(person, "escalation"):
            return found, None if found.person == person else f"user:{person} is away; the substitute takes it"
    if stage.to_the_top:
        for manager in run.directory.managers(named[0] if named else task.assignee or ""):
            if manager not in task.held_by and (found := may(manager, "escalation")):
                return found, f"nobody eligible at {level.to}; the next above takes it"
    if task.next_level + 1 >= len(stage.levels):
        for person in resolve(run, parse_who("owner")):
            if person not in task.held_by and (found := may(person, "owner")):
                return found, f"nobody eligible at {level.to}; the process owner takes it"
    return None, None


def _owner(run: Run) -> str | None:
    if not run.plan.owner:
        return None
    who = parse_who(run.plan.owner)
    return who.name if who.kind == "user" else None


def _name(person: str | None) -> str | None:
    return f"user:{person}" if person else None
