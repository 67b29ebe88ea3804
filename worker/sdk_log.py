"""What the Temporal SDK's core has to say, in this process' own log.

By itself it writes to standard output, past the log. That is where commands write their one JSON document. And a pipe
that nobody reads is full after some hundred lines: the thread that wrote the next one waited for ever, and with it all
workflow tasks of the worker.
"""

from __future__ import annotations

import logging
from functools import cache

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig

NAME = "temporalio.core"
FORWARDED = LoggingConfig(
    filter=LoggingConfig.default.filter,
    forwarding=LogForwardingConfig(
        logger=logging.getLogger(NAME), append_target_to_name=False, prepend_target_on_message=False
    ),
)
"""Warnings of the core and errors of its libraries, as the SDK has it without being told."""


@cache
def plain_runtime() -> Runtime:
    """Return the runtime of a process that shows no metrics."""
    return Runtime(telemetry=TelemetryConfig(logging=FORWARDED))
