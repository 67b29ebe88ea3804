"""Local activities: what a run asks of the worker it is on, and never gives up asking.

A local activity that gives up raises, and what a handler of a signal raises ends the whole request. So there is one way
to run one: it waits for a free slot, and tries again until whatever it needs (the database, mostly) is back.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

LOCAL_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_interval=timedelta(seconds=10))
LOCAL_TIMEOUT = timedelta(seconds=30)  # of one attempt; there is no bound on all of them, or on waiting for a slot


async def local(activity: Any, given: Any, result_type: type[Any] | None = None, *, summary: str | None = None) -> Any:
    """Run a local activity until it succeeds, and return its result."""
    return await workflow.execute_local_activity(
        activity,
        given,
        result_type=result_type,
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=LOCAL_RETRIES,
        summary=summary,
    )
