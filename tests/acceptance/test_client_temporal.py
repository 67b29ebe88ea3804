"""Other workflows that need an approval, with the programs of `examples/approvals` and a running installation.

What they do where nobody decides is in tests/integration/test_asking_workflows.py.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.client import Client as Engine
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from examples.approvals import temporal_workflow
from examples.approvals.temporal_activities import Approvals, Asked
from examples.approvals.temporal_nexus import ApprovalServiceHandler, TransferByNexusWorkflow
from examples.approvals.temporal_webhook import tell
from examples.approvals.temporal_workflow import (
    ActionApproval,
    TransferWorkflow,
    WaitForDecision,
    transfer,
    waiting_id,
)
from placet.client import AsyncClient
from tests.contract import Placet, open_tasks
from tests.receiver import Receiver, receiver
from tests.waiting import PATIENCE, until
from worker.connect import EngineSettings

__all__ = ["receiver"]

SENT = "820.00 EUR were sent to DE02."
T = TypeVar("T")


@pytest.fixture
def process(placet: Placet) -> str:
    """Give a process of one stage, which Max decides, and that nobody else uses."""
    return placet.publish(placet.process({"stage_name": "Yes or no", "approvers": ["user:max"]}))


@pytest_asyncio.fixture
async def rita(placet: Placet) -> AsyncIterator[AsyncClient]:
    """Give the client of whoever the workflows ask as."""
    async with AsyncClient(placet.where["api"], placet.tokens["rita"]) as client:
        yield client


@pytest_asyncio.fixture
async def engine(placet: Placet) -> Engine:
    """Give the engine of the installation, which other workflows may share."""
    return await Engine.connect(placet.where["temporal"], namespace=placet.where["namespace"])


def asked(process: str) -> Asked:
    return Asked(
        process=process,
        title="Pay",
        type="transfer",
        target="DE02",
        parameters={"amount": "820.00"},
        expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    )


@asynccontextmanager
async def worker(engine: Engine, activities: Approvals, **more: Any) -> AsyncIterator[str]:
    """Run the workflows and activities of the examples on a task queue of their own."""
    queue = f"transfers-{uuid.uuid4().hex[:8]}"
    async with Worker(
        engine,
        task_queue=queue,
        workflows=[TransferWorkflow, ActionApproval, WaitForDecision],
        activities=[activities.ask, activities.look, activities.claim, activities.withdraw, transfer],
        **more,
    ):
        yield queue


async def decided(placet: Placet, process: str, decision: str, runs: Awaitable[T]) -> T:
    """Return what a workflow comes to once Max has decided its request."""
    work = asyncio.ensure_future(runs)

    async def decide() -> bool:
        path = f"tasks/?assignee=me&status=open&template={process}"
        if items := (await asyncio.to_thread(placet.get, "max", path))["items"]:
            shown = placet.request({"id": items[0]["request_id"]})
            placet.decide("max", open_tasks(shown)["max"], decision, comment="As I see it.")
        return work.done() or bool(items)

    await until(decide, what="a request")
    return await asyncio.wait_for(work, PATIENCE)


@pytest.mark.parametrize(("decision", "runs"), [("approve", True), ("reject", False)])
async def test_a_child_workflow_asks_waits_and_claims(
    placet: Placet, rita: AsyncClient, engine: Engine, process: str, decision: str, runs: bool
) -> None:
    async with worker(engine, Approvals(rita)) as queue:
        work = engine.execute_workflow(TransferWorkflow.run, asked(process), id=queue, task_queue=queue)
        if runs:
            assert await decided(placet, process, decision, work) == SENT
            return
        with pytest.raises(WorkflowFailureError) as caught:
            await decided(placet, process, decision, work)
    why = caught.value.cause.cause  # of the child
    assert isinstance(why, ApplicationError)
    assert (why.type, "was rejected" in why.message) == ("Rejected", True)


async def test_a_workflow_of_another_namespace_asks_by_nexus(
    placet: Placet, rita: AsyncClient, engine: Engine, process: str
) -> None:
    elsewhere = await Engine.connect(placet.where["temporal"], namespace=EngineSettings().rehearsal_namespace)
    handlers = {"nexus_service_handlers": [ApprovalServiceHandler()]}
    async with worker(engine, Approvals(rita), **handlers) as queue:
        there = EndpointTarget.Worker(namespace=engine.namespace, task_queue=queue)
        spec = EndpointSpec(name=queue, target=EndpointTarget(worker=there))
        await engine.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec))
        async with Worker(elsewhere, task_queue=queue, workflows=[TransferByNexusWorkflow], activities=[transfer]):
            work = elsewhere.execute_workflow(
                TransferByNexusWorkflow.run, args=[queue, asked(process)], id=queue, task_queue=queue
            )
            assert await decided(placet, process, "approve", work) == SENT


async def waits_for_an_hour(placet: Placet, engine: Engine, process: str) -> dict[str, Any]:
    """Return the request once the workflow that waits has looked, and will not look again by itself."""
    found: list[dict[str, Any]] = []

    async def looked() -> bool:
        found[:] = await asyncio.to_thread(lambda: placet.get("rita", f"requests/?template={process}")["items"])
        if not found:
            return False
        try:
            shown = await engine.get_workflow_handle(waiting_id(found[0]["id"])).describe()
        except RPCError:
            return False
        return any(one.attempt > 1 for one in shown.raw_description.pending_activities)

    await until(looked, what="a first look")
    return found[0]


async def test_a_webhook_tells_the_workflow_that_waits(
    placet: Placet,
    rita: AsyncClient,
    engine: Engine,
    process: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(temporal_workflow, "LOOKS", RetryPolicy(initial_interval=timedelta(hours=1)))
    hook = placet.post("ada", "webhooks/", {"url": receiver.url, "events": ["completed"]}, expect=201)
    try:
        async with worker(
            engine, Approvals(rita, poll_seconds=0), workflow_runner=UnsandboxedWorkflowRunner()
        ) as queue:
            work = await engine.start_workflow(TransferWorkflow.run, asked(process), id=queue, task_queue=queue)
            request = await waits_for_an_hour(placet, engine, process)
            placet.decide("max", open_tasks(request)["max"])

            async def told() -> bool:
                return any([await tell(engine, hook["secret"], headers, body) for headers, body in receiver.got[:]])

            await until(told, what="the webhook")
            assert await asyncio.wait_for(work.result(), PATIENCE) == SENT
    finally:
        placet.send("ada", "DELETE", f"workflow/webhooks/{hook['id']}/")
