"""How a run begins, by a time that history holds, and what it waits for before it is cancelled.

On cancellation (docs/decisions/0017): the engine refuses a workflow task that ends the run when a cancellation arrives
at the same time, although what the task recorded is stored. Signals and timers are delivered again together with the
cancellation. An update is lost, and the API sends it again. So a cancelled run waits until its history has caught up
with the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow

from placet.directory import NEVER
from placet.engine.events import Opening
from placet.engine.machine import STARTED_LATE
from placet.engine.state import State
from workflows.local_activities import local

LOST_EVENT_WAIT = timedelta(seconds=10)  # longer than the API repeats an update that was cut off (8 s)


def begin_time(opening: Opening) -> datetime:
    """Return when the run began, by its first event.

    The SDK's `start_time` is that of the first task. Where that was split (by a query, or a slow database) a replay
    knows its last part only, and would compute other entries than are stored. Requests from before there were secrets
    began by it, and their entries have its time.
    """
    info = workflow.info()
    return info.workflow_start_time if opening.secret else info.start_time


def as_taken(opening: Opening) -> Opening:
    """Return the opening as a run takes it: where its first task had to wait long, the directory is read again."""
    info = workflow.info()
    if opening.secret and info.start_time - info.workflow_start_time > STARTED_LATE:
        return replace(opening, directory_at=NEVER)
    return opening


async def wait_for_store(state: Callable[[], State]) -> None:
    """Wait until history holds what the store does or the request has ended, but not for ever."""
    stored: int = await local("stored_seq", state().request_id, int, summary="how far the store is")
    try:
        await workflow.wait_condition(
            lambda: state().status != "pending" or state().seq >= stored, timeout=LOST_EVENT_WAIT
        )
    except TimeoutError:
        workflow.logger.warning("what was recorded up to entry %d did not happen again", stored)
