"""Local activities: the one way to run them, with retries that never end.

A local activity that gives up raises an error, and an error in the handler of a signal ends the whole request. So
`local` waits for a free slot, and retries until what the activity needs (mostly the database) is available.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.messages import DueMoment

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


async def moment() -> datetime:
    """Return a time that history holds.

    `workflow.now()` is not such a time while local activities run. A workflow task that is split then (by a query
    or a slow database) is one task in a replay, with the later time, and the result of a local activity just before
    the split comes in the next task, but in a replay in the same. The start, the arrival of an accepted update, and
    the results of local activities are the same in every replay.
    """
    at: datetime | None = await local("moment", workflow.now(), datetime)
    return at or workflow.now()  # markers of earlier histories hold no time


async def due_moment(due: datetime) -> datetime:
    """Let the rest of a timer's lead pass, and return the time after it, which history holds."""
    at: datetime = await local("due_moment", DueMoment(at=workflow.now(), due=due), datetime)
    return at
