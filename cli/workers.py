"""What a worker process does, by its duties; a command that needs no worker does not load it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from functools import partial
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.audit import Recorder
from activities.notifications.settings import NotifySettings
from activities.notifications.settings import load as load_notices
from service.engine import client as engine_client
from storage.database import Database
from worker.actions import action_worker
from worker.connect import EngineSettings
from worker.converter import prepare as prepare_adapters
from worker.deployment import deployment_config
from worker.jobs import canary_job, departure_job, log_job, presence_job, retention_job, sla_job
from worker.notifications import notifications_running
from worker.settings import Settings
from workflows.registration import MARKERS, WORKFLOWS, approval_worker, beside_recording


class Duty(StrEnum):
    """What a worker process does."""

    APPROVALS = "approvals"
    ACTIONS = "actions"
    NOTIFICATIONS = "notifications"


EVERYTHING = frozenset(Duty)


def build_worker(database: Database, client: Client, settings: Settings) -> Worker:
    """Return the worker for approvals, with its activities bound to this database."""
    activities: list[Callable[..., Any]] = [
        Recorder(database).record,
        *beside_recording(client, database, settings.secret()),
    ]
    prepare_adapters(WORKFLOWS, [*activities, *MARKERS])
    return approval_worker(
        client,
        task_queue=settings.task_queue,
        activities=activities,
        cached=settings.cached_requests,
        deployment=deployment_config(settings),
    )


@asynccontextmanager
async def worker_running(
    database: Database,
    client: Client,
    settings: Settings,
    notify: NotifySettings | None = None,
    *,
    duties: Collection[Duty] = EVERYTHING,
) -> AsyncIterator[None]:
    """Run the duties of a worker process while the block runs."""
    notify = notify or load_notices()
    async with AsyncExitStack() as stack:
        if Duty.APPROVALS in duties:
            for each in (
                build_worker(database, client, settings),
                presence_job(database, client, settings.task_queue),
                departure_job(database, partial(engine_client.tell_directory_changed, client)),
                retention_job(database, settings, client, EngineSettings.read().rehearsal_namespace),
                sla_job(database, settings),
                canary_job(database),
                log_job(database, settings),
            ):
                await stack.enter_async_context(each)
        if Duty.ACTIONS in duties:
            await stack.enter_async_context(build_action_worker(database, client, settings, notify))
        if Duty.NOTIFICATIONS in duties:
            secret = settings.secret()
            sending = notifications_running(database, client, notify, task_queue=settings.task_queue, secret=secret)
            await stack.enter_async_context(sending)
        yield


def build_action_worker(
    database: Database, client: Client, settings: Settings, notify: NotifySettings | None = None
) -> Worker:
    """Return the worker for catalog actions; it has its own task queue."""
    return action_worker(
        client, database, task_queue=settings.task_queue, notify=notify, deployment=deployment_config(settings)
    )
