"""Commands: the handler of each event, and the commands on the request as a whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from placet.audit.reasons import because
from placet.audit.sealed import Sealed, sealed
from placet.definition.assignees import is_person
from placet.definition.json_schema.forms import check_text
from placet.engine.call_results import set_variables
from placet.engine.claims import claim_action, expire
from placet.engine.conversation import answer, ask, comment, remind
from placet.engine.events import (
    SYSTEM,
    ActionDone,
    Actor,
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    Attach,
    ChildEnded,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    DirectoryRead,
    Event,
    Extend,
    Happened,
    Migrate,
    Reassign,
    Release,
    Remind,
    Resubmit,
    SignalRefused,
    StoreAhead,
    Undo,
    Withdraw,
)
from placet.engine.flow import settle, take_action, take_child
from placet.engine.input import require_event_values
from placet.engine.migration import migrate
from placet.engine.revisions import attach, resubmit
from placet.engine.run import Run
from placet.errors import HandedOver, InputInvalid, NotPermitted, Overtaken, Problem, Refused, Returned
from placet.json_values import check_json
from placet.nodes.wait import wait_spec_of
from placet.plan.graph import Node
from placet.sentences import sentence
from placet.tasks.additions import add_approver
from placet.tasks.assignment import claim, delegate, follow_directory, reassign, release
from placet.tasks.deadlines import move_deadline
from placet.tasks.decisions import decide, let_decisions_stand, undo
from placet.tasks.permissions import (
    open_task,
    require_decider,
    require_no_agent,
    require_not_operating_own,
    require_not_returned,
    require_operator,
    require_running,
)

_FURTHEST = timedelta(days=50 * 366)  # from now: the longest time that a calendar counts
# Refused signals that are put on record; whoever sends more has been noticed, and fills the chain no further.
MOST_SIGNALS_REFUSED = 100
_LONGEST_CLAIM = 200  # characters of what an unverified signal said


def carry_out(run: Run, event: Event) -> None:
    """Check an event against the request and carry it out; raises before any change is visible."""
    by: Actor | None = getattr(event, "by", None)
    if by is not None and by.person != SYSTEM and not is_person(by.person):
        raise NotPermitted(
            sentence("{person!r} is nobody's id.", person=_harmless(by.person))
        )  # and nothing that every database can store
    if isinstance(event, Reassign | Extend | Withdraw) and event.seq not in {None, run.seq}:
        raise Overtaken
    if not isinstance(event, DirectoryRead):  # which whatever stands may need first
        let_decisions_stand(run)
    run.acting = by
    if run.rules.keeps_agents_from_deciding:
        require_no_agent(event)
    if run.rules.forbids_operating_ones_own:  # requests that began before this rule go on as their history has it
        require_not_operating_own(event, run.state.requester)
    _HANDLERS[type(event)](run, event)


def read_directory(run: Run, event: DirectoryRead) -> None:
    """Take the directory as it is now, and move on the tasks whose people have left or whose substitutes are no longer
    needed.
    """
    # It counts as read at this moment, whatever the clock of whoever read it says: the event that needed it comes next.
    run.set(directory=event.directory, directory_at=run.now, directory_given=event.given)
    follow_directory(run)


def refuse_signal(run: Run, event: SignalRefused) -> None:
    """Record that somebody tried to decide with an invalid token."""
    if run.rules.bounds_refused_signals:
        run.set(signals_refused=run.state.signals_refused + 1)
        if run.state.signals_refused > MOST_SIGNALS_REFUSED:
            return
    claimed = {_harmless(k): _harmless(v) for k, v in list(event.claimed.items())[:10] if v is not None}
    words = _harmless(event.reason)
    why = event.why or sealed(words) if run.rules.sealed else words
    run.record("signal_refused", why=why, claimed=Sealed(claimed))


def take_back(run: Run, event: StoreAhead) -> None:
    """Record that something was stored which has not happened; what follows in the store gives way to this entry."""
    run.record("taken_back", stored=event.stored)


def decide_held_task(run: Run, event: Decide) -> None:
    """Take a decision, unless its token was signed before the task changed hands."""
    task = run.tasks.get(event.task_id)
    if task is not None and event.hand_overs is not None and event.hand_overs != task.hand_overs:
        require_decider(run, open_task(run, event.task_id), event.by, stands_in=event.stands_in)
        raise HandedOver
    decide(run, event)


def take_outside_event(run: Run, event: Happened) -> None:
    """Take an outside event, which ends every wait for it."""
    require_running(run)
    require_operator(run, event.by, "")
    if run.state.returned_at is not None:
        raise Returned
    check_json(event.payload, "/payload")
    waiting = [wait for wait in run.waits.values() if wait.event == event.name]
    if not waiting:
        named = ", ".join(sorted({wait.event for wait in run.waits.values() if wait.event})) or "nothing"
        raise Refused(
            sentence("Nothing waits for {name!r} now; what is waited for: {named}.", name=event.name, named=named)
        )
    changes = [_set_from_event(run, run.node(wait.node), event.payload) for wait in waiting]
    run.record(
        "event_received",
        actor=event.by.name,
        event=event.name,
        payload=Sealed(event.payload),
        nodes=[wait.node for wait in waiting],
        before=Sealed({name: value for before, _ in changes for name, value in before.items()}),
        after=Sealed({name: value for _, after in changes for name, value in after.items()}),
    )
    for wait in waiting:
        if run.waits.get(wait.node) is wait:  # going on from one may end the branch of another
            settle(run, wait.node, "event")


def _set_from_event(run: Run, node: Node, payload: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the variables that a wait takes from an event; refuses an event without the values that the following nodes
    need.
    """
    output = wait_spec_of(node).output
    changed = set_variables(run, output, payload, "/payload")
    if run.rules.requires_needed_values:
        require_event_values(run.plan, run.state.input, node, "/payload")
    return changed


