"""What the reader has just decided and may still undo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from placet.errors import PlacetError
from service.principal import Principal
from service.visibility import see_task
from storage.queries.requests import requests
from storage.queries.requests.requests import TaskRow
from web.languages import Wording
from web.views import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoable:
    """A decision of the reader's that does not stand yet, in words; `seconds` are left as the page is made."""

    task_id: str
    said: str
    clock: str
    seconds: float


def undoable_of(task: TaskRow, title: str, principal: Principal, wording: Wording) -> Undoable | None:
    """Return the decision on a task, if it is the reader's and may still be undone."""
    if not may_undo(task, principal, wording.now) or task.undo_until is None:
        return None
    return Undoable(
        task_id=task.id,
        said=wording.say(words.YOU[task.decision or "approve"]).format(title=title),
        clock=wording.clock(task.undo_until),
        seconds=round((task.undo_until - wording.now).total_seconds(), 1),
    )


def may_undo(task: TaskRow, principal: Principal, now: datetime) -> bool:
    """Say whether the reader decided a task and may still undo that; the core asks again."""
    return task.decided_by == principal.person and task.undo_until is not None and now < task.undo_until


def read_undoable(connection: Connection, principal: Principal, task_id: str, wording: Wording) -> Undoable | None:
    """Read what a notice offers to undo; None for a task that the reader does not see."""
    try:
        task = see_task(connection, principal, task_id[:200].replace("\0", ""), wording.now)
    except PlacetError:
        return None
    title = requests.read(connection, task.request_id).request.title
    return undoable_of(task, title, principal, wording)
