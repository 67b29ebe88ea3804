"""Virtual time on the engine: the only module that uses the SDK's experimental time skipping.

Every rehearsed workflow has a clock of its own. It stands still until it is taken forward.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper, TimeSkippingConfig

MOST_SKIPS = 100_000  # in one session; after its default of 200 the server stops skipping without an error
# The errors of a server that does not support time skipping, or has it switched off.
_LACKING = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.PERMISSION_DENIED)
_WORDS = ("time skipping", "time-skipping", "timeskipping", "unimplemented", "unknown")


class VirtualTime:
    """Start workflows with a clock of their own, and take them forward."""

    def __init__(self, client: Client) -> None:
        # A child starts at its parent's time and is then taken forward separately, like every workflow.
        config = TimeSkippingConfig(enabled=False, disable_propagation=True, max_session_skip_count=MOST_SKIPS)
        self._skipper = TimeSkipper(client, config=config)

    @property
    def client(self) -> Client:
        """The client that starts workflows with clocks of their own."""
        return self._skipper.client

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        """Return the virtual time of a workflow."""
        return await self._skipper.get_current_time(handle)

    async def forward(self, handle: WorkflowHandle[Any, Any], span: timedelta) -> bool:
        """Take a workflow forward by a time span; returns False where it ended within it."""
        return await self._skipper.fast_forward(handle, span)


def lacks_time_skipping(error: RPCError) -> bool:
    """Whether an error of the server means that it does not support time skipping."""
    text = str(error).lower()
    return error.status in _LACKING and any(word in text for word in _WORDS)
