"""The floor for deadlines: a workflow that sleeps until a moment and then runs one activity; nothing is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio import activity, workflow

TASK_QUEUE = "bare-timer"


@activity.defn
async def late_by(due: str) -> float:
    """Return how many seconds after the moment this runs."""
    return (datetime.now(UTC) - datetime.fromisoformat(due)).total_seconds()


@workflow.defn
class BareTimer:
    """Wait for a moment, and act."""

    @workflow.run
    async def run(self, moment: str) -> tuple[str, float]:
        """Sleep until the moment, run the activity, and return the moment and the seconds of lateness."""
        await workflow.sleep(datetime.fromisoformat(moment) - workflow.now())
        late = await workflow.execute_activity(late_by, moment, start_to_close_timeout=timedelta(seconds=30))
        return moment, late

    @workflow.query
    def waits(self) -> None:
        """Answer, once the first task of the workflow is done."""


async def main() -> None:
    """Run a worker for the floor, set up as Placet's own is."""
    from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

    from worker.connect import EngineSettings, connect

    client = await connect(EngineSettings.read())
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[BareTimer],
        activities=[late_by],
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(5),
        max_cached_workflows=2000,
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
