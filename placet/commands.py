"""What people do to a request: each event's rules, and its change on the scratchpad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from placet.directory import Directory
from placet.errors import AlreadyDecided, Ended, InputInvalid, NotPermitted, Problem, Refused, UnknownTask
from placet.events import (
    Actor,
    Claim,
    Comment,
    Decide,
    Delegate,
    DirectoryRead,
    Event,
    Extend,
    Reassign,
    Release,
    Resubmit,
    SignalRefused,
    Withdraw,
)
from placet.forms import check_form
from placet.policy import Assignment, decided_elsewhere, eligible, resolve, taken_seats
from placet.run import Run
from placet.stages import after_vote, reopen
from placet.state import Task
from placet.who import parse_who, person_id

_LONGEST_COMMENT = 10_000


def carry_out(run: Run, event: Event) -> None:
    """Check an event against the request as it stands and carry it out; raises before anything has changed."""
    _HANDLERS[type(event)](run, event)


def read_directory(run: Run, event: DirectoryRead) -> None:
    """Take the directory as it is now; the tasks of people who have left move on."""
    run.set(directory=event.directory, directory_at=event.at)
    if run.state.status == "pending":
        move_on_from_leavers(run, event.directory)


def refuse_signal(run: Run, event: SignalRefused) -> None:
    """Put on record that somebody tried to decide with a token that does not hold."""
    run.record("signal_refused", why=event.reason, claimed=event.claimed)


def decide(run: Run, event: Decide) -> None:
    """Take one person's decision on one task."""
    task = _open_task(run, event.task_id)
    if event.round is not None and event.round != task.round:
        raise AlreadyDecided("That round of the stage is over; look at the request and decide again.", standing={})
    _not_returned(run)
    _may_decide(run, task, event.by)
    stage = run.stage_of(task)
    text = _text(event.comment, "/comment", optional=True)
    if event.decision in stage.comment_required and not text:
        raise InputInvalid(
            f"Stage {stage.name!r} asks for a comment with this decision.",
            problems=(Problem(pointer="/comment", message=f"say why: {event.decision} needs a comment in this stage"),),
        )
    if stage.form is not None and event.decision == "approve":
        check_form(stage.form, event.form)
    elif event.form is not None and stage.form is None:
        raise InputInvalid(
            f"Stage {stage.name!r} asks for no form.",
            problems=(Problem(pointer="/form", message="this stage has no form; leave it out"),),
        )
    if event.decision == "request_changes" and run.state.round >= run.plan.max_rounds:
        raise Refused(f"The request has had {run.state.round} rounds, as many as allowed; approve or reject it.")
    person = event.by.person
    changed = run.change(
        task,
        status="decided",
        decision=event.decision,
        decided_by=person,
        decided_at=run.now,
        comment=text,
        form=event.form,
    )
    run.record(
        "changes_requested" if event.decision == "request_changes" else "decided",
        actor=event.by.name,
        task=task,
        decision=event.decision,
        why=text,
        form=event.form,
        on_behalf_of=f"user:{task.assignee}" if task.assignee and task.assignee != person else None,
        via=event.via,
        round=task.round,
        before="open",
        after=event.decision,
    )
    if event.decision == "request_changes":
        _return(run, changed)
    else:
        after_vote(run, task.point)


def comment(run: Run, event: Comment) -> None:
    """Put a comment on record and tell the others who are concerned."""
    _running(run)
    text = _text(event.text, "/text")
    run.record("commented", actor=event.by.name, why=text)
    people = [p for t in run.open_tasks() for p in (t.assignee, *t.delegates) if p and p != event.by.person]
    requester = run.state.requester
    run.tell("commented", requester if requester != event.by.person else None, *people, text=text, by=event.by.name)


def withdraw(run: Run, event: Withdraw) -> None:
    """End the request because its requester takes it back, or an operator cancels it."""
    _running(run)
    if event.how == "withdrawn" and event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can withdraw a request; its owner or an admin can cancel it.")
    if event.how == "cancelled" and not _operates(run, event.by):
        raise NotPermitted("Only the process owner or an admin can cancel a request.")
    reason = _text(event.reason, "/reason", optional=True)
    run.finish(
        "cancelled", event.how, kind=event.how, actor=event.by.name, why=reason, before="pending", after=event.how
    )


