"""Decisions: what an approver answers, and how the requester answers a request for changes."""

from __future__ import annotations

from typing import Any

from placet.errors import AlreadyDecided, InputInvalid, NotPermitted, Problem, Refused
from placet.events import Decide, Resubmit
from placet.flow import after_vote, reopen
from placet.forms import check_form, check_text
from placet.json_values import check_json
from placet.plan import Stage
from placet.reasons import because
from placet.rights import open_task, require_decider, require_running
from placet.run import Run
from placet.sealed import Sealed, sealed
from placet.state import Task
from placet.values import evolve
from placet.variables import normalise_input


def decide(run: Run, event: Decide) -> None:
    """Take one person's decision on one task."""
    task = open_task(run, event.task_id)
    if event.round is not None and event.round != task.round:
        raise AlreadyDecided(f"The task belongs to round {task.round}; look at the request and decide again.")
    require_decider(run, task, event.by)
    stage = run.stage_of(task)
    comment = check_text(event.comment, "/comment")
    form = _checked_form(stage, event)
    if event.decision in stage.comment_required and not comment:
        raise InputInvalid(
            f"Stage {stage.name!r} asks for a comment with this decision.",
            problems=(Problem(pointer="/comment", message=f"say why: {event.decision} needs a comment in this stage"),),
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
        comment=comment,
        form=form,
    )
    run.record(
        "changes_requested" if event.decision == "request_changes" else "decided",
        actor=event.by.name,
        task=task,
        decision=event.decision,
        why=sealed(comment),
        form=sealed(form),
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


def resubmit(run: Run, event: Resubmit) -> None:
    """Answer a request for changes: the returned stage opens again as the next round."""
    require_running(run)
    if event.by.person != run.state.requester:
        raise NotPermitted("Only the requester can resubmit the request.")
    returned = [s.point for s in run.stages.values() if s.returned_at is not None]
    if not returned:
        raise Refused("Nobody has asked for changes; there is nothing to resubmit.")
    comment = check_text(event.comment, "/comment")
    before = after = run.state.input
    if event.input is not None:
        check_json(event.input, "/input")
        after = _kept(run, event.input)
    run.set(round=run.state.round + 1, input=after)
    run.record(
        "resubmitted",
        actor=event.by.name,
        why=sealed(comment),
        before={"input": Sealed(before)} if after != before else None,
        after={"input": Sealed(after)} if after != before else None,
        round=run.state.round,
    )
    for point in returned:
        if point in run.stages:  # the way on from one may end the branch of another
            reopen(run, point)


def _kept(run: Run, given: dict[str, Any]) -> dict[str, Any]:
    """Return the new input; what the process itself has set stays, whoever resubmits."""
    before = run.state.input
    written = {name: before[name] for name in run.state.written if name in before}
    after = normalise_input(run.plan.variables, {**given, **{n: before.get(n) for n in run.state.written}})
    stated = [name for name in run.state.written if given.get(name) is not None]
    if stated:
        asked = normalise_input(run.plan.variables, {**given, **{n: v for n, v in written.items() if n not in given}})
        problems = tuple(
            Problem(pointer=f"/input/{name}", message="the process has set this; leave it out")
            for name in stated
            if asked.get(name) != before.get(name)
        )
        if problems:
            raise InputInvalid(problems[0].message, problems=problems)
    return after


def _checked_form(stage: Stage, event: Decide) -> dict[str, object] | None:
    """Return the form; an approval needs one where the stage declares it, other answers may carry it."""
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


def _return(run: Run, task: Task) -> None:
    """Give the request back to its requester: the stage's other tasks close, and the clock stops."""
    stage_run = run.stages[task.point]
    run.tell("changes_requested", run.state.requester, task=task, text=task.comment, by=f"user:{task.decided_by}")
    for other in run.tasks_of(stage_run):
        if other.status == "open":
            run.close(other, why=because("changes_requested"), result="changes_requested")
    run.stages[task.point] = evolve(stage_run, returned_at=run.now)
