"""Decisions: an approver decides a task."""

from __future__ import annotations

from placet.audit.reasons import because
from placet.audit.sealed import sealed
from placet.definition.json_schema.forms import check_form, check_text, has_words
from placet.engine.content import changes_as_json, difference
from placet.engine.events import Decide
from placet.engine.flow import after_vote
from placet.engine.run import Run
from placet.engine.state import Task, counts
from placet.errors import AlreadyDecided, ContentChanged, InputInvalid, Problem, Refused, Returned
from placet.frozen import evolve
from placet.json_values import check_json
from placet.plan.graph import Stage
from placet.tasks.permissions import open_task, require_decider


def decide(run: Run, event: Decide) -> None:
    """Take one person's decision on one task."""
    _require_seen(run, event)
    task = open_task(run, event.task_id)
    if run.state.returned_at is not None:
        raise Returned
    if event.round is not None and event.round != task.round:
        raise AlreadyDecided(f"The task belongs to round {task.round}; look at the request and decide again.")
    behalf = require_decider(run, task, event.by, stands_in=event.stands_in)
    stage = run.stage_of(task)
    comment = check_text(event.comment, "/comment")
    form = _checked_form(stage, event)
    said = has_words(comment) if run.rules.requires_words_in_comments else bool(comment)
    if event.decision in stage.comment_required and not said:
        raise InputInvalid(
            f"Stage {stage.name!r} asks for a comment with this decision.",
            problems=(Problem(pointer="/comment", message=f"say why: {event.decision} needs a comment in this stage"),),
        )
    if event.decision == "request_changes" and run.state.round >= run.plan.max_rounds:
        if run.plan.max_rounds == 1:
            raise Refused("This process allows no request for changes: its first round is the only one; decide it.")
        raise Refused(
            f"The request has had {run.state.round} rounds, the first one counted, as many as allowed; "
            "approve or reject it."
        )
    person = event.by.person
    changed = run.change(
        task,
        status="decided",
        decision=event.decision,
        decided_by=person,
        decided_at=run.now,
        comment=comment,
        form=form,
        on_behalf_of=behalf,
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
        **run.state.revision_facts,
    )
    run.decided = changed
    if event.decision == "request_changes":
        _return_to_requester(run, changed)
    else:
        after_vote(run, task.node)


def _require_seen(run: Run, event: Decide) -> None:
    """Raise ContentChanged for a decision on an older revision."""
    now, seen = run.state.revision, event.revision
    if seen is None:
        if run.plan.require_revision:
            raise InputInvalid.at("/revision", f"say which revision you decide on; the request is at revision {now}")
        return
    if seen > now:
        raise InputInvalid.at("/revision", f"there is no revision {seen} yet; the request is at revision {now}")
    task = run.tasks.get(event.task_id)
    if seen < now and task is not None and task.status in {"open", "superseded"}:
        raise ContentChanged(difference=tuple(changes_as_json(difference(run.state.revised, seen))))


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
                f"Stage {stage.name!r} asks for no form.",
                problems=(Problem(pointer="/form", message="this stage has no form; leave it out"),),
            )
        return None
    if event.decision == "approve" or event.form:
        check_form(stage.form, event.form)
    return event.form


def _return_to_requester(run: Run, task: Task) -> None:
    """Return the request to its requester: the stage's other tasks close, and deadlines stop."""
    stage_run = run.stages[task.node]
    run.notify("changes_requested", run.state.requester, task=task, text=task.comment, by=f"user:{task.decided_by}")
    for other in run.tasks_of(stage_run):
        if other.status == "open":
            run.close(other, why=because("changes_requested"), result="changes_requested")
    run.stages[task.node] = evolve(stage_run, returned_at=run.now)
    if run.plan.on_change == "restart":  # a change may void the results of the other branches, so they are suspended
        run.set(returned_at=run.now)
