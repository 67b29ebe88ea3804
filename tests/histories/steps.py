"""What the courses of events are made of: blueprints, decisions, and how many tasks there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from placet.engine.events import Decide
from placet.engine.state import State
from tests.approvals import EXPENSE, by
from workflows.approval import Answer, ApprovalWorkflow

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
HOUR = timedelta(hours=1)


def blueprint(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a blueprint with these stages."""
    return {
        **EXPENSE,
        "process_steps": [{"stage_name": f"Stage {n}", **step} for n, step in enumerate(steps, 1)],
        **more,
    }


async def open_tasks(handle: Handle) -> int:
    """Return how many tasks a request has."""
    state: State = await handle.query(ApprovalWorkflow.state)
    return len(state.tasks)


async def decide(
    handle: Handle, task: int, person: str, *, decision: Any = "approve", comment: str | None = None, **more: Any
) -> None:
    """Decide a task of a request."""
    event = Decide(by=by(person), task_id=f"{handle.id}.{task}", decision=decision, comment=comment, **more)
    await handle.execute_update(ApprovalWorkflow.decide, event)
