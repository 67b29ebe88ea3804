"""Decisions: an approver decides a task, and may undo that before it stands.

A stage may give whoever decides some time to undo it. Until then the decision is recorded and has no other effect; the
task is `provisional`. docs/decisions/0027-undo.md has the rules.
"""

from __future__ import annotations

from typing import Final

from placet.audit.reasons import Reason, because
from placet.audit.sealed import sealed
from placet.definition.json_schema.forms import check_form, check_text, has_words
from placet.engine.content import changes_as_json, difference
from placet.engine.events import SYSTEM, Decide, Undo
from placet.engine.flow import after_vote
from placet.engine.run import Run
from placet.engine.state import UNDECIDED, Signature, Task, counts, signed
from placet.errors import (
    AlreadyDecided,
    ContentChanged,
    InputInvalid,
    NotPermitted,
    Problem,
    ReauthenticationRequired,
    Refused,
    Returned,
)
from placet.frozen import evolve
from placet.json_values import check_json
from placet.plan.graph import Stage
from placet.sentences import sentence
from placet.tasks.assignment import follow_directory
from placet.tasks.permissions import open_task, require_decider, settled


def decide(run: Run, event: Decide) -> None:
    """Take one person's decision on one task."""
    _require_seen(run, event)
    task = open_task(run, event.task_id)
    if run.state.returned_at is not None:
        raise Returned
    if event.round is not None and event.round != task.round:
        raise AlreadyDecided(
            sentence("The task belongs to round {round}; look at the request and decide again.", round=task.round)
        )
    behalf = require_decider(run, task, event.by, stands_in=event.stands_in)
    stage = run.stage_of(task)
    comment = check_text(event.comment, "/comment")
    form = _checked_form(stage, event)
    said = has_words(comment) if run.rules.requires_words_in_comments else bool(comment)
    if event.decision in stage.comment_required and not said:
        raise InputInvalid(
            sentence("Stage {name!r} asks for a comment with this decision.", name=stage.name),
            problems=(Problem(pointer="/comment", message=comment_needed(event.decision)),),
        )
    if event.decision == "request_changes" and run.state.round >= run.plan.max_rounds:
        if run.plan.max_rounds == 1:
            raise Refused("This process allows no request for changes: its first round is the only one; decide it.")
        raise Refused(
            sentence(
                "The request has had {round} rounds, the first one counted, as many as allowed; approve or reject it.",
                round=run.state.round,
            )
        )
    signature = _signature(stage, event)
    person = event.by.person
    until = run.now + stage.undo if stage.undo is not None else None
    changed = run.change(
        task,
        status="decided",
        decision=event.decision,
        decided_by=person,
        decided_at=run.now,
        comment=comment,
        form=form,
        on_behalf_of=behalf,
        undo_until=until,
        signature=signature,
        held_by=task.held_by if person in task.held_by else (*task.held_by, person),
    )
    run.record(
        "changes_requested" if event.decision == "request_changes" else "decided",
        actor=event.by.name,
        task=task,
        decision=event.decision,
        why=sealed(comment),
        form=sealed(form),
        on_behalf_of=f"user:{behalf}" if behalf else None,
        via=event.via,
        round=task.round,
        before="open",
        after=event.decision,
        undo_until=until,
        signature=sealed(signature.stored) if signature is not None else None,
        **run.state.revision_facts,
    )
    if until is None:
        _take_effect(run, changed)


def undo(run: Run, event: Undo) -> None:
    """Take one's own decision back before it stands: the task is open again, and its clocks are as they were.

    Raises AlreadyDecided with what stands once the time for it is over.
    """
    task = run.tasks.get(event.task_id)
    if task is None or task.status == "open":
        open_task(run, event.task_id)
        raise Refused("Nobody has decided this task; there is nothing to undo.")
    if task.status == "decided" and task.decided_by != event.by.person:
        raise NotPermitted("Only whoever decided the task can undo that.")
    if not task.provisional:
        refusal = settled(run, task)
        if isinstance(refusal, AlreadyDecided):
            raise AlreadyDecided(
                sentence("{message} It can no longer be undone.", message=refusal.message), standing=refusal.standing
            )
        raise refusal
    run.need_directory_of_now()  # whoever had the task may have left, or be back
    _open_again(run, task, actor=event.by.name)
    follow_directory(run)


def let_decisions_stand(run: Run) -> None:
    """Let every decision stand whose time for undoing is over, in the order in which they do."""
    while (first := next_to_stand(run)) is not None:
        stand(run, first)


def next_to_stand(run: Run) -> Task | None:
    """Return the task whose decision stands next by now; None while the branches are suspended."""
    if run.state.returned_at is not None or run.state.status != "pending":
        return None
    over = [(t.undo_until, t.number, t) for t in run.tasks.values() if t.undo_until is not None]
    first = min(over, default=None)
    return first[2] if first is not None and first[0] <= run.now else None


