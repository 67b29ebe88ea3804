"""Spans of the SDK, with one change: what an update does hangs below the call that sent it.

The SDK's interceptor hangs everything in a workflow below the call that started it, perhaps days ago, and only links
the update. Somebody who looks for a slow decision wants one trace from their HTTP call to the record.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context
from opentelemetry.propagate import extract
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.converter import PayloadConverter
from temporalio.worker import HandleUpdateInput, WorkflowInboundInterceptor, WorkflowInterceptorClassInput

_HEADER = "_tracer-data"  # TracingInterceptor.header_key


class Tracing(TracingInterceptor):
    """Trace client, workflows and activities; made with a tracer, for the client that workers use too."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[_Inbound]:  # noqa: A002
        """Return the interceptor of workflows, with the SDK's way to make spans outside the sandbox."""
        super().workflow_interceptor_class(input)
        return _Inbound


class _InUpdate(WorkflowInboundInterceptor):
    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        sent = input.headers.get(_HEADER)
        if sent is not None:
            carrier = PayloadConverter.default.from_payloads([sent])[0]
            # Every update runs in a task of its own, so this context ends with it and needs no detaching.
            context.attach(extract(carrier, context=context.get_current()))
        return await super().handle_update_handler(input)


class _Inbound(TracingWorkflowInboundInterceptor):
    def __init__(self, next: WorkflowInboundInterceptor) -> None:  # noqa: A002
        super().__init__(_InUpdate(next))
