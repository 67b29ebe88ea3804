"""The activities around the audit chain: write recordings, read how far the store is, and mark the time in history."""

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
    """Write recordings for a worker. Those that arrive during a commit share the next transaction."""

    def __init__(self, database: Database, recording_events: RecordingEvents | None = None) -> None:
        """Write to this database, and publish each recording to `recording_events`."""
        self._events = recording_events or RecordingEvents()
        self._events.has_publisher = True
        self._commits = GroupCommit(database, write_all, key=lambda recording: recording.request_id)

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        """Write one recording and return once it is committed.

        Raises Conflict where it does not fit what is stored, and Unavailable without a database. Both may be retried.
        """
        await self._commits.submit(recording)
        self._events.publish(recording.request_id)


class StoredSequence:
    """Read how far the store is. It may be ahead of history by a workflow task that was lost."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="stored_seq")
    async def stored_seq(self, request_id: str) -> int:
        """Return the seq of the last stored entry, or 0 without entries; raises Unavailable."""
        return await self._database.read(stored_seq, request_id)


class RecordingEvents:
    """Publish which requests were recorded, within one event loop.

    Subscribers need not poll the database. A worker in another process publishes nothing here, so they poll slowly too.
    """

    def __init__(self) -> None:
        self.has_publisher = False
        """Whether a recorder of this process publishes here."""
        self._waiting: dict[str, list[asyncio.Event]] = {}

    @contextmanager
    def subscribe(self, request_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set once the request is recorded. Subscribe before the request is started."""
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
        """Wake the subscribers of a request: something about it was recorded."""
        for arrived in self._waiting.get(request_id, ()):
            arrived.set()


@activity.defn(name="moment")
async def time_marker(now: datetime) -> datetime:
    """Return the given time. Its purpose is the marker in history, which has the same value in every replay."""
    return now
