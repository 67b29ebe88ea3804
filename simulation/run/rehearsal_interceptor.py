"""The rehearsal interceptor: starts actions and sub-processes so that the virtual time of a request can advance.

The engine skips no time in a workflow while an activity runs or a child workflow is open. So the time of an action
passes between two attempts (simulation.run.recorders). A sub-process is started by a child workflow that ends at once:
the sub-process starts at its parent's virtual time, with a clock of its own, and its parent's time goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    StartChildWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from placet.engine import machine
from workflows import display
from workflows.interface import Start

# Attempts before the action's time has passed say how long it still takes; the last one returns its output.
_UNTIL_IT_ANSWERS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=0)
# The real time that an attempt may take: it waits for what is due (simulation.run.recorders).
_ATTEMPT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubProcessStart:
    """A sub-process to start: its request id and its input."""

    request_id: str
    start: Start


@workflow.defn(name="BeginSubProcess")
class BeginSubProcess:
    """Start a sub-process that runs independently."""

    @workflow.run
    async def run(self, begin: SubProcessStart) -> None:
        """Return as soon as it has started."""
        start = begin.start
        state = machine.opening_state(start.plan, start.opening, workflow.now())
        await workflow.start_child_workflow(
            "ApprovalWorkflow",
            start,
            id=begin.request_id,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=display.opening_attributes(start.plan, state),
            static_summary=display.summary(start.plan),
        )


class RehearsalInterceptor(Interceptor):
    """Change how workflows start actions and sub-processes, so that their time can be skipped."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002 - the SDK's names
        """Return the interceptor of each workflow."""
        return _RehearsalInbound


class _RehearsalInbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_RehearsalOutbound(outbound))


class _RehearsalOutbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
        if input.activity == "run_action":
            input = replace(  # noqa: A001 - the SDK's name
                input, retry_policy=_UNTIL_IT_ANSWERS, start_to_close_timeout=_ATTEMPT, heartbeat_timeout=None
            )
        return super().start_activity(input)

    async def start_child_workflow(
        self,
        input: StartChildWorkflowInput,  # noqa: A002 - the SDK's name
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        if input.workflow != "ApprovalWorkflow" or workflow.info().workflow_type == "BeginSubProcess":
            return await super().start_child_workflow(input)
        handle = await super().start_child_workflow(
            replace(
                input,
                workflow="BeginSubProcess",
                args=[SubProcessStart(request_id=input.id, start=replace(input.args[0], timer_lead=0.0))],
                id=f"{input.id}:begin",
                search_attributes=None,
            )
        )
        await handle
        return handle