def stand(run: Run, task: Task) -> None:
    """Let a decision stand: what follows from it happens now."""
    if task.decision == "request_changes" and run.state.round >= run.plan.max_rounds:
        # Another branch has used the last round since.
        reopened = _open_again(run, task, why=because("no_round_left"))
        run.notify("task_opened", *reopened.people, task=reopened, due_at=reopened.due_at)
        return
    standing = run.change(task, undo_until=None)
    run.record("decision_stands", task=task, due=task.undo_until, decision=task.decision, by=f"user:{task.decided_by}")
    _take_effect(run, standing)


def _take_effect(run: Run, task: Task) -> None:
    run.decided = task
    if task.decision == "request_changes":
        _return_to_requester(run, task)
    else:
        after_vote(run, task.node)


def _open_again(run: Run, task: Task, *, actor: str = SYSTEM, why: Reason | None = None) -> Task:
    """Open a decided task again. A token or link that has decided it has been used, so that those of before end."""
    current = {"revision": run.state.revision, "content_digest": run.state.content_digest}
    reopened = run.change(task, status="open", hand_overs=task.hand_overs + 1, **UNDECIDED, **current)
    run.record("decision_undone", actor=actor, task=task, why=why, round=task.round, before=task.decision, after="open")
    return reopened


def _require_seen(run: Run, event: Decide) -> None:
    """Raise ContentChanged for a decision on an older revision."""
    now, seen = run.state.revision, event.revision
    if seen is None:
        if run.plan.require_revision:
            raise InputInvalid.at(
                "/revision", sentence("say which revision you decide on; the request is at revision {now}", now=now)
            )
        return
    if seen > now:
        raise InputInvalid.at(
            "/revision",
            sentence("there is no revision {seen} yet; the request is at revision {now}", seen=seen, now=now),
        )
    task = run.tasks.get(event.task_id)
    if seen < now and task is not None and task.status in {"open", "superseded"}:
        raise ContentChanged(difference=tuple(changes_as_json(difference(run.state.revised, seen))))


_COMMENT_NEEDED: Final = {
    "approve": sentence("Say why: approving needs a comment in this stage."),
    "reject": sentence("Say why: rejecting needs a comment in this stage."),
    "request_changes": sentence("Say why: asking for changes needs a comment in this stage."),
    "abstain": sentence("Say why: abstaining needs a comment in this stage."),
}


def comment_needed(decision: str) -> str:
    """Return what is said where a decision lacks the comment that its stage asks for."""
    return _COMMENT_NEEDED.get(decision) or sentence("Say why: this decision needs a comment in this stage.")


def _checked_form(stage: Stage, event: Decide) -> dict[str, object] | None:
    """Return the form; an approval needs one where the stage declares it, a rejection may carry it.

    An abstention fills in none: what the process takes from a form is a vote's.
    """
    if counts(event.decision) == "nobody":
        if event.form:
            raise InputInvalid.at("/form", "an abstention fills in no form; leave it out")
        return None
    if event.form is not None:
        check_json(event.form, "/form")
    if stage.form is None:
        if event.form:
            raise InputInvalid(
                sentence("Stage {name!r} asks for no form.", name=stage.name),
                problems=(Problem(pointer="/form", message="this stage has no form; leave it out"),),
            )
        return None
    if event.decision == "approve" or event.form:
        check_form(stage.form, event.form)
    return event.form


def _signature(stage: Stage, event: Decide) -> Signature | None:
    """Return the signature of a decision, where its stage asks for one.

    Everything else was checked before, so that nobody proves who they are for a decision that is refused.
    """
    if stage.sign is None:
        if event.reason is not None:
            raise InputInvalid.at("/reason", "decisions of this stage are not signed; leave the reason out")
        return None
    if event.proof is None and event.reason is None:
        raise ReauthenticationRequired
    if event.reason not in stage.sign.reasons:
        listed = "; ".join(stage.sign.reasons)
        raise InputInvalid.at(
            "/reason", sentence("say what your signature means, in the words of this stage: {listed}", listed=listed)
        )
    if event.proof is None:
        raise ReauthenticationRequired
    proof = event.proof
    return Signature(name=proof.name, reason=event.reason, method=proof.method, authenticated_at=proof.at)


def _return_to_requester(run: Run, task: Task) -> None:
    """Return the request to its requester: the stage's other tasks close, and deadlines stop."""
    stage_run = run.stages[task.node]
    run.notify(
        "changes_requested",
        run.state.requester,
        task=task,
        text=task.comment,
        by=f"user:{task.decided_by}",
        **signed(task),
    )
    for other in run.tasks_of(stage_run):
        if other.unsettled:
            run.close(other, why=because("changes_requested"), result="changes_requested")
    run.stages[task.node] = evolve(stage_run, returned_at=run.now)
    if run.plan.on_change == "restart":  # a change may void the results of the other branches, so they are suspended
        run.set(returned_at=run.now)
