"""Talk to the engine: start requests, offer them events, ask them; every failure becomes an error of ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import QueryRejectCondition, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from placet.engine import machine
from placet.engine.events import (
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    Attach,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    Extend,
    Happened,
    Migrate,
    Opening,
    Reassign,
    Release,
    Remind,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.engine.state import State
from placet.errors import Gone, PlacetError, Problem, Unavailable
from placet.sentences import sentence
from service.context import Context
from workflows import display
from workflows.approval import Answer, ApprovalWorkflow, Start
from workflows.failures import as_error

Command = (
    Decide
    | Reassign
    | Delegate
    | AddApprover
    | Claim
    | Release
    | Undo
    | Comment
    | AskQuestion
    | AnswerQuestion
    | Remind
    | Extend
    | Happened
    | Resubmit
    | Attach
    | ClaimAction
    | Withdraw
    | Migrate
)

# A query answers within milliseconds where a worker has the request at hand; else its history is replayed first.
QUERY_DEADLINE = timedelta(seconds=8)
# The server lets a poll wait for a minute, and remembers who polled for five.
LONG_POLL = timedelta(seconds=65)
# How long what goes on beside the calls waits for an answer about one request; it asks again anyway.
_ASIDE_DEADLINE = timedelta(seconds=5)
# The server's word for an update whose workflow task was given up, because another event had come meanwhile.
_INTERRUPTED = "unexpected workflow task failure"
_AGAIN_SECONDS = 0.05
# What the SDK says, as a plain RuntimeError, where a connection that is made on first use cannot be made.
_NOT_CONNECTED = "Failed client connect"
# The server's word for an update whose workflow ended before its handler did.
_OVERTAKEN = "AcceptedUpdateCompletedWorkflow"
# The activity that runs an action.
_ACTION = "run_action"


async def start(context: Context, beginning: Start) -> None:
    """Start a request; one that was started before under the same id is left as it is. Raises Unavailable."""
    opening = beginning.opening
    state = machine.opening_state(beginning.plan, opening, opening.directory_at)
    with_tasks = machine.begin(beginning.plan, opening, state, opening.directory_at).state
    async with reaching(context.start_deadline):
        try:
            await context.client.start_workflow(
                ApprovalWorkflow.run,
                beginning,
                id=opening.request_id,
                task_queue=context.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                request_eager_start=True,
                static_summary=display.summary(beginning.plan),
                static_details=_details(opening),
                search_attributes=display.opening_attributes(beginning.plan, with_tasks),
                rpc_timeout=context.start_deadline,
            )
        except WorkflowAlreadyStartedError:
            return


async def command(context: Context, request_id: str, event: Command, *, key: str) -> Answer:
    """Offer an event to a request under an update id, and return its answer once the effects are recorded.

    Raises the core's refusal, Gone where the request has ended in the engine, Unavailable where nobody answers in time.
    """
    handle = context.client.get_workflow_handle(request_id)
    name = _update_of(event)
    async with reaching(context.command_deadline):
        while True:
            try:
                answer: Answer = await handle.execute_update(
                    name, event, id=key, result_type=Answer, rpc_timeout=context.command_deadline
                )
            except RPCError as error:
                if error.status is not RPCStatusCode.FAILED_PRECONDITION or _INTERRUPTED not in error.message:
                    raise
                # Another event came while the workflow ended its task, which is carried out again: so is the update.
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return answer


def _update_of(event: Command) -> str:
    """Return the name of the update that takes an event: `ask_question` takes AskQuestion."""
    return re.sub(r"(?<=.)(?=[A-Z])", "_", type(event).__name__).lower()


async def unmapped(context: Context, request_id: str, event: Migrate) -> list[Problem]:
    """Return what would keep a request from being moved; raises Gone and Unavailable."""
    async with reaching(QUERY_DEADLINE):
        problems: list[Problem] = await context.client.get_workflow_handle(request_id).query(
            ApprovalWorkflow.unmapped, event, rpc_timeout=QUERY_DEADLINE
        )
        return problems


async def state_of(context: Context, request_id: str, *, within: timedelta = QUERY_DEADLINE) -> State:
    """Return the whole state of a running request, as its workflow holds it; raises Gone and Unavailable."""
    async with reaching(within):
        try:
            state: State = await context.client.get_workflow_handle(request_id).query(
                ApprovalWorkflow.state, reject_condition=QueryRejectCondition.NOT_OPEN, rpc_timeout=within
            )
        except WorkflowQueryRejectedError as error:
            raise Gone from error
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCall:
    """The execution of an action that the engine has not ended: which attempt it is, and what became of the last one.

    `taken` says whether a worker has ever taken it; `next_at` is when it is tried again, where it waits for that.
    """

    attempt: int
    taken: bool
    since: datetime
    last_error: str | None
    next_at: datetime | None


async def running_calls(context: Context, request_id: str, *, within: timedelta) -> list[RunningCall]:
    """List the actions of a request that the engine runs or retries, in the order in which they were started.

    Raises Gone and Unavailable.
    """
    async with reaching(within):
        described = await context.client.get_workflow_handle(request_id).describe(rpc_timeout=within)
    pending = [one for one in described.raw_description.pending_activities if one.activity_type.name == _ACTION]
    return [
        RunningCall(
            attempt=one.attempt,
            taken=one.HasField("last_started_time"),
            since=one.scheduled_time.ToDatetime(UTC),
            last_error=await _told(context.client, one.last_failure) if one.HasField("last_failure") else None,
            next_at=one.next_attempt_schedule_time.ToDatetime(UTC)
            if one.HasField("next_attempt_schedule_time")
            else None,
        )
        for one in sorted(pending, key=lambda one: int(one.activity_id) if one.activity_id.isdecimal() else 0)
    ]


async def _told(client: Client, failure: Failure) -> str:
    """Return the message of a failure, or of what it was caused by; it may be encrypted."""
    if not failure.HasField("encoded_attributes") and not failure.cause.HasField("encoded_attributes"):
        return str(failure.message or failure.cause.message)
    error = await client.data_converter.decode_failure(failure)
    return str(error) or str(error.__cause__ or "")


async def head_of(client: Client, request_id: str) -> str | None:
    """Return the head of the audit chain as history holds it; None once the engine no longer has the request."""
    handle = client.get_workflow_handle(request_id)
    try:
        async with reaching(QUERY_DEADLINE):
            described = await handle.describe(rpc_timeout=QUERY_DEADLINE)
            if described.status is WorkflowExecutionStatus.COMPLETED:
                ended = client.get_workflow_handle_for(ApprovalWorkflow.run, request_id)
                return (await ended.result(rpc_timeout=QUERY_DEADLINE)).head
            recorded: Answer = await handle.query(ApprovalWorkflow.recorded, rpc_timeout=QUERY_DEADLINE)
            return recorded.head
    except Gone:
        return None


async def recorded(client: Client, request_id: str) -> tuple[int, str] | None:
    """Return how far history holds a request's audit chain, as (seq, head); None where nobody can tell."""
    try:
        answer: Answer = await client.get_workflow_handle(request_id).query(
            ApprovalWorkflow.recorded, rpc_timeout=_ASIDE_DEADLINE
        )
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    return answer.seq, answer.head


