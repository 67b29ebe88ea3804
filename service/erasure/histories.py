"""Delete what the engine stores of requests that have ended: every run of their workflows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from placet.errors import Unavailable
from placet.sentences import sentence

_DEADLINE: Final = timedelta(seconds=8)
_LOOKS: Final = 20  # at a history that was deleted, until the engine has let go of it
_PAUSE: Final = 0.25  # seconds between them
_SETTLED: Final = 1.0
"""Seconds in which the engine deletes events after it has let go of a workflow: it does so in the background."""


async def delete_history(client: Client, name: str, *, beginning: bool = False) -> bool:
    """Delete all runs of a workflow by its id, or of those whose ids begin so; return whether nothing is left.

    What still runs stays. Raises Unavailable where the engine does not answer.
    """
    quoted = name.replace("'", "''")
    query = f"WorkflowId STARTS_WITH '{quoted}'" if beginning else f"WorkflowId = '{quoted}'"
    try:
        for _ in range(_LOOKS):
            runs = [one async for one in client.list_workflows(query, rpc_timeout=_DEADLINE)]
            if any(one.status is WorkflowExecutionStatus.RUNNING for one in runs):
                return False
            if not runs and (beginning or not await _there(client, name)):
                return True
            for one in runs:
                await _delete(client, one.id, one.run_id)
            await asyncio.sleep(_PAUSE)
    except (RPCError, RuntimeError) as error:
        raise Unavailable(
            sentence("The engine did not delete the history of {name}: {error}", name=name, error=error)
        ) from error
    return False


async def settle() -> None:
    """Wait until the engine has deleted the events of what it has let go of."""
    await asyncio.sleep(_SETTLED)


async def _there(client: Client, name: str) -> bool:
    try:
        await client.get_workflow_handle(name).describe(rpc_timeout=_DEADLINE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _delete(client: Client, name: str, run: str) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=name, run_id=run)
    )
    try:
        await client.workflow_service.delete_workflow_execution(request, timeout=_DEADLINE)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
