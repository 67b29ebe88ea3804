"""Stages: opening a stage's seats, settling it, and the way from one node of the process to the next."""

from __future__ import annotations

from placet.conditions import evaluate
from placet.errors import EvaluationFailed
from placet.ladder import set_clocks
from placet.plan import Point, Stage, Way
from placet.policy import decided_elsewhere, seat_people, verdict
from placet.run import Run
from placet.state import Seat, StageRun, Task
from placet.variables import values_of

# Nodes passed without anybody being asked; more than this is a loop of decisions.
MOST_HOPS = 1000

_EMPTY = Seat(person=None, via="nobody")


def advance(run: Run, at: str) -> None:
    """Go on from a node until somebody is asked or the request ends."""
    for _ in range(MOST_HOPS):
        point = run.point(at)
        if point.type == "terminator":
            run.finish("completed", point.outcome, kind="completed")
            return
        if point.type == "approval":
            result = _open_stage(run, point)
            if result is None:
                return
            following = _way_on(run, point, result)
        elif point.type == "decision":
            following = _decide(run, point)
        else:
            following = point.ways[0].target if point.ways else None
            if following is None:
                fail(run, f"node {point.id} leads nowhere")
        if following is None:
            return
        at = following
    fail(run, f"more than {MOST_HOPS} nodes were passed without anybody being asked")


def fail(run: Run, why: str) -> None:
    """End the request as failed: the process itself is at fault, and its owner is told."""
    run.finish("failed", None, kind="failed", why=why)
    run.tell("failed", run.plan.owner.removeprefix("user:") if run.plan.owner else None, why=why)


def settle(run: Run, point_id: str, result: str) -> None:
    """Close a stage with its result, tell the people whose tasks are no longer needed, and go on."""
    point = run.point(point_id)
    stage_run = run.stages.pop(point_id)
    name = point.stage.name if point.stage else point_id
    for task in run.tasks_of(stage_run):
        if task.status == "open":
            run.change(task, status="superseded")
            run.record("task_closed", task=task, why=f"the stage is {result}", before="open", after="superseded")
            run.tell("superseded", *([task.assignee] if task.assignee else task.candidates), *task.delegates, task=task)
    run.record("stage_settled", stage=name, result=result, round=stage_run.round)
    following = _way_on(run, point, result)
    if following is not None:
        advance(run, following)


def after_vote(run: Run, point_id: str) -> None:
    """Look at a stage after one of its tasks was decided: settle it, or open the next seat of a sequence."""
    stage_run = run.stages[point_id]
    stage = run.point(point_id).stage
    if stage is None:
        return
    result = verdict(run, stage_run, stage)
    if result is not None:
        settle(run, point_id, result)
    elif stage.order == "sequential":
        _open_next_seat(run, run.point(point_id), stage)
        if (result := verdict(run, run.stages[point_id], stage)) is not None:
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
    stage = point.stage
    if stage is None:
        return None
    seats, stand_in = seat_people(run, point, stage)
    stage_run = StageRun(point=point.id, round=run.state.round, seats=tuple(seats), opened=0)
    run.stages[point.id] = stage_run
    if stand_in is not None:
        people = [f"user:{s.person}" for s in seats if s.person]
        run.record("approver_missing", stage=stage.name, why=stand_in, after={"seats": people})
    if not seats:
        # Nothing is ever approved for want of an approver: the task waits for an operator to assign it.
        run.stages[point.id] = StageRun(point=point.id, round=run.state.round, seats=(_EMPTY,), opened=0)
    total = 1 if stage.order == "sequential" else len(run.stages[point.id].seats)
    for _ in range(total):
        _open_next_seat(run, point, stage)
    result = verdict(run, run.stages[point.id], stage)
    if result is not None:
        return _settle_at_once(run, point, result)
    return None


def _settle_at_once(run: Run, point: Point, result: str) -> str:
    stage_run = run.stages.pop(point.id)
    for task in run.tasks_of(stage_run):
        if task.status == "open":
            run.change(task, status="superseded")
            run.record("task_closed", task=task, why=f"the stage is {result}", before="open", after="superseded")
    run.record("stage_settled", stage=point.stage.name if point.stage else None, result=result, round=stage_run.round)
    return result


def _open_next_seat(run: Run, point: Point, stage: Stage) -> None:
    """Open the task of the next seat; an earlier approval that carries over decides it, and the next one opens."""
    while (stage_run := run.stages[point.id]).opened < len(stage_run.seats):
        index = stage_run.opened
        seat = stage_run.seats[index]
        run.stages[point.id] = StageRun(
            point=stage_run.point, round=stage_run.round, seats=stage_run.seats, opened=index + 1
        )
        task = Task(
            id=f"{run.state.request_id}.{len(run.tasks) + 1}",
            point=point.id,
            stage=stage.name,
            round=stage_run.round,
            seat=index,
            weight=seat.weight,
            assignee=seat.person,
            via=seat.via,
            candidates=seat.candidates,
            held_by=(seat.person,) if seat.person else (),
            opened_at=run.now,
        )
        run.tasks[task.id] = task
        task = set_clocks(run, task, stage)
        run.record(
            "task_opened",
            task=task,
            assignee=f"user:{task.assignee}" if task.assignee else None,
            candidates=[f"user:{c}" for c in task.candidates] or None,
            assigned_via=task.via,
            due_at=task.due_at,
            round=task.round,
        )
        earlier = decided_elsewhere(run, seat.person, point.id) if seat.person and stage.repeat == "carry" else None
        if earlier is None or earlier.decision != "approve" or seat.person is None:
            people = [task.assignee] if task.assignee else list(task.candidates)
            run.tell("task_opened", *people, task=task, due_at=task.due_at)
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
