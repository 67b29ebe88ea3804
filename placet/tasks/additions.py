"""Additions: somebody asks one more person in a stage of this one request.

Their seat is besides the stage's own: its quorum stays as it was declared, and their approval is needed as well
(docs/decisions/0028-added-approvers.md).
"""

from __future__ import annotations

from placet.audit.sealed import sealed
from placet.definition.json_schema.forms import check_text, has_words
from placet.engine.events import AddApprover
from placet.engine.run import Run
from placet.engine.state import AddedApprover, Task
from placet.errors import InputInvalid, NotPermitted, Refused
from placet.frozen import evolve
from placet.sentences import sentence
from placet.tasks.assignment import require_eligible
from placet.tasks.permissions import may_operate, movable_task, require_decider
from placet.tasks.seats import added_seat
from placet.tasks.stages import open_next_seat
from placet.tasks.substitution import eligible_candidates, seat_holders

MOST_ADDED = 20  # to one stage of a request


def add_approver(run: Run, event: AddApprover) -> None:
    """Add a seat to the stage of a task; it opens at once, or in a sequence as the next one."""
    task = movable_task(run, event.task_id)
    if not may_operate(run, event.by):
        require_decider(run, task, event.by, stands_in=event.stands_in)
    node, stage, stage_run = run.node(task.node), run.stage_of(task), run.stages[task.node]
    if stage.ad_hoc == "forbidden":
        raise NotPermitted(sentence("Stage {name!r} takes no further approvers; its process says so.", name=stage.name))
    reason = check_text(event.reason, "/reason", optional=False) or ""
    if not has_words(reason):
        raise InputInvalid.at("/reason", "say why they are asked as well")
    to = require_eligible(run, task, event.to, "/who", taken=seat_holders(run, stage_run))
    if sum(1 for one in run.state.added if one.node == node.id) >= MOST_ADDED:
        raise Refused(
            sentence("{most_added} approvers were added to this stage, which is the limit.", most_added=MOST_ADDED)
        )
    _require_others_in_queues(run, to, run.tasks_of(stage_run))
    by = event.by.person
    run.set(
        added=(*run.state.added, AddedApprover(node=node.id, stage=stage.name, person=to, by=by, reason=reason)),
    )
    before = [f"user:{one.person}" for one in run.state.added[:-1] if one.node == node.id]
    run.record(
        "approver_added",
        actor=event.by.name,
        task=task,
        why=sealed(reason),
        to=f"user:{to}",
        before={"added": before},
        after={"added": [*before, f"user:{to}"]},
    )
    seats, at = stage_run.seats, stage_run.opened
    while at < len(seats) and seats[at].added_by is not None:  # those who were added are asked in their order
        at += 1
    run.stages[node.id] = evolve(stage_run, seats=(*seats[:at], added_seat(to, by), *seats[at:]))
    if stage.order == "parallel":
        open_next_seat(run, node, stage)


def _require_others_in_queues(run: Run, person: str, tasks: list[Task]) -> None:
    """Raise Refused where a queue of the stage would have nobody left: one person fills at most one seat."""
    for task in tasks:
        if task.status == "open" and task.assignee is None and set(eligible_candidates(run, task)) == {person}:
            raise Refused(
                sentence(
                    "user:{person} is the only one who can claim a task of this stage; let them claim that one.",
                    person=person,
                )
            )
