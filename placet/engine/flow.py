"""Flow: go from node to node until every branch waits for somebody or something, or the request ends.

A request can be in several branches of a fork at once, and at most once at each node (placet.plan.branches ensures it).
"""

from __future__ import annotations

from typing import assert_never

from placet.audit.reasons import Reason, because
from placet.engine.call_results import failure_reason, result_of
from placet.engine.events import ActionDone, ChildEnded
from placet.engine.run import Run
from placet.engine.state import HeldResult
from placet.nodes.base import Answer, Continuation, Entered, Frames, NodeResult, RequestFails
from placet.nodes.registry import type_at
from placet.plan.graph import Node
from placet.tasks.candidates import operators
from placet.tasks.quorum import stage_result
from placet.tasks.sla import final_result
from placet.tasks.stages import open_next_seat

NextNode = tuple[str, Frames]  # a node to enter, and the branches that it is entered in

# How often a request may enter one node that asks, runs something or waits; beyond this the process would never end.
MOST_VISITS = 1000


def advance(run: Run, at: str, frames: Frames = ()) -> None:
    """Go on from a node until every branch waits for somebody or something, or the request ends."""
    passed: set[str] = set()
    pending: list[NextNode] = [(at, frames)]
    while pending:
        name, branch = pending.pop()
        node = run.node(name)
        node_type = type_at(node)
        gathered = node_type.arrive(run, node, branch)
        if gathered is False:
            continue
        if gathered:
            pending = [step for step in pending if not node_type.closes(node, step[1])]
        elif name in passed:  # nothing has changed since the last visit, so this would never end
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
    """End the request as failed because of a fault in the process, and notify its owner."""
    run.finish("failed", None, kind="failed", why=why)
    run.notify("failed", *operators(run), why=why)


def settle(run: Run, node_id: str, answer: Answer) -> None:
    """Take the result that a node waited for (of its stage, wait or call), and go on."""
    node = run.node(node_id)
    for target, frames in _onward(run, node, type_at(node).settle(run, node, answer)):
        advance(run, target, frames)


def take_action(run: Run, event: ActionDone) -> None:
    """Take the result of an action; where its branch has ended meanwhile, only record it."""
    held = HeldResult(
        node=event.node, visit=event.visit, key=event.key, ok=event.ok, output=event.output, error=event.error
    )
    call = run.actions.get(event.node)
    if call is not None and call.visit == event.visit:
        if run.state.returned_at is not None:
            run.set(held=(*run.state.held, held))
            return
        settle(run, event.node, event)
        return
    stray = next((c for c in run.strays if (c.node, c.visit) == (event.node, event.visit)), None)
    if stray is not None:
        run.strays.remove(stray)
        run.keep_result(lambda: result_of(run, held, stray, counts_for=0))
    # Entries from before there were codes hold the whole of what the action said.
    why = (failure_reason(event) if run.rules.sealed else event.error) if event.error else None
    run.record("action_ignored", node=event.node, visit=event.visit, ok=event.ok, why=why)


def take_child(run: Run, event: ChildEnded) -> None:
    """Take the outcome of a sub-process; one that is no longer waited for changes nothing."""
    call = run.children.get(event.node)
    if call is None or call.visit != event.visit:
        return
    if run.state.returned_at is not None:
        if any((h.node, h.visit) == (event.node, event.visit) for h in run.state.held):
            return  # a parent that also looks for ended sub-processes may be told twice
        held = HeldResult(node=event.node, visit=event.visit, output=event.output, outcome=event.outcome)
        run.set(held=(*run.state.held, held))
        return
    settle(run, event.node, event)


def after_vote(run: Run, node_id: str) -> None:
    """After a decision, settle the stage if its result is certain, or open the next seat of a sequence."""
    node = run.node(node_id)
    stage = run.stage_at(node_id)
    result: str | None = stage_result(run, run.stages[node_id], stage)
    if result is None and stage.order == "sequential":
        open_next_seat(run, node, stage)
        result = stage_result(run, run.stages[node_id], stage)
    # An open task whose escalation has ended may have waited for this vote.
    result = result or final_result(run, run.stages[node_id])
    if result is not None:
        settle(run, node_id, result)


def reopen(run: Run, node_id: str) -> None:
    """Open a returned stage again, as the next round, with fresh deadlines."""
    run.stages.pop(node_id)
    advance(run, node_id, run.node(node_id).frames)


def _onward(run: Run, node: Node, came: Entered) -> list[NextNode]:
    """Return the nodes to enter next; none where the node waits, or the request ends here."""
    match came:
        case None:
            return []
        case Continuation():
            return list(came.to)
        case NodeResult():
            return _edge_on(run, node, came)
        case RequestFails():
            fail(run, came.why)
            return []
        case _:
            assert_never(came)


def _edge_on(run: Run, node: Node, came: NodeResult) -> list[NextNode]:
    node_type = type_at(node)
    edge = node_type.edge_on(node, came.result)
    if edge is not None:
        return [(edge.target, node.frames)]
    # A result without an edge: a failure fails the request, and any other result ends it with that outcome.
    unsaid = because("no_edge", node=node.id, result=came.result)
    if came.result in node_type.faults:
        fail(run, because("no_edge", node=node.id, result=came.result, cause=came.why) if came.why else unsaid)
    else:
        outcome = "expired" if came.result == "timeout" else came.result
        run.finish("completed", outcome, kind="completed", why=unsaid)
    return []
