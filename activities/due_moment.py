"""The wait for a moment that a timer woke a workflow for a little ahead of.

From when a timer fires until a worker has the workflow task, tens of milliseconds go by on a quiet machine, and more in
a burst. So the timer fires earlier (`workflows.interface.TIMER_LEAD`), and the local activity that reads the directory
or marks the time lets the rest pass.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.messages import DueMoment

LONGEST_WAIT = timedelta(seconds=1)  # far less than a workflow task may take


@activity.defn(name="due_moment")
async def due_moment(question: DueMoment) -> datetime:
    """Return the moment once it has come; its marker in history has the same value in every replay."""
    return await wait_until(question)


async def wait_until(question: DueMoment) -> datetime:
    """Wait for the moment and return it, or return the time of the question where the moment is past or further away.

    The time of the question is the engine's, which may have a virtual clock. This process's clock only shortens the
    wait, by the time that went by since the question, and only where the two agree to `LONGEST_WAIT`: a clock that is
    ahead by an hour would let what is due happen, and be on record, before its moment.
    """
    left = question.due - question.at
    if left > LONGEST_WAIT:
        return question.at
    went_by = datetime.now(UTC) - question.at
    if timedelta(0) < went_by < LONGEST_WAIT:
        left -= went_by
    if left > timedelta(0):
        await asyncio.sleep(left.total_seconds())
    return max(question.at, question.due)
