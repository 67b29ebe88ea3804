"""A local activity of a workflow task that has failed tells nothing to the task that is given out again.

Both have the same run and number. A model of the engine and the fence of recordings rely on the SDK to keep them apart:
until its release 1.35 what the first one returned, or that it was waiting to be repeated, counted for the second.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import ClassVar

import pytest
from temporalio import activity, workflow
from temporalio.client import Client

from tests.waiting import PATIENCE, until
from workflows.local_activities import local
from workflows.registration import approval_worker


@workflow.defn
class _FailsOnce:
    """A signal makes its workflow task fail, and not once more, while a local activity is under way."""

    failed: ClassVar[set[str]] = set()

    @workflow.run
    async def run(self) -> int:
        """Return which call of the local activity was answered."""
        number: int = await local("work", None, int)
        return number

    @workflow.signal
    def fail(self) -> None:
        """Fail as a bug does."""
        if workflow.info().run_id not in self.failed:
            self.failed.add(workflow.info().run_id)
            raise RuntimeError("on purpose")


class _Work:
    """Its first call lasts until the second has begun, whoever cancels it, or fails until the task has failed."""

    def __init__(self, *, lingers: bool) -> None:
        self.calls = 0
        self.began = asyncio.Event()
        self.task_has_failed = asyncio.Event()
        self._lingers = lingers
        self._second = asyncio.Event()

    @activity.defn(name="work")
    async def work(self, _: None) -> int:
        """Return the number of this call."""
        self.calls += 1
        self.began.set()
        number = self.calls
        if not self._lingers:
            if not self.task_has_failed.is_set():
                raise RuntimeError("not available")
        elif number == 1:
            while not self._second.is_set():
                try:
                    await self._second.wait()
                except asyncio.CancelledError:
                    continue  # as one whose transaction is under way
        else:
            self._second.set()
            await asyncio.sleep(0)  # the first one answers first
        return number


@pytest.mark.parametrize("lingers", [True, False])
async def test_the_task_that_is_given_out_again_has_the_answer_of_its_own_local_activity(
    client: Client, *, lingers: bool
) -> None:
    work = _Work(lingers=lingers)
    queue = f"given-up-{uuid.uuid4().hex}"
    async with approval_worker(client, task_queue=queue, workflows=[_FailsOnce], activities=[work.work]):
        handle = await client.start_workflow(
            _FailsOnce.run, id=queue, task_queue=queue, task_timeout=timedelta(seconds=2)
        )

        async def task_has_failed() -> bool:
            return handle.first_execution_run_id in _FailsOnce.failed

        try:
            await work.began.wait()
            await handle.signal(_FailsOnce.fail)
            await until(task_has_failed, what="the failure of the workflow task")
            before = 1 if lingers else work.calls  # the second call may have begun already
            work.task_has_failed.set()
            assert await asyncio.wait_for(handle.result(), PATIENCE) > before
        finally:
            if (await handle.describe()).close_time is None:
                await handle.terminate()
