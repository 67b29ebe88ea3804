"""Results: what actions and sub-processes have come to, and the way on from there."""

from __future__ import annotations

from placet.engine.calls import reported, result_of
from placet.engine.events import ActionDone, ChildEnded
from placet.engine.flow import settle
from placet.engine.run import Run
from placet.engine.state import HeldResult


def take_action(run: Run, event: ActionDone) -> None:
    """Take what an action came to; where its branch has ended meanwhile, that is put on record and nothing else."""
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
    why = (reported(event) if run.rules.sealed else event.error) if event.error else None
    run.record("action_ignored", node=event.node, visit=event.visit, ok=event.ok, why=why)


def take_child(run: Run, event: ChildEnded) -> None:
    """Take what a sub-process came to; one that is no longer waited for changes nothing."""
    call = run.children.get(event.node)
    if call is None or call.visit != event.visit:
        return
    if run.state.returned_at is not None:
        if any((h.node, h.visit) == (event.node, event.visit) for h in run.state.held):
            return  # it is told twice where it was found out about as well
        held = HeldResult(node=event.node, visit=event.visit, output=event.output, outcome=event.outcome)
        run.set(held=(*run.state.held, held))
        return
    settle(run, event.node, event)
