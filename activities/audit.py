"""The activities that write what happened, many at once in one transaction, and tell how far that went."""

from __future__ import annotations

from temporalio import activity

from activities.arrivals import Arrivals
from placet.engine.recording import Recording
from storage.database import Database
from storage.recording.group_commit import GroupCommit
from storage.recording.record import stored_seq, write_all


class Recorder:
    """Record for a worker. What comes in while a transaction is being committed goes into the next one together."""

    def __init__(self, database: Database, arrivals: Arrivals | None = None) -> None:
        """Write to this database, and tell `arrivals` what is there."""
        self._arrivals = arrivals or Arrivals()
        self._arrivals.told = True
        self._commits = GroupCommit(database, write_all, key=lambda recording: recording.request_id)

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        """Write one recording and return once it is committed.

        Raises Conflict where it does not fit what is stored and Unavailable where the database is away; both may be
        tried again.
        """
        await self._commits.submit(recording)
        self._arrivals.tell(recording.request_id)


class RecordedSoFar:
    """Tell for a worker how far the store is, which may be ahead of history by a workflow task that was given up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="stored_seq")
    async def stored_seq(self, request_id: str) -> int:
        """Return the last entry's seq in the store, 0 where there is none; raises Unavailable."""
        return await self._database.read(stored_seq, request_id)
