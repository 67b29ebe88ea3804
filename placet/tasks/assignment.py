"""Assignments: how a task reaches somebody else: reassigned, delegated, claimed, released, or left by a leaver."""

from __future__ import annotations

from placet.audit.chain import moment
from placet.audit.reasons import Reason, because, words
from placet.audit.sealed import Sealed, sealed
from placet.definition.assignees import person_id
from placet.definition.json_schema.forms import check_text
from placet.directory import Directory
from placet.engine.events import SYSTEM, Claim, Delegate, Reassign, Release
from placet.engine.run import Run
from placet.engine.state import Task
from placet.errors import InputInvalid, NotPermitted, Problem, Refused
from placet.sentences import sentence
from placet.tasks.candidates import operators, successors
from placet.tasks.choice import Choice
from placet.tasks.eligibility import ineligible_reason
from placet.tasks.permissions import (
    may_operate,
    movable_task,
    require_not_own,
    require_operator,
    require_seat,
    require_still_away,
)
from placet.tasks.substitution import Assignment, absent_seat_holder, eligible_candidates, seat_holders


def reassign(run: Run, event: Reassign) -> None:
    """Move a task to somebody else; its deadline stays."""
    task = movable_task(run, event.task_id)
    require_still_away(run, task, event.by)
    if task.assignee != event.by.person:
        require_operator(run, event.by, sentence("the assignee, "))
    reason = check_text(event.reason, "/reason")
    to = _recipient(run, task, event.to)
    _hand_over(run, task, to, kind="reassigned", via="reassignment", actor=event.by.name, why=sealed(reason))


def delegate(run: Run, event: Delegate) -> None:
    """Let somebody else decide; with `keep` the delegator may still decide as well."""
    task = movable_task(run, event.task_id)
    require_still_away(run, task, event.by)
    if task.assignee != event.by.person:
        raise NotPermitted("Only the assignee can delegate the task.")
    reason = check_text(event.reason, "/reason")
    to = _recipient(run, task, event.to)
    if not event.keep:
        via = f"delegation:{event.by.person}"
        _hand_over(run, task, to, kind="delegated", via=via, actor=event.by.name, why=sealed(reason))
        return
    if to in task.delegates:
        raise Refused(sentence("user:{to} may decide the task already.", to=to))
    changed = run.change(
        task,
        delegates=(*task.delegates, to),
        held_by=(*task.held_by, to),
    )
    run.record(
        "delegated",
        actor=event.by.name,
        task=task,
        why=sealed(reason),
        keep=True,
        before={"delegates": [f"user:{d}" for d in task.delegates]},
        after={"delegates": [f"user:{d}" for d in changed.delegates]},
    )
    run.notify("delegated", to, task=task, by=event.by.name, due_at=task.due_at)


def claim(run: Run, event: Claim) -> None:
    """Take a task out of its queue."""
    task = movable_task(run, event.task_id)
    person = event.by.person
    if task.assignee is not None:
        raise Refused(
            sentence(
                "The task is user:{assignee}'s already; ask them to put it back into the queue.", assignee=task.assignee
            )
        )
    require_not_own(run, person)
    if task.queue is not None:
        run.need_directory_of_now()
    people = eligible_candidates(run, task)
    if person not in people:
        if person in task.candidates:
            require_seat(run, task, person)
        raise NotPermitted("The task waits in a queue that is not yours.")
    require_seat(run, task, person)
    behalf = people[person]
    via = f"substitution:{behalf}" if behalf else "claim"
    holders = (behalf, person) if behalf and absent_seat_holder(run.state, via) else (person,)
    run.change(task, assignee=person, via=via, held_by=(*task.held_by, *holders))
    run.record(
        "claimed",
        actor=event.by.name,
        task=task,
        on_behalf_of=f"user:{behalf}" if behalf else None,
        before={"assignee": None},
        after={"assignee": event.by.name},
    )


def release(run: Run, event: Release) -> None:
    """Put a claimed task back into its queue."""
    task = movable_task(run, event.task_id)
    require_still_away(run, task, event.by)
    if not task.candidates or task.assignee is None:
        raise Refused("Only a task that was claimed from a queue can be released; reassign this one.")
    if task.assignee != event.by.person and not may_operate(run, event.by):
        raise NotPermitted("Only whoever claimed the task, the process owner or an admin can release it.")
    _put_back(run, task, actor=event.by.name, why=None)


def follow_directory(run: Run) -> None:
    """Move the tasks of people who have left, and of substitutes whose time is over.

    The tasks of leavers go to a delegate, their manager, the next of the escalation, or the owner. The tasks of
    substitutes go back to the person they acted for.
    """
    directory = run.state.directory
    for task in run.open_tasks():
        staying = _without_leavers(run, task, directory)
        if staying.queue is not None:
            staying = run.change(staying, candidates=tuple(eligible_candidates(run, staying)))
        away = absent_seat_holder(run.state, staying.via)
        if away is not None and directory.get(away) is not None:
            _give_back(run, staying, away)
        elif staying.assignee is not None:
            whose = away or staying.assignee
            if directory.get(whose) is None:
                why = because("left", person=f"user:{whose}")
                if staying.candidates:
                    _put_back(run, staying, actor=SYSTEM, why=why)
                else:
                    _succeed(run, staying, whose, why=why)
        elif task.candidates and not staying.candidates:
            _succeed(run, staying, None, why=because("queue_left"))


