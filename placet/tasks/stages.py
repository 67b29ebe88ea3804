"""Stages: open the seats of a stage, all at once or one after the other, and close the stage with its result."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from placet.audit.reasons import Reason, because
from placet.engine.run import Run
from placet.engine.state import Seat, StageRun, Task, Vote
from placet.frozen import evolve
from placet.plan.graph import Node, Stage
from placet.tasks.candidates import operators, queue_of
from placet.tasks.choice import Choice
from placet.tasks.deadlines import start_deadlines
from placet.tasks.eligibility import approved_elsewhere
from placet.tasks.quorum import lost_by_abstention, stage_result
from placet.tasks.seats import fill_seats, refill_seat
from placet.tasks.substitution import absent_seat_holder, seat_holders


def open_stage(run: Run, node: Node) -> str | None:
    """Open a stage; returns its result at once where earlier approvals carry it, else None."""
    stage = run.stage_at(node.id)
    seated = fill_seats(run, node, stage)
    run.stages[node.id] = StageRun(
        node=node.id,
        round=run.state.round,
        seats=tuple(seated.seats),
        opened=0,
        first=run.opened,
        intended=seated.intended,
    )
    if seated.why is not None:
        _record_missing(run, stage, seated.seats, seated.why, tell=seated.replacement)
    choice: Choice | None = seated.choice  # it is told with the stage's first task
    for _ in range(1 if stage.order == "sequential" else len(seated.seats)):
        open_next_seat(run, node, stage, choice)
        choice = None
    result = stage_result(run, run.stages[node.id], stage)
    if result is not None:
        close_stage(run, node, result)
    return result


def close_stage(run: Run, node: Node, result: str, changed: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Close a stage with its result, and notify the people whose tasks are no longer needed.

    `changed` is what the entry says besides: variables that the stage set, before and after. It says why where nobody
    rejected the stage, and abstentions did.
    """
    stage_run = run.stages.pop(node.id)
    lost = lost_by_abstention(run, stage_run, run.stage_at(node.id)) if result == "rejected" else None
    if lost is not None:
        run.lost, changed = lost, {**changed, "why": lost}
    for task in run.tasks_of(stage_run):
        if task.unsettled:
            run.close(task, why=because("stage_settled", result=result), result=result)
    run.record("stage_settled", stage=run.stage_at(node.id).name, result=result, round=stage_run.round, **changed)


def open_next_seat(run: Run, node: Node, stage: Stage, choice: Choice | None = None) -> None:
    """Open the task of the next seat; an earlier approval that carries over decides it, and the next one opens.

    `choice` is by whom the seats of the stage were filled just now.
    """
    while (stage_run := run.stages[node.id]).opened < len(stage_run.seats):
        index = stage_run.opened
        seat = stage_run.seats[index]
        if index and stage.order == "sequential":
            choice = Choice(run, stage, node.id)
            seat, stand_in = refill_seat(run, stage, seat, choice, seat_holders(run, stage_run, but=index))
            if stand_in is not None:
                _record_missing(run, stage, [seat], stand_in)
        seats = (*stage_run.seats[:index], seat, *stage_run.seats[index + 1 :])
        run.stages[node.id] = evolve(stage_run, seats=seats, opened=index + 1)
        task = _open_task(run, node, stage, seat, index, choice)
        choice = None
        earlier = _carried(run, node, stage, seat)
        if earlier is None:
            _tell(run, task, seat)
            return
        run.change(task, status="decided", decision="approve", decided_by=earlier.person, decided_at=run.now)
        run.record(
            "decided",
            actor=f"user:{earlier.person}",
            task=task,
            decision="approve",
            why=because("carried_over", task=earlier.task_id),
            before="open",
            after="approve",
            **run.state.revision_facts,
        )
        if stage.order == "parallel" or stage_result(run, run.stages[node.id], stage) is not None:
            return


def _tell(run: Run, task: Task, seat: Seat) -> None:
    """Tell the people of a task that opens; whoever was added to the stage, also who added them and why."""
    added = next(
        (a for a in run.state.added if (a.node, a.by) == (task.node, seat.added_by) and a.person in task.held_by), None
    )
    people = task.people or operators(run)
    if added is None:
        run.notify("task_opened", *people, task=task, due_at=task.due_at, changes=run.changes)
    else:
        told = {"by": f"user:{added.by}", "text": added.reason}
        run.notify("approver_added", *people, task=task, due_at=task.due_at, changes=run.changes, **told)


def _open_task(  # noqa: PLR0917 - called in one place
    run: Run, node: Node, stage: Stage, seat: Seat, index: int, choice: Choice | None
) -> Task:
    run.opened += 1
    task = Task(
        id=f"{run.state.request_id}.{run.opened}",
        node=node.id,
        stage=stage.name,
        round=run.stages[node.id].round if run.rules.counts_rounds_by_stage else run.state.round,
        seat=index,
        weight=seat.weight,
        assignee=seat.person,
        via=seat.via,
        candidates=seat.candidates,
        queue=queue_of(seat) if run.rules.rereads_queues else None,
        held_by=tuple(person for person in (absent_seat_holder(run.state, seat.via), seat.person) if person),
        revision=run.state.revision,
        content_digest=run.state.content_digest,
        opened_at=run.now,
        **start_deadlines(run, stage),
    )
    run.tasks[task.id] = task
    run.record(
        "task_opened",
        task=task,
        assignee=f"user:{task.assignee}" if task.assignee else None,
        candidates=[f"user:{c}" for c in task.candidates] or None,
        assigned_via=task.via,
        chosen_by=seat.chosen_by if run.rules.records_choices else None,
        choice=choice.facts if choice is not None else None,
        due_at=task.due_at,
        round=task.round,
    )
    return task


def _carried(run: Run, node: Node, stage: Stage, seat: Seat) -> Vote | None:
    """Return the approval that whose seat it is gave in another stage, where it counts here too.

    A form has to be filled in by the person, so an approval is not carried into a stage that asks for one. A vote is of
    whoever decided: what a substitute has approved themselves fills no seat of somebody else without their being asked.
    Whoever was added to the stage is asked on purpose, whatever they have approved before.
    """
    if stage.repeat != "carry" or seat.person is None or seat.added_by is not None or stage.form is not None:
        return None
    return approved_elsewhere(run, absent_seat_holder(run.state, seat.via) or seat.person, node.id)


def _record_missing(run: Run, stage: Stage, seats: list[Seat], why: Reason, *, tell: bool = True) -> None:
    people = [f"user:{s.person}" for s in seats if s.person]
    vacant = sum(1 for s in seats if s.person is None and not s.candidates)
    run.record("approver_missing", stage=stage.name, why=why, after={"seats": people, "vacant": vacant})
    if tell:
        run.notify("approver_missing", *operators(run), why=why)
