"""When a request begins: by a moment that history holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from temporalio import workflow

from placet.directory import NEVER
from placet.engine.events import Opening
from placet.engine.machine import STARTED_LATE


def beginning(opening: Opening) -> datetime:
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
