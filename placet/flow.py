"""Flow: the way from one node of the process to the next, until everyone is asked who is to be asked now.

A request can be in several branches of a fork at once, and at most once at each node (placet.branching sees to it).
"""

from __future__ import annotations

from typing import Any

from placet.conditions import evaluate
from placet.errands import answer_repetition, begin_action, begin_child, set_variables
from placet.errors import EvaluationFailed
from placet.facts import values_at
from placet.ladder import final_result
from placet.plan import Frame, Join, Point, Way
from placet.policy import operators, verdict
from placet.reasons import Reason, because
from placet.run import Run
from placet.sealed import Sealed
from placet.stages import close_stage, open_next_seat, open_stage
from placet.state import Gathering, StageRun
from placet.waits import begin_wait

Step = tuple[str, tuple[Frame, ...]]  # a node that is come to, and the branches in which it is come to

# How often a request may come to one node that asks, runs something or waits; more is a process that never ends.
MOST_VISITS = 1000

_COUNTED = {"approval", "action", "wait", "subprocess"}

# What a node comes to when all is well: where its one plain edge, without "on", leads.
_PLAIN = {"approval": {"approved"}, "action": {"done"}, "wait": {"elapsed", "event"}, "subprocess": {"approved"}}
# What ends a request as failed, where no edge says otherwise.
_FAULTS = {
    "action": {"done", "failed"},
    "wait": {"elapsed", "event"},
    "subprocess": {"failed", "cancelled", "withdrawn"},
}


def advance(run: Run, at: str, frames: tuple[Frame, ...] = ()) -> None:
    """Go on from a node until somebody or something is waited for in every branch, or the request ends."""
    passed: set[str] = set()
    pending: list[Step] = [(at, frames)]
    while pending:
        name, branch = pending.pop()
        point = run.point(name)
        if point.type == "join":
            join = _join_of(point)
            if not _arrive(run, point, join, branch[-1]):
                continue
            _end_branches(run, point, join)
            pending = [step for step in pending if not _inside(step[1], point, join)]
        elif name in passed:  # nothing has changed since: it would go on for ever
            fail(run, because("endless", node=name))
            return
        passed.add(name)
        following = _enter(run, point)
        if run.state.status != "pending":
            return
        pending += reversed(following)


def fail(run: Run, why: Reason) -> None:
    """End the request as failed: the process itself is at fault, and its owner is told."""
    run.finish("failed", None, kind="failed", why=why)
    run.tell("failed", *operators(run), why=why)


def leave(run: Run, point: Point, result: str, why: Reason | None = None) -> None:
    """Go on from a node that has come to its result."""
    for target, frames in _way_on(run, point, result, why):
        advance(run, target, frames)


def settle(run: Run, point_id: str, result: str) -> None:
    """Close a stage with its result, tell the people whose tasks are no longer needed, and go on."""
    point = run.point(point_id)
    stage_run = run.stages[point_id]
    close_stage(run, point, result, _filled_in(run, point, stage_run))
    if point.repetition is None:
        leave(run, point, result)
    elif (followed := answer_repetition(run, point, result)) is not None:
        leave(run, point, *followed)


def _filled_in(run: Run, point: Point, stage_run: StageRun) -> dict[str, Any]:
    """Set an approval's variables from the form that was filled in last; returns what the record says of it."""
    decided = [task for task in run.tasks_of(stage_run) if task.form is not None]
    if not point.output or not decided:
        return {}
    last = max(reversed(decided), key=lambda task: task.decided_at or task.opened_at)
    before, after = set_variables(run, point.output, last.form or {}, "/form")
    return {"before": Sealed(before), "after": Sealed(after)}


def after_vote(run: Run, point_id: str) -> None:
    """Look at a stage after one of its tasks was decided: settle it, or open the next seat of a sequence."""
    point = run.point(point_id)
    stage = run.stage_at(point_id)
    result: str | None = verdict(run, run.stages[point_id], stage)
    if result is None and stage.order == "sequential":
        open_next_seat(run, point, stage)
        result = verdict(run, run.stages[point_id], stage)
    # What is still open may have waited for this vote, its own chain of escalation having ended before.
    result = result or final_result(run, run.stages[point_id])
    if result is not None:
        settle(run, point_id, result)


def reopen(run: Run, point_id: str) -> None:
    """Open a returned stage again, as the next round, with fresh deadlines."""
    run.stages.pop(point_id)
    advance(run, point_id, run.point(point_id).frames)