def reassign(run: Run, event: Reassign) -> None:
    """Move a task to somebody else; its deadline stays."""
    task = _open_task(run, event.task_id)
    if task.assignee != event.by.person and not _operates(run, event.by):
        raise NotPermitted("Only whoever has the task, the process owner or an admin can reassign it.")
    found = _recipient(run, task, event.to)
    _hand_over(
        run, task, found.person, kind="reassigned", via="reassignment", actor=event.by.name, why=_reason(event.reason)
    )


def delegate(run: Run, event: Delegate) -> None:
    """Let somebody else decide; the delegator keeps the right to decide where `keep` says so."""
    task = _open_task(run, event.task_id)
    if task.assignee != event.by.person:
        raise NotPermitted("Only whoever has the task can delegate it.")
    found = _recipient(run, task, event.to)
    via = f"delegation:{event.by.person}"
    if not event.keep:
        _hand_over(run, task, found.person, kind="delegated", via=via, actor=event.by.name, why=_reason(event.reason))
        return
    changed = run.change(
        task,
        delegates=tuple(dict.fromkeys((*task.delegates, found.person))),
        held_by=(*task.held_by, found.person),
    )
    run.record(
        "delegated",
        actor=event.by.name,
        task=task,
        why=_reason(event.reason),
        keep=True,
        before={"delegates": [f"user:{d}" for d in task.delegates]},
        after={"delegates": [f"user:{d}" for d in changed.delegates]},
    )
    run.tell("delegated", found.person, task=task, by=event.by.name, due_at=task.due_at)


def claim(run: Run, event: Claim) -> None:
    """Take a task out of its queue."""
    task = _open_task(run, event.task_id)
    person = event.by.person
    if task.assignee is not None:
        raise Refused(f"The task is user:{task.assignee}'s already; ask them to release it.")
    _not_own(run, person)
    if person not in task.candidates:
        raise NotPermitted("The task waits in a queue that is not yours.")
    stage = run.stage_of(task)
    if person in taken_seats(run, run.stages[task.point], but=task.seat):
        raise NotPermitted("You fill another seat of this stage already; one person fills at most one.")
    if stage.repeat == "forbid" and decided_elsewhere(run, person, task.point):
        raise NotPermitted("You have decided another stage of this request, and this process forbids both.")
    run.change(task, assignee=person, via="claim", held_by=(*task.held_by, person))
    run.record("claimed", actor=event.by.name, task=task, before={"assignee": None}, after={"assignee": event.by.name})


def release(run: Run, event: Release) -> None:
    """Put a claimed task back into its queue."""
    task = _open_task(run, event.task_id)
    if not task.candidates or task.assignee is None:
        raise Refused("Only a task that was claimed from a queue can be released; reassign this one.")
    if task.assignee != event.by.person and not _operates(run, event.by):
        raise NotPermitted("Only whoever claimed the task, the process owner or an admin can release it.")
    before = f"user:{task.assignee}"
    run.change(task, assignee=None, delegates=(), via="queue")
    run.record("released", actor=event.by.name, task=task, before={"assignee": before}, after={"assignee": None})
    run.tell("task_opened", *(c for c in task.candidates if c != task.assignee), task=task, due_at=task.due_at)


def extend(run: Run, event: Extend) -> None:
    """Move the deadline of one open task, or of all of them; the clocks that hang on it move along."""
    _running(run)
    _not_returned(run)
    if not _operates(run, event.by):
        raise NotPermitted("Only the process owner or an admin can move a deadline.")
    if (event.seconds is None) == (event.due_at is None):
        raise InputInvalid(problems=(Problem(pointer="/due_at", message='give either "hours" or "due_at"'),))
    tasks = [_open_task(run, event.task_id)] if event.task_id is not None else run.open_tasks()
    timed = [t for t in tasks if t.due_at is not None]
    if not timed:
        raise Refused("No open task has a deadline to move.")
    for task in timed:
        due = event.due_at or run.after(max(task.due_at or run.now, run.now), timedelta(seconds=event.seconds or 0))
        if due <= run.now:
            raise InputInvalid(
                problems=(Problem(pointer="/due_at", message="the new deadline must lie in the future"),)
            )
    for task in timed:
        _move_deadline(run, task, event)


