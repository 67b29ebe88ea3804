"""The worker for catalog actions, on a task queue of its own beside the one of approvals."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from temporalio.client import Client
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.action_runner import QUEUE_SUFFIX, ActionRunner
from activities.actions import settings as action_settings
from activities.actions.builtin import executors
from activities.notifications import settings as notify_settings
from activities.notifications.settings import NotifySettings
from service.context import Context
from service.requests import start_sub_request
from storage.database import Database

_AT_ONCE = 50  # concurrent attempts of one worker
_GRACE = timedelta(seconds=10)


def action_worker(
    client: Client,
    database: Database,
    *,
    task_queue: str,
    notify: NotifySettings | None = None,
    deployment: WorkerDeploymentConfig | None = None,
) -> Worker:
    """Return the worker for actions of the approvals on `task_queue`; raises InputInvalid for wrong settings.

    `notify` replaces the mail settings of the environment. `deployment` is the version that it registers as.
    """
    mails = notify or notify_settings.load()
    context = Context(database=database, client=client, clock=database.now, task_queue=task_queue, notify=mails)
    # Activities are below the use cases, so the function that starts a request is passed in.
    found = executors(action_settings.load(), mails, partial(start_sub_request, context), database.now)
    return Worker(
        client,
        task_queue=task_queue + QUEUE_SUFFIX,
        activities=[ActionRunner(database, found).run],
        max_concurrent_activities=_AT_ONCE,
        graceful_shutdown_timeout=_GRACE,
        deployment_config=deployment,
    )