def _enter(run: Run, point: Point) -> list[Step]:
    """Come to a node; returns where it leads at once, nothing where somebody or something is waited for."""
    if point.type == "terminator":
        run.finish("completed", point.outcome, kind="completed")
        return []
    counts = run.state.asked if point.type == "approval" else run.state.visits
    if point.type in _COUNTED and counts.get(point.id, 0) >= MOST_VISITS:
        fail(run, because("too_many_visits", node=point.id, times=MOST_VISITS))
        return []
    if point.type == "approval":
        if run.state.format > 1:
            run.set(asked=run.state.asked | {point.id: run.state.asked.get(point.id, 0) + 1})
        result = open_stage(run, point)
        return _way_on(run, point, result) if result is not None else []
    if point.type == "decision":
        return _decide(run, point)
    if point.type == "wait":
        try:
            result = begin_wait(run, point)
        except EvaluationFailed as error:
            fail(run, because("wait_failed", node=point.id, cause=error.reason))
            return []
        return _way_on(run, point, result) if result is not None else []
    if point.type in {"action", "subprocess"}:
        fault = begin_action(run, point) if point.type == "action" else begin_child(run, point)
        return _way_on(run, point, *fault) if fault is not None else []
    if point.type == "fork" and point.ways:
        run.record("forked", node=point.id, to=[way.target for way in point.ways])
        return [(w.target, (*point.frames, Frame(fork=point.id, way=n))) for n, w in enumerate(point.ways)]
    if point.ways:
        return [(point.ways[0].target, point.frames)]
    fail(run, because("leads_nowhere", node=point.id))
    return []


def _way_on(run: Run, point: Point, result: str, why: Reason | None = None) -> list[Step]:
    way = _matching(point, result)
    if way is not None:
        return [(way.target, point.frames)]
    # What the graph leaves unsaid: what went wrong fails the request, any other result ends it with that outcome.
    unsaid = because("no_edge", node=point.id, result=result)
    if result in _FAULTS.get(point.type, ()):
        fail(run, because("no_edge", node=point.id, result=result, cause=why) if why else unsaid)
    else:
        outcome = "expired" if result == "timeout" else result
        run.finish("completed", outcome, kind="completed", why=unsaid)
    return []


def _matching(point: Point, result: str) -> Way | None:
    for way in point.ways:
        if way.on == result:
            return way
    if result in _PLAIN.get(point.type, ()):
        return next((w for w in point.ways if w.on is None), None)
    return None


def _decide(run: Run, point: Point) -> list[Step]:
    values = values_at(run)
    fitting: list[Way] = []
    try:
        for way in point.ways:
            if way.condition is not None and evaluate(way.condition, values, run.allowance) is True:
                fitting.append(way)
                if point.hit_policy == "first":
                    break
    except EvaluationFailed as error:
        fail(run, because("decision_failed", node=point.id, cause=error.reason))
        return []
    if len(fitting) > 1 and (point.hit_policy == "unique" or len({way.target for way in fitting}) > 1):
        conditions = [way.condition.source for way in fitting if way.condition]
        fail(run, because("several_rules", node=point.id, count=len(fitting), conditions=conditions))
        return []
    chosen = fitting[0] if fitting else next((w for w in point.ways if w.default), None)
    if chosen is None:
        fail(run, because("no_rule", node=point.id))
        return []
    run.record(
        "routed",
        node=point.id,
        to=chosen.target,
        condition=chosen.condition.source if chosen.condition else "default",
    )
    return [(chosen.target, point.frames)]


def _join_of(point: Point) -> Join:
    assert point.join is not None, f"{point.id} is a join that a branch leads to"  # noqa: S101
    return point.join


def _arrive(run: Run, point: Point, join: Join, branch: Frame) -> bool:
    """Take a branch in; whether enough have arrived for the process to go on from here."""
    before = run.joins.get(point.id)
    gathering = Gathering(point=point.id, arrived=(*(before.arrived if before else ()), branch.way))
    run.joins[point.id] = gathering
    if len(gathering.arrived) < join.need:
        return False
    del run.joins[point.id]
    ways = run.point(join.fork).ways
    run.record("joined", node=point.id, arrived=[ways[n].target for n in gathering.arrived], of=len(join.ways))
    return True


def _end_branches(run: Run, point: Point, join: Join) -> None:
    """End the branches of a fork that its join did not wait for, those too that have ended in its other join."""
    for name in list(run.joins):
        if _join_of(run.point(name)).fork == join.fork:
            del run.joins[name]
    run.abandon(lambda other: _inside(other.frames, point, join), because("branch_not_needed", node=point.id))


def _inside(frames: tuple[Frame, ...], point: Point, join: Join) -> bool:
    """Whether this lies in a branch of the fork that the join brings together."""
    depth = len(point.frames)
    return len(frames) > depth and frames[:depth] == point.frames and frames[depth].fork == join.fork
