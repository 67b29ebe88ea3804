"""Stages: opening a stage's seats, settling it, and the way from one node of the process to the next."""

from __future__ import annotations

from dataclasses import replace

from placet.conditions import evaluate
from placet.errors import EvaluationFailed
from placet.ladder import final_result, start_clocks
from placet.plan import Point, Stage, Way
from placet.policy import decided_elsewhere, fill_again, fill_seats, owners, verdict
from placet.run import Run
from placet.state import Seat, StageRun, Task
from placet.variables import values_of


def advance(run: Run, at: str) -> None:
    """Go on from a node until somebody is asked or the request ends."""
    passed: set[str] = set()
    following: str | None = at
    while following is not None:
        if following in passed:  # nothing has changed since: it would go on for ever
            fail(run, f"the process comes back to {following} without anybody being asked")
            return
        passed.add(following)
        point = run.point(following)
        if point.type == "terminator":
            run.finish("completed", point.outcome, kind="completed")
            return
        if point.type == "approval":
            result = _open_stage(run, point)
            following = _way_on(run, point, result) if result is not None else None
        elif point.type == "decision":
            following = _decide(run, point)
        elif point.ways:
            following = point.ways[0].target
        else:
            fail(run, f"node {point.id} leads nowhere")
            return


def fail(run: Run, why: str) -> None:
    """End the request as failed: the process itself is at fault, and its owner is told."""
    run.finish("failed", None, kind="failed", why=why)
    run.tell("failed", *owners(run), why=why)


def settle(run: Run, point_id: str, result: str) -> None:
    """Close a stage with its result, tell the people whose tasks are no longer needed, and go on."""
    point = run.point(point_id)
    _close(run, point, result)
    following = _way_on(run, point, result)
    if following is not None:
        advance(run, following)


def after_vote(run: Run, point_id: str) -> None:
    """Look at a stage after one of its tasks was decided: settle it, or open the next seat of a sequence."""
    point = run.point(point_id)
    stage = run.stage_at(point_id)
    result: str | None = verdict(run, run.stages[point_id], stage)
    if result is None and stage.order == "sequential":
        _open_next_seat(run, point, stage)
        result = verdict(run, run.stages[point_id], stage)
    # What is still open may have waited for this vote, its own chain of escalation having ended before.
    result = result or final_result(run, run.stages[point_id])
    if result is not None:
        settle(run, point_id, result)


def reopen(run: Run, point_id: str) -> None:
    """Open a returned stage again, as the next round, with fresh deadlines."""
    run.stages.pop(point_id)
    advance(run, point_id)


def _way_on(run: Run, point: Point, result: str) -> str | None:
    way = _matching(point.ways, result)
    if way is not None:
        return way.target
    # What the graph leaves unsaid: an approval with one plain edge goes on when approved; all else ends the request.
    run.finish("completed", result, kind="completed", why=f"no edge leaves {point.id} on {result}")
    return None


def _matching(ways: tuple[Way, ...], result: str) -> Way | None:
    for way in ways:
        if way.on == result:
            return way
    if result == "approved":
        return next((w for w in ways if w.on is None), None)
    return None


def _decide(run: Run, point: Point) -> str | None:
    values = values_of(run.plan.variables, run.state.input)
    chosen: Way | None = None
    try:
        for way in point.ways:
            if way.condition is not None and evaluate(way.condition, values) is True:
                chosen = way
                break
    except EvaluationFailed as error:
        fail(run, f"decision {point.id} could not be made: {error.message}")
        return None
    chosen = chosen or next((w for w in point.ways if w.default), None)
    if chosen is None:
        fail(run, f"no condition of decision {point.id} holds, and it has no default")
        return None
    run.record(
        "routed",
        node=point.id,
        to=chosen.target,
        condition=chosen.condition.source if chosen.condition else "default",
    )
    return chosen.target


