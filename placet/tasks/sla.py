"""SLA: what happens to an open task at its moments: reminder, warning, breach, escalation and the final rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from placet.audit.reasons import Reason, because
from placet.definition.assignees import parse_assignee
from placet.engine.run import Run
from placet.engine.state import StageRun, Task
from placet.plan.calendar import Calendar, add_hours
from placet.plan.graph import SlaLevel, Stage
from placet.tasks.candidates import managers_by_name, nearest, operators, owners, resolve
from placet.tasks.choice import Choice
from placet.tasks.deadlines import critical_from, jitter, nominal
from placet.tasks.substitution import Assignment, absent_seat_holder, seat_holders

Settle = Callable[[Run, str, str], None]  # (run, node, result): closes a stage, or a wait, with its result

_FINAL = {"approve": "approved", "reject": "rejected", "expire": "expired"}


def final_result(run: Run, stage_run: StageRun) -> str | None:
    """Return the result that the final rule gives a stage, or None while the escalation of one of its tasks has not
    ended or a decision does not stand yet.
    """
    waiting = [t for t in run.tasks_of(stage_run) if t.unsettled]
    if any(t.provisional for t in waiting):
        return None
    if not waiting or not all(t.escalation_ended for t in waiting):
        return None
    return _FINAL.get(_final(run, stage_run, run.stage_at(stage_run.node)))


def people_to_remind(run: Run, task: Task) -> list[str]:
    """List whom to remind: those who can still decide this task, or those who can assign it while it is vacant."""
    decided = {t.decided_by for t in run.tasks_of(run.stages[task.node])}
    return [p for p in task.people if p not in decided] or operators(run)


def warn(run: Run, task: Task) -> None:
    """Turn a task to `warning`, and notify those who can still decide it."""
    run.change(task, sla_state="warning")
    run.record("sla_warning", task=task, due=task.warn_at, due_at=task.due_at, before="ok", after="warning")
    run.notify("sla_warning", *people_to_remind(run, task), task=task, due_at=task.due_at)


def breach(run: Run, task: Task) -> None:
    """Turn a task to `breached`, and set the moments that follow from it: escalation, and when it is critical."""
    stage = run.stage_of(task)
    at = nominal(run)
    remind = task.remind_at
    if (
        remind is not None and stage.remind_every and remind <= at
    ):  # the notification of the breach replaces the reminder
        remind = _next_occurrence(run, remind, stage.remind_every)
    run.change(
        task,
        sla_state="breached",
        breached_at=at,
        warn_at=None,
        remind_before=(),
        remind_at=remind,
        escalate_at=first_level_due(run.calendar, stage, task, breached_at=at),
        critical_at=critical_from(run, stage, task.due_at or at),
    )
    run.record("sla_breached", task=task, due=task.due_at, before=task.sla_state, after="breached")
    people = (*people_to_remind(run, task), run.state.requester, *owners(run))
    run.notify("sla_breached", *people, task=task, due_at=task.due_at)


def turn_critical(run: Run, task: Task) -> None:
    """Record that a task has been late for so long that it is critical, and notify those who can act on it."""
    run.change(task, critical_at=None)
    run.record("sla_critical", task=task, due=task.critical_at, due_at=task.due_at)
    run.notify("sla_critical", *operators(run), task=task, due_at=task.due_at)


def send_reminder(run: Run, task: Task) -> None:
    """Remind those who can still decide a task, and set when they are reminded next."""
    stage = run.stage_of(task)
    at = nominal(run)
    due = min(m for m in (task.remind_at, *task.remind_before) if m is not None)
    remind = task.remind_at
    if remind is not None and remind <= at:
        remind = _next_occurrence(run, remind, stage.remind_every or stage.re_escalate_after)
    # Reminders that were missed while nothing ran are one reminder now.
    run.change(task, remind_at=remind, remind_before=tuple(m for m in task.remind_before if m > at))
    people = people_to_remind(run, task)
    run.record("reminded", task=task, due=due, to=[f"user:{p}" for p in people], due_at=task.due_at)
    run.notify("reminded", *people, task=task, due_at=task.due_at)


def _next_occurrence(run: Run, moment: datetime, every: timedelta) -> datetime:
    """Return the next moment of a repeating schedule; missed moments are skipped."""
    at = nominal(run)
    following = run.after(moment, every)
    if following > at:
        return following
    following = run.after(moment, every * max(1, run.working(moment, at) // every))
    while following <= at:
        following = run.after(following, every)
    return following


def escalate(run: Run, task: Task, settle: Settle) -> None:
    """Carry out the next level of a task's escalation, or end the escalation where no level is left."""
    stage = run.stage_of(task)
    level = stage.levels[task.next_level] if task.next_level < len(stage.levels) else None
    if level is None and not stage.to_the_top:
        _end_escalation(run, task, settle)
        return
    choice = Choice(run, stage, task.node)
    found, why = _target(run, task, stage, level, choice)
    if not found:
        if level is not None and task.next_level + 1 < len(stage.levels):
            following = _level_due(run, task, stage, task.next_level + 1)
            run.change(task, next_level=task.next_level + 1, escalate_at=following)
            run.record("escalation_skipped", task=task, to=level.to, why=because("nobody_there"), choice=choice.facts)
        else:
            _end_escalation(run, task, settle, choice)
        return
    action = level.action if level is not None else "reassign"
    people = [f.person for f in found]
    changes: dict[str, object] = {
        "level": task.level + 1,
        "next_level": task.next_level + 1,
        "escalate_at": _level_due(run, task, stage, task.next_level + 1),
    }
    if action == "reassign":
        changes |= {
            "assignee": people[0],
            "candidates": (),
            "queue": None,
            "delegates": (),
            "via": found[0].via,
            "held_by": (*task.held_by, *_holders(run, found[0])),
            "due_at": run.after(run.now, stage.re_escalate_after),
            "remind_at": run.after(nominal(run), stage.remind_every) if stage.remind_every else None,
        }
    elif action == "add":
        # Who is away is added, and not who stands in for them: that one may decide for as long as they stand in.
        people = [absent_seat_holder(run.state, one.via) or one.person for one in found]
        changes |= {"delegates": (*task.delegates, *people), "held_by": (*task.held_by, *people)}
    changed = run.change(task, **changes)
    run.record(
        "escalated",
        task=task,
        due=_armed(run, task.escalate_at),  # lateness is measured from here
        level=changed.level,
        action=action,
        why=why,
        before={"assignee": _name(task.assignee), "due_at": task.due_at},
        after={"assignee": _name(changed.assignee), "due_at": changed.due_at, "to": [_name(p) for p in people]},
        **(choice.told_of(found[0].person) if action != "notify" else {}),
    )
    run.notify("escalated_to", *people, task=task, level=changed.level, due_at=changed.due_at)
    run.notify("escalated_from", *(p for p in task.people if p not in people), task=task, level=changed.level)


