"""How long the engine waits for a worker that has a workflow task and is gone, after many attempts at that task."""

from __future__ import annotations

import uuid

from temporalio.api.common.v1 import WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskFailedRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client

ATTEMPTS = 14  # by default, the engine would wait for ten minutes then
MOST_SECONDS = 40


async def test_a_task_that_was_lost_many_times_is_given_to_another_worker_within_a_minute(client: Client) -> None:
    name = f"lost-{uuid.uuid4().hex[:8]}"
    service, queue = client.workflow_service, TaskQueue(name=name)
    await service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=name,
            workflow_type=WorkflowType(name="Nobody's"),
            task_queue=queue,
            request_id=name,
        )
    )
    scheduled: HistoryEvent | None = None
    for attempt in range(1, ATTEMPTS + 1):
        task = await service.poll_workflow_task_queue(
            PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=queue, identity="a test")
        )
        assert task.attempt == attempt
        scheduled = [e for e in task.history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED][-1]
        await service.respond_workflow_task_failed(
            RespondWorkflowTaskFailedRequest(namespace=client.namespace, task_token=task.task_token)
        )
    assert scheduled is not None
    waits = scheduled.workflow_task_scheduled_event_attributes.start_to_close_timeout.ToSeconds()
    assert 10 < waits <= MOST_SECONDS
    await client.get_workflow_handle(name).terminate()
