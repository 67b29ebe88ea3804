"""The worker for notifications, on a task queue of its own, and the start of a workflow for each channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

from activities.notifications.delivery.runner import HEARTBEAT_EVERY, NotificationRunner
from activities.notifications.delivery.start import check_webhooks, notification_runner
from activities.notifications.settings import NotifySettings
from service.engine import client as engine
from storage.announcements.listener import listening
from storage.database import Database
from worker.jobs import repeating
from workflows import display
from workflows.notifications import NotificationChannel, NotificationWorkflow
from workflows.registration import NOTIFICATION_WORKFLOWS, workflow_runner

QUEUE_SUFFIX = "-notifications"
# Longer than a mail takes that has begun. What was taken and has not begun is put back at once.
_GRACE = timedelta(seconds=30)
_STARTED_SECONDS = 20.0
_RPC_SECONDS = timedelta(seconds=5)


def workflow_id(task_queue: str, channel: str) -> str:
    """Return the id of a channel's workflow: there is one in each installation."""
    return f"{task_queue}{QUEUE_SUFFIX}-{channel}"


@asynccontextmanager
async def notifications_running(
    database: Database,
    client: Client,
    settings: NotifySettings,
    *,
    task_queue: str,
    secret: str,
) -> AsyncIterator[None]:
    """Take turns on the channels while the block runs, beside any number of processes that do.

    `secret` is the installation's. Raises InputInvalid where a lease is shorter than a channel's timeout.
    """
    await check_webhooks(database, settings)
    confirm, tell = partial(engine.recorded, client), partial(engine.tell_store_ahead, client)
    async with listening(database) as subscriptions:
        runner = notification_runner(database, confirm, settings, tell=tell, secret=secret, subscriptions=subscriptions)
        start = partial(start_channels, client, runner.channels, task_queue=task_queue)
        async with (
            notification_worker(client, runner, task_queue=task_queue),
            repeating(start, seconds=_STARTED_SECONDS),
        ):
            yield


def notification_worker(client: Client, runner: NotificationRunner, *, task_queue: str) -> Worker:
    """Return the worker for the notifications of the approvals on `task_queue`."""
    return Worker(
        client,
        task_queue=task_queue + QUEUE_SUFFIX,
        workflows=NOTIFICATION_WORKFLOWS,
        activities=[runner.run],
        workflow_runner=workflow_runner(),
        # A channel's workflow has a task when a turn ends, which is rare, and a short history. Without a cache, a task
        # never waits for a worker that is gone.
        max_cached_workflows=0,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(1),
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(1),
        max_concurrent_activities=len(runner.channels) + 1,  # a turn that was lost ends beside its successor
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT_EVERY),
        graceful_shutdown_timeout=_GRACE,
    )


async def start_channels(client: Client, channels: Sequence[str], *, task_queue: str) -> None:
    """Start the workflow of each channel that has none; those that run are left as they are."""
    for channel in channels:
        await client.start_workflow(
            NotificationWorkflow.run,
            NotificationChannel(channel=channel),
            id=workflow_id(task_queue, channel),
            task_queue=task_queue + QUEUE_SUFFIX,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=display.channel_summary(channel),
            rpc_timeout=_RPC_SECONDS,
        )