def _open_stage(run: Run, point: Point) -> str | None:
    """Open a stage; returns its result at once where earlier approvals carry it, else None."""
    stage = run.stage_at(point.id)
    seats, stand_in = fill_seats(run, point, stage)
    run.stages[point.id] = StageRun(
        point=point.id, round=run.state.round, seats=tuple(seats), opened=0, first=len(run.tasks)
    )
    if stand_in is not None:
        _record_missing(run, stage, seats, stand_in)
    for _ in range(1 if stage.order == "sequential" else len(seats)):
        _open_next_seat(run, point, stage)
    result = verdict(run, run.stages[point.id], stage)
    if result is not None:
        _close(run, point, result)
    return result


def _close(run: Run, point: Point, result: str) -> None:
    stage_run = run.stages.pop(point.id)
    for task in run.tasks_of(stage_run):
        if task.status == "open":
            run.close(task, why=f"the stage is {result}", result=result)
    run.record("stage_settled", stage=run.stage_at(point.id).name, result=result, round=stage_run.round)


def _open_next_seat(run: Run, point: Point, stage: Stage) -> None:
    """Open the task of the next seat; an earlier approval that carries over decides it, and the next one opens."""
    while (stage_run := run.stages[point.id]).opened < len(stage_run.seats):
        index = stage_run.opened
        seat = stage_run.seats[index]
        if index and stage.order == "sequential":
            seat, stand_in = fill_again(run, point, stage, stage_run, index)
            if stand_in is not None:
                _record_missing(run, stage, [seat], stand_in)
        seats = (*stage_run.seats[:index], seat, *stage_run.seats[index + 1 :])
        run.stages[point.id] = replace(stage_run, seats=seats, opened=index + 1)
        task = _open_task(run, point, stage, seat, index)
        earlier = _carried(run, point, stage, seat)
        if earlier is None:
            run.tell("task_opened", *(task.people or owners(run)), task=task, due_at=task.due_at)
            return
        run.change(task, status="decided", decision="approve", decided_by=seat.person, decided_at=run.now)
        run.record(
            "decided",
            actor=f"user:{seat.person}",
            task=task,
            decision="approve",
            why=f"the approval of {earlier.id} is carried over",
            before="open",
            after="approve",
        )
        if stage.order == "parallel" or verdict(run, run.stages[point.id], stage) is not None:
            return


def _open_task(run: Run, point: Point, stage: Stage, seat: Seat, index: int) -> Task:
    task = Task(
        id=f"{run.state.request_id}.{len(run.tasks) + 1}",
        point=point.id,
        stage=stage.name,
        round=run.state.round,
        seat=index,
        weight=seat.weight,
        assignee=seat.person,
        via=seat.via,
        candidates=seat.candidates,
        held_by=(seat.person,) if seat.person else (),
        opened_at=run.now,
        **start_clocks(run, stage),
    )
    run.tasks[task.id] = task
    run.record(
        "task_opened",
        task=task,
        assignee=f"user:{task.assignee}" if task.assignee else None,
        candidates=[f"user:{c}" for c in task.candidates] or None,
        assigned_via=task.via,
        due_at=task.due_at,
        round=task.round,
    )
    return task


def _carried(run: Run, point: Point, stage: Stage, seat: Seat) -> Task | None:
    """Return the approval that the seat's person gave in another stage, where it counts here too.

    A form has to be filled in by the person, so an approval is not carried into a stage that asks for one.
    """
    if stage.repeat != "carry" or seat.person is None or stage.form is not None:
        return None
    earlier = decided_elsewhere(run, seat.person, point.id)
    return earlier if earlier is not None and earlier.decision == "approve" else None


def _record_missing(run: Run, stage: Stage, seats: list[Seat], why: str) -> None:
    people = [f"user:{s.person}" for s in seats if s.person]
    vacant = sum(1 for s in seats if s.person is None and not s.candidates)
    run.record("approver_missing", stage=stage.name, why=why, after={"seats": people, "vacant": vacant})
    run.tell("approver_missing", *owners(run), why=why)