async def tell_directory_changed(client: Client, request_id: str) -> bool:
    """Have a request read the directory again; False where there is no need, as it has ended in the engine.

    Raises Unavailable.
    """
    return await _signal(client, request_id, ApprovalWorkflow.directory_changed)


async def tell_store_ahead(client: Client, request_id: str) -> bool:
    """Have a request look whether more of it is stored than history holds; False where it has ended in the engine.

    Raises Unavailable.
    """
    return await _signal(client, request_id, ApprovalWorkflow.store_ahead)


async def _signal(client: Client, request_id: str, signal: Any) -> bool:
    try:
        async with reaching(_ASIDE_DEADLINE):
            await client.get_workflow_handle(request_id).signal(signal, rpc_timeout=_ASIDE_DEADLINE)
    except Gone:
        return False
    return True


async def reach(client: Client) -> None:
    """Raise Unavailable unless the engine answers, and has the namespace."""
    question = DescribeNamespaceRequest(namespace=client.namespace)
    async with reaching(QUERY_DEADLINE):
        await client.workflow_service.describe_namespace(question, timeout=QUERY_DEADLINE)


async def pollers(client: Client, task_queue: str, now: datetime) -> set[str]:
    """Return the identities of workers that asked for workflow tasks; one that was killed is among them for a while."""
    question = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    async with reaching(QUERY_DEADLINE):
        found = await client.workflow_service.describe_task_queue(question, timeout=QUERY_DEADLINE)
    since = now - LONG_POLL
    return {poller.identity for poller in found.pollers if poller.last_access_time.ToDatetime(UTC) > since}


@asynccontextmanager
async def reaching(deadline: timedelta) -> AsyncIterator[None]:
    """Turn what the SDK raises into errors of ours."""
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            yield
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from error
    except WorkflowQueryFailedError as error:
        raise Unavailable(sentence("A query failed: {error}", error=error)) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Gone from error
        raise Unavailable(
            sentence("The engine answered {name}: {message}", name=error.status.name, message=error.message)
        ) from error
    except RuntimeError as error:
        if not str(error).startswith(_NOT_CONNECTED):
            raise
        raise Unavailable(sentence("The engine cannot be reached: {error}", error=error)) from error
    except (
        TimeoutError,
        RPCTimeoutOrCancelledError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
        WorkflowQueryRejectedError,
        WorkflowFailureError,
    ) as error:
        raise Unavailable(sentence("The engine or every worker is away: {error!r}", error=error)) from error


def _details(opening: Opening) -> str:
    """Return what the Temporal Web UI says of a request on its first line."""
    if opening.created_from is not None:
        return f"Request `{opening.request_id}`, started by request `{opening.created_from}`"
    return f"Request `{opening.request_id}` by `{opening.requester}`"


def _refusal(cause: Any) -> PlacetError:
    if isinstance(cause, ApplicationError):
        if cause.type == _OVERTAKEN:
            return Gone()
        if (error := as_error(cause)) is not None:
            return error
    return Unavailable(sentence("An update failed: {cause!r}", cause=cause))
