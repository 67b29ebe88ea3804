"""What comes before a cancellation: what has been readable happens again (docs/decisions/0013).

The engine refuses a workflow task that ends the run when a cancellation came meanwhile, though what it recorded is
stored. Signals and timers come again together with the cancellation. An update has been dropped, and comes again when
the API offers it anew, so only a store that is ahead of history is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

from placet.engine.state import State
from workflows.local import local

LOST_EVENT_WAIT = timedelta(seconds=10)  # longer than the API offers again what was cut off (8 s)


async def settle(state: Callable[[], State]) -> None:
    """Wait until history holds what the store does or the request has ended, but not for ever."""
    stored: int = await local("stored_seq", state().request_id, int, summary="how far the store is")
    try:
        await workflow.wait_condition(
            lambda: state().status != "pending" or state().seq >= stored, timeout=LOST_EVENT_WAIT
        )
    except TimeoutError:
        workflow.logger.warning("what was recorded up to entry %d did not happen again", stored)
