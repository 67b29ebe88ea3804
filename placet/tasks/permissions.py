"""Permissions: what has to hold before an event may change a request, and the refusals where it does not."""

from __future__ import annotations

from datetime import datetime

from placet.audit.chain import moment
from placet.engine.events import (
    Actor,
    AddApprover,
    AnswerQuestion,
    Attach,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    Event,
    Migrate,
    Reassign,
    Release,
    Remind,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.engine.run import Run
from placet.engine.state import Task
from placet.errors import AlreadyDecided, Ended, NotPermitted, Refused, Returned, UnknownTask
from placet.sentences import sentence
from placet.tasks.candidates import is_owner
from placet.tasks.eligibility import decided_elsewhere, is_excluded_principal
from placet.tasks.substitution import absent_seat_holder, decides_on_behalf_of, represented_person, seat_holders

_OF_DECIDERS = (Decide, Undo, Reassign, Delegate, AddApprover, Claim, Release, Migrate)
_OF_REQUESTERS = (Comment, AnswerQuestion, Remind, Resubmit, Attach, ClaimAction)


def require_not_operating_own(event: Event, requester: str) -> None:
    """Raise NotPermitted for an event that the requester may not cause on their own request, whatever their roles are.

    They may withdraw it, comment, attach files, remind people, answer questions and requests for changes, and claim its
    action. Every event that is not listed here is for others.
    """
    by: Actor | None = getattr(event, "by", None)
    if by is None or by.person != requester or isinstance(event, _OF_REQUESTERS):
        return
    if isinstance(event, Withdraw) and event.how == "withdrawn":
        return
    if isinstance(event, Decide | Undo | Claim):
        raise NotPermitted("Nobody decides their own request.")
    if isinstance(event, Migrate):
        raise NotPermitted("Nobody may move their own request to another version; ask another admin.")
    raise NotPermitted("Nobody operates their own request; ask the process owner or an admin who is not the requester.")


def require_no_agent(event: Event) -> None:
    """Raise NotPermitted for an agent that would decide, or say who decides; whatever its access is."""
    by: Actor | None = getattr(event, "by", None)
    if by is not None and by.type == "agent" and isinstance(event, _OF_DECIDERS):
        raise NotPermitted("An agent decides nothing, and gives no task to anybody; a person has to do this.")


def require_running(run: Run) -> None:
    """Raise Ended where the request has ended."""
    if run.state.status != "pending":
        raise Ended(sentence("The request has ended: {outcome}.", outcome=run.state.outcome or run.state.status))


def require_not_returned(run: Run) -> None:
    """Raise Refused while the request is with its requester."""
    if run.returned:
        raise Returned


def require_operator(run: Run, by: Actor, what: str) -> None:
    """Raise NotPermitted for whoever is neither the process owner nor an admin."""
    if not may_operate(run, by):
        raise NotPermitted(sentence("Only {what}the process owner or an admin can do this.", what=what))


def may_operate(run: Run, by: Actor) -> bool:
    """Say whether this is the process owner or an admin."""
    return by.admin or is_owner(run, by.person)


def open_task(run: Run, task_id: str) -> Task:
    """Return an open task; raises UnknownTask, Ended, or AlreadyDecided with the decision that stands."""
    task = run.tasks.get(task_id)
    if task is None and run.has_had(task_id):
        raise AlreadyDecided("The task was settled long ago.")  # how, the store knows
    if task is None:
        raise UnknownTask(sentence("The request has no task {task_id!r}.", task_id=task_id))
    if task.status == "open":
        return task
    raise settled(run, task)


def settled(run: Run, task: Task) -> Refused:
    """Return the refusal to act on a task that is not open, with the decision that stands."""
    if task.status == "cancelled":
        return Ended(sentence("The request has ended: {outcome}.", outcome=run.state.outcome or run.state.status))
    decided = task if task.status == "decided" else _last_vote(run, task)
    if task.status == "decided":
        message = sentence(
            "The task has been decided: {decision} by user:{decided_by}.",
            decision=task.decision,
            decided_by=task.decided_by,
        )
        if task.undo_until is not None:
            message += sentence(" Whoever decided may undo it until {until}.", until=moment(task.undo_until))
    else:
        message = sentence(
            "The task is closed: {why}.",
            why=_RESULTS.get(task.result or "", sentence("its stage has been settled without it")),
        )
    return AlreadyDecided(
        message,
        standing={
            "task_id": task.id,
            "status": task.status,
            "decision": decided.decision if decided else None,
            "decided_by": f"user:{decided.decided_by}" if decided else None,
            "decided_at": moment(decided.decided_at) if decided and decided.decided_at else None,
            "result": task.result,
            "outcome": run.state.outcome,
            **({"undo_until": moment(task.undo_until)} if task.undo_until is not None else {}),
        },
    )


def require_decider(run: Run, task: Task, by: Actor, *, stands_in: bool) -> str | None:
    """Return on whose behalf they decide; raises NotPermitted for a person who may not decide this task.

    Whether somebody who `stands_in` does so, only the directory as it is now can tell.
    """
    person = by.person
    require_not_own(run, person)
    require_still_away(run, task, by, stands_in=stands_in)
    away = absent_seat_holder(run.state, task.via)
    if person == away:
        behalf = None
    elif away is not None and person in task.delegates:
        behalf = away
    elif person == task.assignee or person in task.delegates:
        behalf = decides_on_behalf_of(task, person) if run.rules.knows_substitutes or person != task.assignee else None
    elif task.assignee is None and person in task.candidates:
        raise NotPermitted("The task waits in a queue; claim it first.")
    else:
        behalf = _covered(run, task, person) if stands_in and run.rules.knows_substitutes else None
        if behalf is None:
            raise NotPermitted("This task is not yours to decide.")
    require_seat(run, task, person)
    return behalf


def require_still_away(run: Run, task: Task, by: Actor, *, stands_in: bool = False) -> None:
    """Raise DirectoryNeeded where somebody acts on a task that a substitute has only for now.

    Reading the directory again gives the task to the right person (placet.tasks.assignment).
    """
    away = absent_seat_holder(run.state, task.via)
    if away is not None and (stands_in or by.person in {away, task.assignee, *task.delegates}):
        run.need_directory_of_now()


def movable_task(run: Run, task_id: str) -> Task:
    """Return an open task that may change hands; raises as `open_task`, and Returned while the branches stand still."""
    task = open_task(run, task_id)
    if run.rules.holds_tasks_while_returned and run.state.returned_at is not None:
        raise Returned
    return task


def _covered(run: Run, task: Task, person: str) -> str | None:
    run.need_directory_of_now()
    return represented_person(run, task, person)


def require_not_own(run: Run, person: str) -> None:
    """Raise NotPermitted for the requester."""
    if person == run.state.requester:
        raise NotPermitted("Nobody decides their own request.")


def require_seat(run: Run, task: Task, person: str) -> None:
    """Raise NotPermitted for a person who fills another seat of the stage, or is excluded by an earlier stage."""
    if person in seat_holders(run, run.stages[task.node], but=task.seat):
        raise NotPermitted("You already fill another seat of this stage; one person fills at most one.")
    if is_excluded_principal(run, person, run.stage_of(task)):
        raise NotPermitted(
            "An agent of yours has asked for this, and this process forbids deciding for one's own agent."
        )
    if run.stage_of(task).repeat == "forbid" and decided_elsewhere(run, person, task.node):
        raise NotPermitted("You have decided another stage of this request, and this process forbids deciding twice.")


_RESULTS = {
    "changes_requested": sentence("changes were requested, and the stage opens again when the request is resubmitted"),
    "approved": sentence("its stage has been approved without it"),
    "rejected": sentence("its stage has been rejected without it"),
    "expired": sentence("its stage has expired"),
    "ended": sentence("the request has gone on without its branch"),
    "restarted": sentence("the request was changed, and goes again from its first step"),
}


def _last_vote(run: Run, task: Task) -> Task | None:
    """Return the task whose decision settled the stage of a task that was closed undecided, if there is one."""
    votes = [t for t in run.tasks.values() if t.node == task.node and t.round == task.round and t.status == "decided"]
    return max(reversed(votes), key=_decided_at) if votes else None


def _decided_at(task: Task) -> datetime:
    return task.decided_at or task.opened_at
