"""What a worker of approvals registers, and how it runs that: one way for production, rehearsals and replays.

Workflows run without the SDK's sandbox, for the reasons and figures in docs/decisions/0003-sandbox.md. What the sandbox
would find is found before: the tests run the same workflows under the bare sandbox, and every kind of recorded history
is replayed.
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
    WorkflowRunner,
)

from activities.audit import StoredSequence, time_marker
from activities.decision_tokens import DecisionTokens, TokenVerifier
from activities.directory import DirectoryReader
from activities.subprocesses import SubprocessResultReader, SubprocessResultSigner
from storage.database import Database
from workflows.approval import ApprovalWorkflow

WORKFLOWS: tuple[type, ...] = (ApprovalWorkflow,)

# Few, for long polls compete for the same few tasks; and most of them for tasks of requests that no worker has at hand.
# A poll lasts until the engine has noted that the task began, and the SDK's share of a fifth would be one poller: the
# first tasks of requests would begin one after the other, and wait for seconds while those of known requests pass by.
_POLLERS, _FOR_NEW = 12, 2 / 3
# Long enough for a record that waits for a slow disk; workflow tasks that are not finished then run again elsewhere.
_GRACE = timedelta(seconds=10)


def workflow_runner() -> WorkflowRunner:
    """Return the runner that workers use."""
    return UnsandboxedWorkflowRunner()


def beside_recording(client: Client, database: Database, secret: str) -> list[Callable[..., Any]]:
    """Return the activities of approvals other than `record`, bound to what they need."""
    endings = SubprocessResultSigner(secret)
    return [
        DirectoryReader(database).look_up,
        TokenVerifier(DecisionTokens(secret), database).verify,
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
) -> Worker:
    """Return the worker for approvals; `activities` are record and those of `beside_recording`.

    An exception of `failure_types` fails a workflow; all others suspend it until the code is mended.
    """
    return Worker(
        client,
        task_queue=task_queue,
        workflows=workflows,
        activities=[*activities, time_marker],
        interceptors=interceptors,
        workflow_runner=runner or workflow_runner(),
        workflow_failure_exception_types=failure_types,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(_POLLERS),
        nonsticky_to_sticky_poll_ratio=_FOR_NEW,
        graceful_shutdown_timeout=_GRACE,
        max_cached_workflows=2000,
    )
