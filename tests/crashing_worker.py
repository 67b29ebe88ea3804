"""A worker that dies (or kills the engine) once an entry of a kind is stored, before the engine can know of it."""

from __future__ import annotations

import asyncio
import os
import signal

from temporalio import activity

from activities.audit import Recorder
from cli import bootstrap
from placet.engine.recording import Recording
from worker.settings import read_settings
from workflows.registration import approval_worker, beside_recording


class CrashingRecorder:
    """Record as the worker does, and then let the crash happen."""

    def __init__(self, recorder: Recorder, *, kind: str, victim: int) -> None:
        self._recorder = recorder
        self._kind = kind
        self._crashed = False
        self._victim = victim

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        """Commit, and crash when it is time."""
        await self._recorder.record(recording)
        # What history lost before is recorded again: only the entry that is waited for tells that it is time.
        if not self._crashed and any(entry.kind == self._kind for entry in recording.entries):
            self._crashed = True
            if self._victim:
                os.killpg(self._victim, signal.SIGKILL)
                return
            os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    """Run until the crash."""
    settings = read_settings()
    async with bootstrap.open_database(settings) as database:
        client = await bootstrap.connect_client(bootstrap.engine_settings(settings))
        recorder = CrashingRecorder(
            Recorder(database),
            kind=os.environ["CRASH_ON_KIND"],
            victim=int(os.environ["CRASH_VICTIM"]),
        )
        activities = [recorder.record, *beside_recording(client, database, settings.secret())]
        async with approval_worker(client, task_queue=settings.task_queue, activities=activities):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
