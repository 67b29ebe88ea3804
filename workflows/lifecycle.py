"""How a run begins, the times that history holds, and what a run waits for before it is cancelled.

On cancellation (docs/decisions/0017): the engine refuses a workflow task that ends the run when a cancellation arrives
at the same time, although what the task recorded is stored. Signals and timers are delivered again together with the
cancellation. An update is lost, and the API sends it again. So a cancelled run waits until its history has caught up
with the store.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from activities.messages import DueMoment
from placet.directory import NEVER
from placet.engine.events import Opening
from placet.engine.machine import STARTED_LATE
from placet.engine.state import State
from placet.plan.plan import Plan
from workflows.local_activities import local

LOST_EVENT_WAIT = timedelta(seconds=10)  # longer than the API repeats an update that was cut off (8 s)


def begin_time(opening: Opening) -> datetime:
    """Return when the run began, by its first event.

    The SDK's `start_time` is that of the first workflow task. Where that task was split (by a query or a slow
    database), a replay sees only its last part and would compute other entries than the stored ones. Requests without
    a secret (older ones) use `start_time`, and so do their entries.
    """
    info = workflow.info()
    return info.workflow_start_time if opening.secret else info.start_time


def lacks_loads(plan: Plan, before: Plan) -> bool:
    """Tell whether a plan compares loads, which were not read for the one before it."""
    unread = plan.compares_loads and not before.compares_loads
    return unread and workflow.patched("loads-where-compared")  # a directory had them always, until then


def as_taken(opening: Opening, *, marks_late: bool) -> Opening:
    """Return the opening for this run. If the first workflow task came late, the directory is read again.

    A replay may take the first task for late that was not (see `begin_time`), so a marker says that it was;
    `marks_late` is False for runs that began before there was one.
    """
    info = workflow.info()
    late = opening.secret and info.start_time - info.workflow_start_time > STARTED_LATE
    if late and (not marks_late or workflow.patched("begin-late")):
        return replace(opening, directory_at=NEVER)
    return opening


async def how_far_stored(state: State) -> int:
    """Return the seq of the last stored entry. In its turn, one that is beyond history's is of a lost workflow task."""
    stored: int = await local("stored_seq", state.request_id, int, summary="how far the store is")
    return stored


async def wait_for_store(state: Callable[[], State], turn: AbstractAsyncContextManager[Any]) -> None:
    """Wait until history has caught up with the store or the request has ended, but at most LOST_EVENT_WAIT.

    The store is asked in its `turn`: the result of a local activity beside it may come in the same activation, and in
    a replay in another one.
    """
    async with turn:
        stored = await how_far_stored(state())
    try:
        await workflow.wait_condition(lambda: not state().runs or state().seq >= stored, timeout=LOST_EVENT_WAIT)
    except TimeoutError:
        workflow.logger.warning("entries up to %d are stored, but their events were not repeated", stored)


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