def withdraw(run: Run, event: Withdraw) -> None:
    """End the request: its requester withdraws it, or an operator cancels it."""
    if run.state.claimable and event.by.person == SYSTEM:  # the engine ends what still waits to be claimed
        expire(run, because("cancelled_in_engine"))
        return
    require_running(run)
    if event.how == "cancelled":
        require_operator(run, event.by, "")
    elif event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can withdraw a request; its owner or an admin can cancel it.")
    reason = check_text(event.reason, "/reason")
    why = because("cancelled_in_engine") if event.by.person == SYSTEM else sealed(reason)
    run.finish("cancelled", event.how, kind=event.how, actor=event.by.name, why=why, before="pending", after=event.how)


def extend(run: Run, event: Extend) -> None:
    """Move the deadline of one open task, or of all of them, together with what depends on it."""
    require_running(run)
    require_not_returned(run)
    require_operator(run, event.by, "")
    if (event.seconds is None) == (event.due_at is None):
        raise InputInvalid(problems=(Problem(pointer="/due_at", message='give either "seconds" or "due_at"'),))
    reason = check_text(event.reason, "/reason")
    tasks = [open_task(run, event.task_id)] if event.task_id is not None else run.open_tasks()
    moved = [(t, _new_deadline(run, t.due_at, event)) for t in tasks if t.due_at is not None]
    if not moved:
        raise Refused("No open task has a deadline to move.")
    for task, due in moved:
        move_deadline(run, task, due)
        run.record(
            "extended",
            actor=event.by.name,
            task=task,
            why=sealed(reason),
            before={"due_at": task.due_at},
            after={"due_at": due},
        )
        run.notify("extended", *task.people, task=task, due_at=due)


def _new_deadline(run: Run, before: datetime, event: Extend) -> datetime:
    if event.due_at is not None:
        due, pointer = event.due_at, "/due_at"
        if due.tzinfo is None:
            raise InputInvalid(problems=(Problem(pointer=pointer, message="give the moment with its time zone"),))
    else:
        pointer = "/seconds"
        if not abs(event.seconds or 0) <= _FURTHEST.total_seconds():  # so that what is not a number fails too
            raise InputInvalid(problems=(Problem(pointer=pointer, message="give at most 50 years of seconds"),))
        due = run.after(max(before, run.now), timedelta(seconds=event.seconds or 0))
    if not run.now < due <= run.now + _FURTHEST:
        message = "the new deadline must lie in the future, and at most 50 years from now"
        raise InputInvalid(problems=(Problem(pointer=pointer, message=message),))
    return due


def _harmless(value: object) -> str:
    """Return what an unknown sender wrote as text that can be stored: without NUL or half characters, and not long."""
    return str(value)[:_LONGEST_CLAIM].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


_HANDLERS: dict[type[Any], Callable[[Run, Any], None]] = {
    Decide: decide_held_task,
    Undo: undo,
    Reassign: reassign,
    Delegate: delegate,
    AddApprover: add_approver,
    Claim: claim,
    Release: release,
    Comment: comment,
    AskQuestion: ask,
    AnswerQuestion: answer,
    Remind: remind,
    Extend: extend,
    Resubmit: resubmit,
    Attach: attach,
    ClaimAction: claim_action,
    Withdraw: withdraw,
    Migrate: migrate,
    DirectoryRead: read_directory,
    SignalRefused: refuse_signal,
    StoreAhead: take_back,
    ActionDone: take_action,
    ChildEnded: take_child,
    Happened: take_outside_event,
}
