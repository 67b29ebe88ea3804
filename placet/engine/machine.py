"""The interpreter: `begin`, `apply` and `due` turn a state and an event into a new state and its effects.

Pure and total: an event either leads to a valid state or is refused with an error of `placet.errors`, and then nothing
has happened. The drivers (the Temporal workflow, the simulator) give the time and carry the effects out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from placet.audit.chain import genesis
from placet.audit.sealed import Sealed
from placet.definition.json_schema.forms import check_text
from placet.definition.variables import normalise_input
from placet.engine import commands
from placet.engine.bound_action import check_action
from placet.engine.content import content_digest
from placet.engine.events import ActionDone, ChildEnded, DirectoryRead, Event, Opening, SignalRefused, StoreAhead
from placet.engine.flow import advance, settle
from placet.engine.revisions import action_facts, check_opening_files, opening_attachments, record_opening_files
from placet.engine.run import DirectoryNeeded, Run
from placet.engine.state import State, Transition
from placet.engine.timers import carry_out_due, next_due
from placet.errors import Refused
from placet.plan.plan import Plan

__all__ = ["apply", "begin", "check", "due", "next_due", "opening_state"]

# Events that come by themselves: nobody waits for an answer.
_UNASKED = DirectoryRead | SignalRefused | StoreAhead | ActionDone | ChildEnded
# A request that begins later than this after its directory was read has the directory read again.
STARTED_LATE = timedelta(minutes=5)


def opening_state(plan: Plan, opening: Opening, now: datetime) -> State:
    """Return the state of a request before its first entry; an update that arrives before `begin` finds it."""
    attachments = opening_attachments(opening, now)
    return State(
        request_id=opening.request_id,
        requester=opening.requester,
        title=opening.title,
        input=opening.input,
        started_at=now,
        directory=opening.directory,
        directory_at=now if abs(now - opening.directory_at) <= STARTED_LATE else opening.directory_at,
        directory_given=opening.input,
        head=genesis(opening.request_id),
        format=plan.format,
        secret=opening.secret,
        rules=plan.rules,
        given=opening.input,
        titled=opening.titled,
        content_digest=content_digest(plan, opening.title, opening.input, attachments, opening.action),
        attachments=attachments,
        action=opening.action,
        started_by=opening.started_by,
        principal=opening.principal,
    )


def begin(plan: Plan, opening: Opening, state: State, now: datetime) -> Transition:
    """Start a request: record its opening and go on from the trigger until somebody is asked.

    Raises InputInvalid for input that does not fit the plan's variables, and for files that cannot be. A request that
    has begun stays as it is.
    """
    if state.seq:
        return Transition(state=state)
    check_text(opening.title, "/title", optional=False)
    check_opening_files(opening)
    if opening.action is not None:
        check_action(opening.action, "/action")
    given = normalise_input(plan.variables, opening.input)

    def work(run: Run) -> None:
        run.set(started_at=run.now)  # later than it was asked for, where the directory had to be read first
        if given != state.input:
            digest = content_digest(plan, opening.title, given, state.attachments, state.action)
            run.set(input=given, given=given, content_digest=digest)
        run.record(
            "started",
            actor=f"user:{opening.started_by or opening.requester}",
            requester=f"user:{opening.requester}",
            blueprint=plan.name,
            version=plan.version,
            digest=plan.digest,
            title=Sealed(opening.title),
            input=Sealed(given),
            **action_facts(state.action),
            parent=opening.parent,
            created_from=opening.created_from,
            actor_type=None if opening.actor_type == "person" else opening.actor_type,
            principal=f"user:{opening.principal}" if opening.principal else None,
            **run.state.revision_facts,
        )
        record_opening_files(run, opening)
        advance(run, plan.start)

    return _worked(plan, state, now, work)


def apply(plan: Plan, state: State, event: Event, now: datetime) -> Transition:
    """Apply one event; raises Refused (or InputInvalid) where it may not be applied.

    An event whose key was answered before changes nothing: its earlier answer still holds.
    """
    key: str | None = getattr(event, "key", None)
    if key is not None and key in state.answered:
        return Transition(state=state)
    if state.status != "pending" and isinstance(event, _UNASKED):
        return Transition(state=state)  # nothing changes after the end
    if not state.seq and not isinstance(event, DirectoryRead):
        raise Refused("The request has not begun yet; repeat in a moment.")
    return _worked(plan, state, now, lambda run: commands.carry_out(run, event), key)


def check(plan: Plan, state: State, event: Event, now: datetime) -> None:
    """Raise what `apply` would raise, without applying; a check that needs a fresh directory is left to `apply`."""
    apply(plan, state, event, now)


def due(plan: Plan, state: State, now: datetime) -> Transition:
    """Carry out every reminder, warning, breach, escalation, final rule and end of a wait that is due by now."""
    armed = next_due(plan, state)
    if armed is None or armed > now:
        return Transition(state=state)
    return _worked(plan, state, now, lambda run: carry_out_due(run, settle))


def _worked(plan: Plan, state: State, now: datetime, work: Callable[[Run], Any], key: str | None = None) -> Transition:
    run = Run(plan, state, now)
    try:
        work(run)
    except DirectoryNeeded:
        return Transition(state=state, needs_directory=True, given=run.state.input)
    return run.step(key)
