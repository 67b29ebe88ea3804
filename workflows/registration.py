"""What a worker for approvals registers, and its settings: the same for production, rehearsals and replays.

Workflows run without the SDK's sandbox; docs/decisions/0003-sandbox.md gives the reasons and figures. Instead, the
tests run the same workflows under the bare sandbox, and replay recorded histories of every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import (
    Interceptor,
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)

from activities.audit import StoredSequence, time_marker
from activities.decision_tokens import DecisionTokens, TokenVerifier
from activities.directory import DirectoryReader
from activities.due_moment import due_moment
from activities.subprocesses import SubprocessResultReader, SubprocessResultSigner
from storage.database import Database
from workflows.activation import ActivationExecutor
from workflows.approval import ApprovalWorkflow
from workflows.notifications import NotificationWorkflow
from workflows.payload_visits import spare_payload_visits

WORKFLOWS: tuple[type, ...] = (ApprovalWorkflow,)
MARKERS: tuple[Callable[..., Any], ...] = (time_marker, due_moment)
"""The activities that every worker for approvals has, whose results are times that history holds."""
NOTIFICATION_WORKFLOWS: tuple[type, ...] = (NotificationWorkflow,)

# Few pollers, since long polls compete for the same tasks, and most of them for requests that no worker has cached. A
# poll lasts until the engine has stored that the task began. With the SDK's default share of a fifth there would be one
# poller for new requests: their first tasks would start one after the other, and wait for seconds behind cached ones.
_POLLERS, _FOR_NEW = 12, 2 / 3
# Long enough for a recording that waits for a slow disk. Unfinished workflow tasks run again on another worker.
_GRACE = timedelta(seconds=10)


def workflow_runner() -> WorkflowRunner:
    """Return the runner that workers use."""
    return UnsandboxedWorkflowRunner()


def beside_recording(client: Client, database: Database, secret: str) -> list[Callable[..., Any]]:
    """Return the activities of approvals except `record`, bound to client, database and secret."""
    endings = SubprocessResultSigner(secret)
    return [
        DirectoryReader(database).look_up,
        TokenVerifier(DecisionTokens(secret, database.now), database).verify,
        SubprocessResultReader(client, database).result,
        endings.sign,
        endings.verify,
        StoredSequence(database).stored_seq,
    ]


def approval_worker(
    client: Client,
    *,
    task_queue: str,
    activities: Sequence[Callable[..., Any]],
    interceptors: Sequence[Interceptor] = (),
    workflows: Sequence[type] = WORKFLOWS,
    runner: WorkflowRunner | None = None,
    failure_types: Sequence[type[BaseException]] = (),
    cached: int = 2000,
    deployment: WorkerDeploymentConfig | None = None,
) -> Worker:
    """Return the worker for approvals; `activities` are record and those of `beside_recording`.

    It keeps the state of so many (`cached`) requests in memory; that of others is computed anew from their histories.
    An exception of `failure_types` fails a workflow; others suspend it until the code is corrected. `deployment` is the
    version that it registers as; without one, it is unversioned.
    """
    spare_payload_visits()
    return Worker(
        client,
        task_queue=task_queue,
        workflows=workflows,
        workflow_task_executor=ActivationExecutor(),
        activities=[*activities, *MARKERS],
        interceptors=interceptors,
        workflow_runner=runner or workflow_runner(),
        workflow_failure_exception_types=failure_types,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(_POLLERS),
        nonsticky_to_sticky_poll_ratio=_FOR_NEW,
        graceful_shutdown_timeout=_GRACE,
        max_cached_workflows=cached,
        deployment_config=deployment,
    )
