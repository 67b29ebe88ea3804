"""Spans of the SDK, with one change: what an update does hangs below the call that sent it.

The SDK's interceptor hangs everything in a workflow below the call that started it, perhaps days ago, and only links
the update. Somebody who looks for a slow decision wants one trace from their HTTP call to the record.

It also takes the header that carries a trace for what it should be, whoever sent it, and where it is something else it
fails the workflow's task, again and again. So a header that is no such thing is taken away before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import context
from opentelemetry.propagate import extract
from temporalio.api.common.v1 import Payload
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

_HEADER = "_tracer-data"  # TracingInterceptor.header_key


class Tracing(TracingInterceptor):
    """Trace client, workflows and activities; made with a tracer, for the client that workers use too."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[_TracedInbound]:  # noqa: A002
        """Return the interceptor of workflows, with the SDK's way to make spans outside the sandbox."""
        super().workflow_interceptor_class(input)
        return _TracedInbound


class _UpdateContext(WorkflowInboundInterceptor):
    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        carrier = _carrier(input.headers)
        if carrier is not None:
            # Every update runs in a task of its own, so this context ends with it and needs no detaching.
            context.attach(extract(carrier, context=context.get_current()))
        return await super().handle_update_handler(input)


class _TracedInbound(TracingWorkflowInboundInterceptor):
    def __init__(self, next: WorkflowInboundInterceptor) -> None:  # noqa: A002
        super().__init__(_UpdateContext(next))

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        input.headers = _sound(input.headers)
        await super().handle_signal(input)

    async def handle_query(self, input: HandleQueryInput) -> Any:  # noqa: A002
        input.headers = _sound(input.headers)
        return await super().handle_query(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
        input.headers = _sound(input.headers)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        input.headers = _sound(input.headers)
        return await super().handle_update_handler(input)


def _carrier(headers: Mapping[str, Payload]) -> dict[str, str] | None:
    """Return the trace that headers carry, None where they carry none or something else."""
    sent = headers.get(_HEADER)
    if sent is None:
        return None
    try:
        carrier: Any = PayloadConverter.default.from_payloads([sent])[0]
    except Exception:  # whatever a stranger's payload makes a converter raise
        return None
    texts = isinstance(carrier, dict) and all(isinstance(part, str) for pair in carrier.items() for part in pair)
    return carrier if texts else None


def _sound(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    if _HEADER not in headers or _carrier(headers) is not None:
        return headers
    return {name: payload for name, payload in headers.items() if name != _HEADER}
