"""Flow: the way from one node of the process to the next, until everyone is asked who is to be asked now.

A request can be in several branches of a fork at once, and at most once at each node (placet.plan.branches sees to it).
"""

from __future__ import annotations

from typing import assert_never

from placet.audit.reasons import Reason, because
from placet.engine.run import Run
from placet.nodes.base import Answer, CameTo, Entered, Fails, Frames, GoesOn
from placet.nodes.registry import type_at
from placet.plan.graph import Node
from placet.tasks.policy import operators, verdict
from placet.tasks.sla import final_result
from placet.tasks.stages import open_next_seat

Step = tuple[str, Frames]  # a node that is come to, and the branches in which it is come to

# How often a request may come to one node that asks, runs something or waits; more is a process that never ends.
MOST_VISITS = 1000


def advance(run: Run, at: str, frames: Frames = ()) -> None:
    """Go on from a node until somebody or something is waited for in every branch, or the request ends."""
    passed: set[str] = set()
    pending: list[Step] = [(at, frames)]
    while pending:
        name, branch = pending.pop()
        node = run.node(name)
        node_type = type_at(node)
        gathered = node_type.arrive(run, node, branch)
        if gathered is False:
            continue
        if gathered:
            pending = [step for step in pending if not node_type.closes(node, step[1])]
        elif name in passed:  # nothing has changed since: it would go on for ever
            fail(run, because("endless", node=name))
            return
        passed.add(name)
        if node_type.visits(run, node) >= MOST_VISITS:
            fail(run, because("too_many_visits", node=node.id, times=MOST_VISITS))
            return
        following = _onward(run, node, node_type.enter(run, node))
        if run.state.status != "pending":
            return
        pending += reversed(following)


def fail(run: Run, why: Reason) -> None:
    """End the request as failed: the process itself is at fault, and its owner is told."""
    run.finish("failed", None, kind="failed", why=why)
    run.tell("failed", *operators(run), why=why)


def settle(run: Run, node_id: str, answer: Answer) -> None:
    """Take what was waited for at a node (a result of its stage or wait, or what ran there has come to), and go on."""
    node = run.node(node_id)
    for target, frames in _onward(run, node, type_at(node).settle(run, node, answer)):
        advance(run, target, frames)


def after_vote(run: Run, node_id: str) -> None:
    """Look at a stage after one of its tasks was decided: settle it, or open the next seat of a sequence."""
    node = run.node(node_id)
    stage = run.stage_at(node_id)
    result: str | None = verdict(run, run.stages[node_id], stage)
    if result is None and stage.order == "sequential":
        open_next_seat(run, node, stage)
        result = verdict(run, run.stages[node_id], stage)
    # What is still open may have waited for this vote, its own chain of escalation having ended before.
    result = result or final_result(run, run.stages[node_id])
    if result is not None:
        settle(run, node_id, result)


def reopen(run: Run, node_id: str) -> None:
    """Open a returned stage again, as the next round, with fresh deadlines."""
    run.stages.pop(node_id)
    advance(run, node_id, run.node(node_id).frames)


def _onward(run: Run, node: Node, came: Entered) -> list[Step]:
    """Return where a node leads; nothing where somebody or something is waited for, or the request ends here."""
    match came:
        case None:
            return []
        case GoesOn():
            return list(came.to)
        case CameTo():
            return _edge_on(run, node, came)
        case Fails():
            fail(run, came.why)
            return []
        case _:
            assert_never(came)


def _edge_on(run: Run, node: Node, came: CameTo) -> list[Step]:
    node_type = type_at(node)
    edge = node_type.edge_on(node, came.result)
    if edge is not None:
        return [(edge.target, node.frames)]
    # What the graph leaves unsaid: what went wrong fails the request, any other result ends it with that outcome.
    unsaid = because("no_edge", node=node.id, result=came.result)
    if came.result in node_type.faults:
        fail(run, because("no_edge", node=node.id, result=came.result, cause=came.why) if came.why else unsaid)
    else:
        outcome = "expired" if came.result == "timeout" else came.result
        run.finish("completed", outcome, kind="completed", why=unsaid)
    return []
