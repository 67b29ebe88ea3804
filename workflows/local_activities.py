"""Local activities: the one way to run them, with retries that never end.

A local activity that gives up raises an error, and an error in the handler of a signal ends the whole request. So
`local` waits for a free slot, and retries until what the activity needs (mostly the database) is available.

For half a minute or more the retries belong to one workflow task, whose worker tells the engine every eight seconds
that it goes on. Each time that adds three events to the history, of which the engine allows 51,200: a database that is
away for two days would end every request that has something to record. So after that a timer is set, and the next
retries belong to the workflow task that it brings. Until then the worker is free, and queries are answered.

The timer serves another purpose where a recording is refused since another workflow task has recorded. A worker does
not know when a task began that brings nothing new, and may not know whether it still has it. A lost task ends with the
timer, for the engine does not accept its completion. So once the timer has fired, history holds whatever was computed
before it was set, and the recording says so.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

# In one workflow task. A limit of time would not do: the SDK's core forgets it between two attempts.
LOCAL_RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=50), maximum_interval=timedelta(seconds=10), maximum_attempts=10
)
LOCAL_TIMEOUT = timedelta(seconds=30)  # of one attempt; the wait for a slot is unbounded
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)  # until a later workflow task tries again
# The same where nothing is away: the activity has said, by an error that is not retried, that it takes a later task.
FIRST_PAUSE_OF_REFUSED = timedelta(milliseconds=100)


async def local(
    activity: Any,
    given: Any,
    result_type: type[Any] | None = None,
    *,
    summary: str | None = None,
    in_history: Any = None,
) -> Any:
    """Run a local activity until it succeeds, and return its result; only a cancellation ends it otherwise.

    `in_history` is given in place of `given` once history holds the workflow task that this was called in.
    """
    pause: timedelta | None = None
    while True:
        try:
            return await workflow.execute_local_activity(
                activity,
                given,
                result_type=result_type,
                start_to_close_timeout=LOCAL_TIMEOUT,
                retry_policy=LOCAL_RETRIES,
                summary=summary,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            pause = min(2 * pause, LONGEST_PAUSE) if pause else _first_pause(error)
        await workflow.sleep(pause)
        given = given if in_history is None else in_history


def _first_pause(error: FailureError) -> timedelta:
    refused = isinstance(error, ApplicationError) and error.non_retryable
    return FIRST_PAUSE_OF_REFUSED if refused else FIRST_PAUSE