def resubmit(run: Run, event: Resubmit) -> None:
    """Answer a request for changes: the returned stage opens again as the next round."""
    _running(run)
    if event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can resubmit the request.")
    returned = [s for s in run.stages.values() if s.returned_at is not None]
    if not returned:
        raise Refused("Nobody has asked for changes; there is nothing to resubmit.")
    since = min(s.returned_at for s in returned if s.returned_at is not None)
    changed = event.input if event.input is not None else run.state.input
    run.set(round=run.state.round + 1, input=changed)
    run.record(
        "resubmitted",
        actor=event.by.name,
        why=_text(event.comment, "/comment", optional=True),
        before={"input": run.state.input} if event.input is not None else None,
        after={"input": changed} if event.input is not None else None,
        round=run.state.round,
    )
    _resume_clocks(run, since)
    for stage_run in returned:
        reopen(run, stage_run.point)


def move_on_from_leavers(run: Run, directory: Directory) -> None:
    """Move the tasks of people who have left to their manager, the escalation's next, or the process owner."""
    for task in run.open_tasks():
        left = [d for d in task.delegates if directory.get(d) is None]
        if left:
            task = run.change(task, delegates=tuple(d for d in task.delegates if d not in left))  # noqa: PLW2901
        if task.assignee is None or directory.get(task.assignee) is not None:
            continue
        if task.candidates:
            run.change(task, assignee=None, via="queue")
            run.record(
                "released",
                task=task,
                why=f"user:{task.assignee} has left",
                before={"assignee": f"user:{task.assignee}"},
                after={"assignee": None},
            )
            continue
        successor = _successor(run, task)
        if successor is None:
            continue
        _hand_over(
            run,
            task,
            successor.person,
            kind="reassigned",
            via="succession",
            actor="system",
            why=f"user:{task.assignee} has left",
        )


def _successor(run: Run, task: Task) -> Assignment | None:
    stage = run.stage_of(task)
    taken = taken_seats(run, run.stages[task.point], but=task.seat)
    above = run.directory.managers(task.assignee) if task.assignee else []
    named = [p for level in stage.levels for p in _resolved(run, level.to, task)]
    owner = _resolved(run, "owner", task) if run.plan.owner else []
    for person in [*above, *named, *owner]:
        if person != task.assignee and (
            found := eligible(run, person, stage, task.point, via="succession", taken=taken)
        ):
            return found
    return None


def _resolved(run: Run, name: str, task: Task) -> list[str]:
    return resolve(run, parse_who(name), assignee=task.assignee)


def _return(run: Run, task: Task) -> None:
    """Give the request back to its requester: the stage's other tasks close, and the clock stops."""
    stage_run = run.stages[task.point]
    for other in run.tasks_of(stage_run):
        if other.status == "open":
            run.change(other, status="superseded")
            run.record("task_closed", task=other, why="changes were requested", before="open", after="superseded")
            run.tell("superseded", *([other.assignee] if other.assignee else other.candidates), task=other)
    run.stages[task.point] = replace(stage_run, returned_at=run.now)
    run.tell("changes_requested", run.state.requester, task=task, text=task.comment, by=f"user:{task.decided_by}")


def _resume_clocks(run: Run, since: datetime) -> None:
    for task in run.open_tasks():
        moved: dict[str, Any] = {}
        for name in ("due_at", "warn_at", "remind_at", "escalate_at"):
            moment = getattr(task, name)
            if moment is not None:
                moved[name] = run.after(max(moment, since), run.working(since, run.now))
        early = tuple(run.after(max(m, since), run.working(since, run.now)) for m in task.remind_before)
        run.change(task, remind_before=early, **moved)


def _move_deadline(run: Run, task: Task, event: Extend) -> None:
    stage = run.stage_of(task)
    before = task.due_at
    due = event.due_at or run.after(max(task.due_at or run.now, run.now), timedelta(seconds=event.seconds or 0))
    changes: dict[str, Any] = {"due_at": due}
    if task.breached_at is None:
        warn = run.before(due, stage.warn_before) if stage.warn_before else None
        changes["warn_at"] = max(warn, run.now) if warn is not None and (warn > run.now or task.warn_at) else None
        if task.sla_state == "warning" and warn is not None and warn > run.now:
            changes["sla_state"] = "ok"
        early = [run.before(due, span) for span in stage.remind_before]
        changes["remind_before"] = tuple(m for m in early if m > run.now)
    elif task.escalate_at is not None and task.level > 0:
        changes["escalate_at"] = due
    run.change(task, **changes)
    run.record(
        "extended",
        actor=event.by.name,
        task=task,
        why=_reason(event.reason),
        before={"due_at": before},
        after={"due_at": due},
    )
    run.tell("extended", *([task.assignee] if task.assignee else task.candidates), task=task, due_at=due)


