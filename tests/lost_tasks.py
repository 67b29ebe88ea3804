"""Workflow tasks that are lost after their recording was committed: the store then holds what history does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowHandle

from placet.definition.model import parse_definition
from placet.engine import machine
from placet.engine.events import Comment
from placet.engine.recording import recording_of
from placet.plan.compiler import compile_plan
from storage.database import Database
from tests.approvals import EXPENSE, by
from tests.integration.recordings import write
from tests.stored import writing
from workflows.approval import ApprovalWorkflow

PLAN = compile_plan(parse_definition(EXPENSE), start=datetime(2026, 1, 1, tzinfo=UTC))


async def lose(database: Database, handle: WorkflowHandle[Any, Any]) -> str:
    """Store a comment on an expense as a workflow task does that is lost then; return the hash of its entry."""
    now = datetime.now(UTC)
    state = await handle.query(ApprovalWorkflow.state)
    step = machine.apply(PLAN, state, Comment(by=by("ann"), text="nobody repeats this"), now)
    with writing(database) as session:
        write(session, recording_of(PLAN, "template", step.state, step.entries, step.notifications, stored={}), now)
    return step.state.head
