"""The courses of events that are recorded of actions: of the catalog, and bound ones that a machine claims."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from activities.actions.builtin import BUILT_IN
from placet.engine.bound_action import BoundAction
from placet.engine.events import ClaimAction
from tests.approvals import Desk, by
from tests.histories.steps import HOUR, Handle, blueprint, decide, open_tasks
from tests.waiting import until
from worker.actions import action_worker
from workflows.approval import ApprovalWorkflow


def _setting(value: str) -> dict[str, Any]:
    """Return a graph in which an action sets the amount, and then a stage decides."""
    return {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {
                "id": "set",
                "type": "action",
                "action": "set_variables",
                "input": {"n": value},
                "output": {"amount": "n"},
            },
            {"id": "first", "type": "approval", "step": "Stage 1"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "set"},
            {"from": "set", "to": "first"},
            {"from": "first", "to": "yes", "on": "approved"},
            {"from": "first", "to": "no", "on": "rejected"},
        ],
    }


async def failing(desk: Desk) -> Handle:
    """Run an action that returns what does not fit, and fail by it."""
    async with action_worker(desk.client, desk.database, task_queue=desk.task_queue):
        handle = await desk.start(
            blueprint({}, graph_spec=_setting("many")), actions={spec.name: spec for spec in BUILT_IN}
        )
        await handle.result()
    return handle


async def action(desk: Desk) -> Handle:
    """Run a catalog action, and take a variable from what comes back."""
    graph = _setting("7")
    async with action_worker(desk.client, desk.database, task_queue=desk.task_queue):
        handle = await desk.start(blueprint({}, graph_spec=graph), actions={spec.name: spec for spec in BUILT_IN})
        await until(lambda: open_tasks(handle), what="the task behind the action")
        await decide(handle, 1, "bob")
        await handle.result()
    return handle


async def claimed(desk: Desk) -> Handle:
    """Approve the action of a machine, refuse the claim of another one, and give it the claim of its own."""
    asked = BoundAction(
        type="payment", target="acct-1", parameters={"amount": 82000}, expires_at=datetime.now(UTC) + 24 * HOUR
    )
    handle = await desk.start(action=asked)
    await decide(handle, 1, "bob")
    for key, digest in (("other", replace(asked, parameters={"amount": 820000}).digest), ("mine", asked.digest)):
        event = ClaimAction(by=by("ann"), digest=digest, key=key)
        await handle.execute_update(ApprovalWorkflow.claim_action, event, id=key)
    return handle