def _holders(run: Run, found: Assignment) -> tuple[str, ...]:
    away = absent_seat_holder(run.state, found.via)
    return (away, found.person) if away is not None else (found.person,)


def _armed(run: Run, moment: datetime | None) -> datetime | None:
    return moment + jitter(run.plan, run.state.request_id) if moment is not None else None


def first_level_due(calendar: Calendar, stage: Stage, task: Task, *, breached_at: datetime) -> datetime:
    """Return when the first level of a task is due: at its deadline, or some time after the breach was noticed."""
    after = stage.levels[0].after if stage.levels else None
    return add_hours(calendar, breached_at, after.total_seconds()) if after else task.due_at or breached_at


def _level_due(run: Run, task: Task, stage: Stage, level: int) -> datetime:
    at = nominal(run)
    if level < len(stage.levels):
        return max(at, run.after(task.breached_at or at, stage.levels[level].after))
    return run.after(at, stage.re_escalate_after)


def _target(
    run: Run, task: Task, stage: Stage, level: SlaLevel | None, choice: Choice
) -> tuple[list[Assignment], Reason | None]:
    """Find who takes the task at its next level, and the reason where it is not simply the person who was named.

    A notice goes to everyone who is named; a task is reassigned to one person, and one is added.
    """
    taken = seat_holders(run, run.stages[task.node], but=task.seat)
    if level is not None and level.action == "add":
        taken |= set(task.people)

    def first(people: Iterable[tuple[str, str]], via: str) -> list[Assignment]:
        for person, name in people:
            if found := choice.ask(person, name, via=via, taken=taken, but=task.assignee):
                return [found]
        return []

    def fresh(people: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for person, name in people:
            if person in task.held_by:
                choice.pass_over(person, name, because("had_task"))
            else:
                yield person, name

    if level is None:
        above = managers_by_name(run, task.assignee) if task.assignee else ()
        return first(fresh(above), "escalation"), because("to_the_manager")
    who = parse_assignee(level.to)
    name, named = str(who), resolve(run, who, assignee=task.assignee)
    if level.action == "notify":
        people = [p for p in named if run.directory.get(p) is not None] or resolve(run, parse_assignee("owner"))
        return [Assignment(person=p, via="escalation") for p in people], None
    if not named:
        choice.stands_for_nobody(name)
    named = nearest(run, named, task.assignee or run.state.requester)
    if found := first(((person, name) for person in named), "escalation"):
        for person in named:
            choice.pass_over(person, name, because("nearer_chosen"))
        if found[0].person not in named:
            return found, because("substitute_takes", person=f"user:{found[0].person}")
        several = run.rules.records_choice_among_several and len(named) > 1
        return found, because("one_of_several", count=len(named), to=level.to) if several else None
    if stage.to_the_top:
        above = managers_by_name(run, named[0] if named else task.assignee or "")
        if found := first(fresh(above), "escalation"):
            return found, because("next_above_takes", to=level.to)
    if task.next_level + 1 >= len(stage.levels):
        owner = first(fresh((person, "owner") for person in resolve(run, parse_assignee("owner"))), "owner")
        return owner, because("owner_takes", to=level.to)
    return [], None


def _end_escalation(run: Run, task: Task, settle: Settle, choice: Choice | None = None) -> None:
    """Record that a task's escalation has ended; the stage's final rule applies once that of every task has."""
    stage = run.stage_of(task)
    stage_run = run.stages[task.node]
    final = _final(run, stage_run, stage)
    remind = task.remind_at or run.after(nominal(run), stage.remind_every or stage.re_escalate_after)
    run.change(task, escalate_at=None, escalation_ended=True, remind_at=remind)
    ended = "chain_ended" if stage.levels else "nothing_escalates"
    result = final_result(run, stage_run)
    if final != stage.final:
        why = because(ended, then=because("nothing_approved"))
    elif final == "wait":
        why = because(ended, then=because("reminders_go_on"))
    else:
        why = because(ended) if result else because(ended, then=because("final_rule_waits"))
    run.record("escalation_ended", task=task, final=final, why=why, choice=choice.facts if choice is not None else None)
    if result is not None:
        settle(run, task.node, result)
    elif final == "wait":
        run.notify("escalation_ended", *people_to_remind(run, task), *operators(run), task=task)


def _final(run: Run, stage_run: StageRun, stage: Stage) -> str:
    """Return the final rule; it does not approve a stage in which nobody was ever asked."""
    vacant = any(t.status == "open" and not t.held_by and not t.candidates for t in run.tasks_of(stage_run))
    return "wait" if stage.final == "approve" and vacant else stage.final


def _name(person: str | None) -> str | None:
    return f"user:{person}" if person else None
