"""The SDK's spans with two changes: updates belong to their caller's trace, and invalid headers are removed.

The SDK's interceptor assigns all spans of a workflow to the trace of the call that started it, perhaps days ago, and
only links an update. To find a slow decision, one needs one trace from the HTTP call to the recording.

The SDK also trusts the header with the trace, whoever sent it, and an invalid header would fail the workflow task
again and again. So an invalid header is removed first.
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
    """Traces client, workflows and activities, with a given tracer."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[_TracedInbound]:  # noqa: A002
        """Return the interceptor of workflows, with the SDK's way to make spans outside the sandbox."""
        super().workflow_interceptor_class(input)
        return _TracedInbound


class _UpdateContext(WorkflowInboundInterceptor):
    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        carrier = _carrier(input.headers)
        if carrier is not None:
            # Every update runs in its own task, so this context ends with it and need not be detached.
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
    """Return the trace of the headers, or None without a valid one."""
    sent = headers.get(_HEADER)
    if sent is None:
        return None
    try:
        carrier: Any = PayloadConverter.default.from_payloads([sent])[0]
    except Exception:  # a foreign payload may make a converter raise anything
        return None
    texts = isinstance(carrier, dict) and all(isinstance(part, str) for pair in carrier.items() for part in pair)
    return carrier if texts else None


def _sound(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    if _HEADER not in headers or _carrier(headers) is not None:
        return headers
    return {name: payload for name, payload in headers.items() if name != _HEADER}
