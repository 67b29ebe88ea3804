"""The floor: a workflow that starts, waits with a timer, takes one update and completes; nothing is recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow

TASK_QUEUE = "bare"


@workflow.defn
class Bare:
    """Wait for one decision."""

    @workflow.init
    def __init__(self, request: dict[str, str]) -> None:
        self._request = request
        self._decision: str | None = None

    @workflow.run
    async def run(self, request: dict[str, str]) -> str:
        """Wait, with a timer as an approval has one."""
        await workflow.wait_condition(lambda: self._decision is not None, timeout=timedelta(hours=1))
        return self._decision or ""

    @workflow.update
    async def decide(self, decision: str) -> str:
        """Take the decision."""
        self._decision = decision
        return decision


async def main() -> None:
    """Run a worker for the floor, set up as Placet's own is."""
    from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

    from worker.connect import EngineSettings, connect

    client = await connect(EngineSettings.read())
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Bare],
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(5),
        max_cached_workflows=2000,
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