def _give_back(run: Run, task: Task, away: str) -> None:
    """Give a substitute's task back to the absent person, unless they are still away with the same substitute."""
    directory = run.state.directory
    if task.assignee in directory.substitutes_of(away, run.now):
        return
    stage = run.stage_of(task)
    taken = seat_holders(run, run.stages[task.node], but=task.seat)
    via = "claim" if task.queue is not None else "return"
    choice = Choice(run, stage, task.node)
    found = choice.ask(away, f"user:{away}", via=via, taken=taken)
    code = "absence_over" if directory.absence(away, run.now) is None else "substitute_changed"
    why = because(code, person=f"user:{away}")
    if found is None and ineligible_reason(run, away, stage, task.node, taken) is None:
        found = Assignment(
            person=away, via=via
        )  # they have no substitute now, and a person who is away may still decide
    if found is None:
        _succeed(run, task, away, why=why, choice=choice)
    else:
        _hand_over(run, task, found.person, kind="reassigned", via=found.via, actor=SYSTEM, why=why)


def _without_leavers(run: Run, task: Task, directory: Directory) -> Task:
    delegates = tuple(d for d in task.delegates if directory.get(d) is not None)
    candidates = tuple(c for c in task.candidates if directory.get(c) is not None)
    if delegates == task.delegates and candidates == task.candidates:
        return task
    return run.change(task, delegates=delegates, candidates=candidates)


def _succeed(run: Run, task: Task, whose: str | None, *, why: Reason, choice: Choice | None = None) -> None:
    """Find who gets the task of a person or a queue that can no longer have it."""
    stage = run.stage_of(task)
    choice = choice or Choice(run, stage, task.node)
    taken = seat_holders(run, run.stages[task.node], but=task.seat)
    for person, name in successors(run, stage, whose, task.delegates):
        found = choice.ask(person, name, via="succession", taken=taken, but=task.assignee)
        if found is not None:
            via = found.via if run.rules.keeps_seats_of_the_absent else "succession"
            _hand_over(run, task, found.person, kind="reassigned", via=via, actor=SYSTEM, why=why, choice=choice)
            return
    run.change(task, assignee=None, delegates=(), via="vacant")
    before = {"assignee": f"user:{task.assignee}"} if task.assignee else None
    missing = because("nobody_may_take", cause=why)
    run.record("approver_missing", task=task, why=missing, before=before, choice=choice.facts)
    run.notify("approver_missing", *operators(run), task=task, why=why)


def _put_back(run: Run, task: Task, *, actor: str, why: Reason | Sealed | None) -> None:
    before = {"assignee": f"user:{task.assignee}"}
    changed = run.change(task, assignee=None, delegates=(), via="queue")
    run.record("released", actor=actor, task=task, why=why, before=before, after={"assignee": None})
    run.notify("task_opened", *(c for c in changed.candidates if c != task.assignee), task=task, due_at=task.due_at)


def _hand_over(
    run: Run,
    task: Task,
    to: str,
    *,
    kind: str,
    via: str,
    actor: str,
    why: Reason | Sealed | None,
    choice: Choice | None = None,
) -> None:
    away = absent_seat_holder(run.state, via)
    holders = (away, to) if away is not None else (to,)
    run.change(task, assignee=to, delegates=(), via=via, held_by=(*task.held_by, *holders))
    run.record(
        kind,
        actor=actor,
        task=task,
        why=why,
        before={"assignee": f"user:{task.assignee}" if task.assignee else None},
        after={"assignee": f"user:{to}"},
        **(choice.told_of(to) if choice is not None else {}),
    )
    run.notify(kind, to, task=task, by=actor, due_at=task.due_at)
    left = (person for person in (task.assignee, *task.delegates) if person != to and f"user:{person}" != actor)
    run.notify("task_taken_over", *left, task=task, by=actor)


def _recipient(run: Run, task: Task, to: str) -> str:
    """Return who gets a task; raises InputInvalid for an unknown person, and NotPermitted with the reason why one may
    not.
    """
    if person_id(to) == task.assignee:
        raise Refused(sentence("user:{assignee} has the task already.", assignee=task.assignee))
    return require_eligible(run, task, to, "/to", taken=seat_holders(run, run.stages[task.node], but=task.seat))


def require_eligible(run: Run, task: Task, to: str, pointer: str, *, taken: set[str]) -> str:
    """Return the person who is named at `pointer` for a seat in the stage of a task, where `taken` fill the others."""
    person = person_id(to)
    if run.directory.get(person) is None:
        raise InputInvalid(
            sentence("There is no person {person!r}.", person=person),
            problems=(
                Problem(
                    pointer=pointer,
                    message=sentence("there is no active person {person!r}; give the id of one", person=person),
                ),
            ),
        )
    if (absence := run.directory.absence(person, run.now)) is not None:
        raise NotPermitted(
            sentence(
                "user:{person} may not have this task: they are away until {until}.",
                person=person,
                until=moment(absence.until),
            )
        )
    if (why := ineligible_reason(run, person, run.stage_of(task), task.node, taken)) is not None:
        raise NotPermitted(
            sentence("user:{person} may not have this task: user:{person} {why}.", person=person, why=words(why))
        )
    return person
