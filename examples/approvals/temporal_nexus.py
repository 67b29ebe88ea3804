"""Temporal: approvals as a Nexus operation, for workflows in other namespaces, which then need no token of Placet's.

One worker has the client and offers the operation; its endpoint says who may call it:

    temporal operator nexus endpoint create --name approvals --target-namespace NAMESPACE --target-task-queue QUEUE
"""

from __future__ import annotations

from datetime import timedelta

import nexusrpc
from nexusrpc.handler import service_handler
from temporalio import nexus, workflow

with workflow.unsafe.imports_passed_through():
    from examples.approvals.temporal_activities import Asked, Granted
from examples.approvals.temporal_workflow import ActionApproval, carry_out


@nexusrpc.service
class ApprovalService:
    """What callers see: one operation, which takes as long as people take."""

    approve: nexusrpc.Operation[Asked, Granted]


@service_handler(service=ApprovalService)
class ApprovalServiceHandler:
    """Starts a workflow for each operation; its end is the operation's, and a cancellation withdraws the request."""

    @nexus.workflow_run_operation
    async def approve(self, ctx: nexus.WorkflowRunOperationContext, asked: Asked) -> nexus.WorkflowHandle[Granted]:
        """Start the workflow, or find it where the engine repeats the call."""
        return await ctx.start_workflow(ActionApproval.run, asked, id=f"approval-{ctx.request_id}")


@workflow.defn
class TransferByNexusWorkflow:
    """Have the transfer approved by the operation, and carry it out."""

    @workflow.run
    async def run(self, endpoint: str, asked: Asked) -> str:
        """Return what was done; the workflow fails where people do not approve it."""
        approvals = workflow.create_nexus_client(service=ApprovalService, endpoint=endpoint)
        await approvals.execute_operation(ApprovalService.approve, asked, schedule_to_close_timeout=timedelta(days=60))
        return await carry_out(asked)
