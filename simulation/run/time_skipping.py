"""Virtual time on the engine: the only module that knows the SDK's experimental time skipping.

Every rehearsed workflow has a clock of its own. It stands still (as the world's clock goes) until it is taken forward.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper, TimeSkippingConfig

MOST_SKIPS = 100_000  # in one session; the server's own default of 200 ends it without a word
# What a server says that does not know time skipping, or has it switched off.
_LACKING = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.PERMISSION_DENIED)
_WORDS = ("time skipping", "time-skipping", "timeskipping", "unimplemented", "unknown")


class VirtualTime:
    """Start workflows with a clock of their own, and take them to moments."""

    def __init__(self, client: Client) -> None:
        # A child begins at its parent's moment and is then taken forward by itself, as every workflow is.
        config = TimeSkippingConfig(enabled=False, disable_propagation=True, max_session_skip_count=MOST_SKIPS)
        self._skipper = TimeSkipper(client, config=config)

    @property
    def client(self) -> Client:
        """The client whose workflows have clocks of their own."""
        return self._skipper.client

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        """Return the workflow's own time."""
        return await self._skipper.get_current_time(handle)

    async def forward(self, handle: WorkflowHandle[Any, Any], span: timedelta) -> bool:
        """Take the workflow forward by this much; returns False where it ended on the way."""
        return await self._skipper.fast_forward(handle, span)


def lacks_time_skipping(error: RPCError) -> bool:
    """Whether an error of the server means that it cannot skip time."""
    text = str(error).lower()
    return error.status in _LACKING and any(word in text for word in _WORDS)
