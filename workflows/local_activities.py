"""Local activities: the one way to run them, with retries that never end.

A local activity that gives up raises an error, and an error in the handler of a signal ends the whole request. So
`local` waits for a free slot, and retries until what the activity needs (mostly the database) is available.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

LOCAL_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_interval=timedelta(seconds=10))
LOCAL_TIMEOUT = timedelta(seconds=30)  # of one attempt; the number of attempts and the wait for a slot are unbounded


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
