"""The task queues of an installation as the engine sees them: who polls each, and what waits in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from service.engine.client import LONG_POLL, QUERY_DEADLINE, reaching

WORKFLOWS: Final = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
ACTIVITIES: Final = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


@dataclass(frozen=True, kw_only=True)
class PolledQueue:
    """One task queue, for one kind of task."""

    name: str
    kind: str
    """`workflow` or `activity`."""
    polled: bool
    """Whether a worker has asked it for tasks within the last minute."""
    last_poll: datetime | None
    """When a worker asked last, by the engine's clock."""
    backlog: int
    """About how many tasks wait."""
    age: timedelta
    """How long the oldest of them has waited."""


async def described(client: Client, name: str, kind: TaskQueueType.ValueType, now: datetime) -> PolledQueue:
    """Ask the engine about a task queue; raises Unavailable."""
    question = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind, report_stats=True
    )
    async with reaching(QUERY_DEADLINE):
        found = await client.workflow_service.describe_task_queue(question, timeout=QUERY_DEADLINE)
    polls = [poller.last_access_time.ToDatetime(UTC) for poller in found.pollers]
    last = max(polls, default=None)
    return PolledQueue(
        name=name,
        kind="workflow" if kind == WORKFLOWS else "activity",
        polled=last is not None and last > now - LONG_POLL,
        last_poll=last,
        backlog=found.stats.approximate_backlog_count,
        age=found.stats.approximate_backlog_age.ToTimedelta(),
    )
