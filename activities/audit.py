"""The activities around the audit chain: write recordings, read how far the store is, and mark the time in history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.workflow_tasks import WorkflowTask, task_of_activity
from placet.engine.recording import Recording
from storage.database import Database
from storage.recording.group_commit import GroupCommit
from storage.recording.new_part import Overtaken
from storage.recording.record import stored_seq, write_all


class Recorder:
    """Write recordings for a worker. Those that arrive during a commit share the next transaction."""

    def __init__(self, database: Database, task: Callable[[], WorkflowTask | None] = task_of_activity) -> None:
        self._commits = GroupCommit(database, write_all, key=lambda recording: recording.request_id)
        self._task = task

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> bool:
        """Write one recording; once it is committed, return whether the engine suggests a new run.

        Raises Conflict where it does not fit what is stored, and Unavailable without a database; both may be retried.
        Raises ApplicationError, which is not retried, where the workflow task is lost (Overtaken).
        """
        try:
            return await self._write(recording)
        except Overtaken as error:
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError(
                error.message, type=Overtaken.__name__, non_retryable=True, category=benign
            ) from error

    async def _write(self, recording: Recording) -> bool:
        task = self._task()
        if task is None:
            # The engine has given it to another one. When this one began is not known, so nothing else would refuse it.
            request_id = recording.request_id
            raise Overtaken(f"A recording of {request_id} is of a workflow task that its worker has given up")
        await self._commits.submit(replace(recording, task_began=task.began))
        return task.suggests_new_run


class StoredSequence:
    """Read how far the store is. It may be ahead of history by a workflow task that was lost."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="stored_seq")
    async def stored_seq(self, request_id: str) -> int:
        """Return the seq of the last stored entry, or 0 without entries; raises Unavailable."""
        return await self._database.read(stored_seq, request_id)


@activity.defn(name="moment")
async def time_marker(now: datetime) -> datetime:
    """Return the given time. Its purpose is the marker in history, which has the same value in every replay."""
    return now
