"""The activities that write what happened, many at once in one transaction, and tell how far that went."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from temporalio import activity

from placet.engine.recording import Recording
from storage.database import Database
from storage.recording.group_commit import GroupCommit
from storage.recording.record import stored_seq, write_all


class Recorder:
    """Record for a worker. What comes in while a transaction is being committed goes into the next one together."""

    def __init__(self, database: Database, recording_events: RecordingEvents | None = None) -> None:
        """Write to this database, and tell `arrivals` what is there."""
        self._events = recording_events or RecordingEvents()
        self._events.has_publisher = True
        self._commits = GroupCommit(database, write_all, key=lambda recording: recording.request_id)

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        """Write one recording and return once it is committed.

        Raises Conflict where it does not fit what is stored and Unavailable where the database is away; both may be
        tried again.
        """
        await self._commits.submit(recording)
        self._events.publish(recording.request_id)


class StoredSequence:
    """Tell for a worker how far the store is, which may be ahead of history by a workflow task that was given up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="stored_seq")
    async def stored_seq(self, request_id: str) -> int:
        """Return the last entry's seq in the store, 0 where there is none; raises Unavailable."""
        return await self._database.read(stored_seq, request_id)


class RecordingEvents:
    """Pass on which requests were recorded, within one event loop.

    It saves looking: a request may as well be recorded by a worker elsewhere, which tells nobody here.
    """

    def __init__(self) -> None:
        self.has_publisher = False
        """Whether a recorder of this process tells here."""
        self._waiting: dict[str, list[asyncio.Event]] = {}

    @contextmanager
    def subscribe(self, request_id: str) -> Iterator[asyncio.Event]:
        """Give what is set once the request is recorded; begin before anybody can record it."""
        arrived = asyncio.Event()
        self._waiting.setdefault(request_id, []).append(arrived)
        try:
            yield arrived
        finally:
            waiting = self._waiting[request_id]
            waiting.remove(arrived)
            if not waiting:
                del self._waiting[request_id]

    def publish(self, request_id: str) -> None:
        """Say that something about the request was recorded."""
        for arrived in self._waiting.get(request_id, ()):
            arrived.set()


@activity.defn(name="moment")
async def time_marker(now: datetime) -> datetime:
    """Answer with the time that was given: the marker that it leaves in history is what it is for."""
    return now