def _hand_over(run: Run, task: Task, to: str, *, kind: str, via: str, actor: str, why: str | None) -> None:
    run.change(task, assignee=to, delegates=(), via=via, held_by=(*task.held_by, to))
    run.record(
        kind,
        actor=actor,
        task=task,
        why=why,
        before={"assignee": f"user:{task.assignee}" if task.assignee else None},
        after={"assignee": f"user:{to}"},
    )
    run.tell(kind, to, task=task, by=actor, due_at=task.due_at)
    run.tell("task_taken_over", *(p for p in (task.assignee, *task.delegates) if p and p != to), task=task, by=actor)


def _recipient(run: Run, task: Task, to: str) -> Assignment:
    person = person_id(to)
    if run.directory.get(person) is None:
        raise InputInvalid(
            f"There is no person {person!r}.",
            problems=(Problem(pointer="/to", message=f"there is no active person {person!r}; give the id of one"),),
        )
    if person == task.assignee:
        raise Refused(f"user:{person} has the task already.")
    stage = run.stage_of(task)
    taken = taken_seats(run, run.stages[task.point], but=task.seat) - set(task.delegates)
    found = eligible(run, person, stage, task.point, via="reassignment", taken=taken)
    if found is None or found.person != person:
        raise NotPermitted(
            f"user:{person} may not have this task: away, the requester, in another seat of the stage, "
            "or barred by separation of duties."
        )
    return found


def _open_task(run: Run, task_id: str) -> Task:
    task = run.tasks.get(task_id)
    if task is None:
        raise UnknownTask(f"The request has no task {task_id!r}.")
    if task.status == "open":
        return task
    if run.state.status != "pending" and task.status == "cancelled":
        raise Ended(f"The request has ended: {run.state.outcome or run.state.status}.")
    if task.status == "decided":
        by = f"user:{task.decided_by}" if task.decided_by else "system"
        message = f"The task has been decided: {task.decision} by {by}."
    else:
        message = "The task is closed: its stage has been settled without it."
    raise AlreadyDecided(
        message,
        standing={
            "task_id": task.id,
            "status": task.status,
            "decision": task.decision,
            "decided_by": f"user:{task.decided_by}" if task.decided_by else None,
            "decided_at": task.decided_at.isoformat() if task.decided_at else None,
            "outcome": run.state.outcome,
        },
    )


def _may_decide(run: Run, task: Task, by: Actor) -> None:
    person = by.person
    _not_own(run, person)
    if person != task.assignee and person not in task.delegates:
        if task.assignee is None and person in task.candidates:
            raise NotPermitted("The task waits in a queue; claim it first.")
        raise NotPermitted("This task is not yours to decide.")
    stage = run.stage_of(task)
    if person in taken_seats(run, run.stages[task.point], but=task.seat):
        raise NotPermitted("You fill another seat of this stage already; one person fills at most one.")
    if stage.repeat == "forbid" and decided_elsewhere(run, person, task.point):
        raise NotPermitted("You have decided another stage of this request, and this process forbids both.")


def _not_own(run: Run, person: str) -> None:
    if person == run.state.requester:
        raise NotPermitted("Nobody decides their own request.")


def _running(run: Run) -> None:
    if run.state.status != "pending":
        raise Ended(f"The request has ended: {run.state.outcome or run.state.status}.")


def _not_returned(run: Run) -> None:
    if any(s.returned_at for s in run.stages.values()):
        raise Refused("The request is with its requester for changes; wait until it is resubmitted.")


def _operates(run: Run, by: Actor) -> bool:
    return by.admin or run.plan.owner == f"user:{by.person}"


def _reason(text: str | None) -> str | None:
    return _text(text, "/reason", optional=True)


def _text(text: str | None, pointer: str, *, optional: bool = False) -> str | None:
    stripped = (text or "").strip()
    if not stripped and not optional:
        raise InputInvalid(problems=(Problem(pointer=pointer, message="write something"),))
    if len(stripped) > _LONGEST_COMMENT:
        raise InputInvalid(problems=(Problem(pointer=pointer, message=f"write at most {_LONGEST_COMMENT} characters"),))
    return stripped or None


_HANDLERS: dict[type[Any], Callable[[Run, Any], None]] = {
    Decide: decide,
    Reassign: reassign,
    Delegate: delegate,
    Claim: claim,
    Release: release,
    Comment: comment,
    Extend: extend,
    Resubmit: resubmit,
    Withdraw: withdraw,
    DirectoryRead: read_directory,
    SignalRefused: refuse_signal,
}
