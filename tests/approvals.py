"""Approvals on the real engine and a real database, for tests: a worker, people, and requests to start and decide."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker, WorkflowRunner

from activities.audit import Recorder
from placet.definition.action_spec import ActionSpec
from placet.definition.model import parse_definition
from placet.definition.variables import normalise_input
from placet.engine.bound_action import BoundAction
from placet.engine.events import Actor, Opening
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from service.principal import DEFAULT_ACCESS
from storage.database import Database
from storage.queries.people import people
from storage.tables.approvals import StoredPerson
from tests.sandbox import passing_runner
from tests.stored import reading, writing
from workflows import display
from workflows.approval import Answer, ApprovalWorkflow, Start
from workflows.registration import approval_worker, beside_recording

SECRET = "a secret for the tests alone"

EXPENSE: dict[str, Any] = {
    "name": "Expense approval",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal", "required": True, "minimum": 0}],
    "process_steps": [
        {
            "stage_name": "Manager Approval",
            "sla_hours": 24,
            "escalation_enabled": True,
            "escalation_to": "department_head",
            "reminders": {"every_hours": 8},
        }
    ],
}

# ann asks; bob is her manager, dora heads the department, carl is the CFO above them; olivia owns the process.
PEOPLE: tuple[dict[str, Any], ...] = (
    {"id": "ann", "manager": "bob"},
    {"id": "bob", "manager": "dora"},
    {"id": "dora", "manager": "carl", "roles": ["department_head"]},
    {"id": "carl", "roles": ["cfo"]},
    {"id": "olivia", "access": ["admin"]},
)


async def store_people(database: Database, rows: tuple[dict[str, Any], ...] = PEOPLE) -> None:
    """Store people; what a row leaves out is empty."""
    with writing(database) as session:
        for row in rows:
            people.put(session.connection(), person(**row))


def person(**row: Any) -> StoredPerson:
    """Make a person row with everything that is not given left empty."""
    full: dict[str, Any] = {
        "name": row["id"].title(),
        "email": f"{row['id']}@example.com",
        "roles": [],
        "groups": [],
        "access": list(DEFAULT_ACCESS),
        "away": [],
        "preferences": {},
        "updated_at": datetime.now(UTC),
    }
    return StoredPerson(**(full | row))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where tests start requests: a client, a database with people in it, and a running worker."""

    client: Client
    database: Database
    task_queue: str

    async def start(
        self,
        blueprint: dict[str, Any] = EXPENSE,
        *,
        given: dict[str, Any] | None = None,
        requester: str = "ann",
        client: Client | None = None,
        started_at: datetime | None = None,
        actions: Mapping[str, ActionSpec] | None = None,
        children: Mapping[str, Child] | None = None,
        action: BoundAction | None = None,
        title: str = "A test",
    ) -> WorkflowHandle[ApprovalWorkflow, Answer]:
        """Start a request as the API does; `client` may be one with a clock of its own."""
        parsed = parse_definition(deepcopy(blueprint))
        now = started_at or datetime.now(UTC)
        plan = compile_plan(parsed, start=now, actions=actions, children=children)
        given = normalise_input(parsed.variables, given if given is not None else {"amount": "100"})
        with reading(self.database) as session:
            directory = people.read_directory(session.connection(), plan.names, also=[requester], given=given)
        opening = Opening(
            request_id=f"req-{uuid.uuid4().hex[:12]}",
            requester=requester,
            title=title,
            input=given,
            directory=directory,
            directory_at=now,
            secret="secret",
            titled=True,
            action=action,
        )
        return await (client or self.client).start_workflow(
            ApprovalWorkflow.run,
            Start(plan=plan, opening=opening, template_id="template"),
            id=opening.request_id,
            task_queue=self.task_queue,
            static_summary=display.summary(plan),
        )


@asynccontextmanager
async def desk(
    client: Client, database: Database, *, runner: WorkflowRunner | None = None, failing: bool = False
) -> AsyncIterator[Desk]:
    """Run a worker with the real activities on a task queue of its own, its workflows in the sandbox."""
    task_queue = f"desk-{uuid.uuid4().hex[:8]}"
    async with worker(client, database, task_queue, runner=runner or passing_runner(), failing=failing):
        yield Desk(client=client, database=database, task_queue=task_queue)


def worker(
    client: Client,
    database: Database,
    task_queue: str,
    *,
    runner: WorkflowRunner | None = None,
    failing: bool = False,
) -> Worker:
    """Return a worker with the real activities; `failing` makes impure workflow code fail instead of hang.

    Without a `runner` it runs workflows as production does; in the sandbox each of them costs several times as much.
    """
    activities = [Recorder(database).record, *beside_recording(client, database, SECRET)]
    return approval_worker(
        client,
        task_queue=task_queue,
        activities=activities,
        runner=runner,
        failure_types=(Exception,) if failing else (),
    )


def by(person_id: str, *, admin: bool = False) -> Actor:
    """Name an actor."""
    return Actor(person=person_id, admin=admin)
