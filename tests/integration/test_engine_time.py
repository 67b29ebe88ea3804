"""Virtual time: every workflow has a clock of its own on the real server."""

import uuid
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

DAY = timedelta(days=1)


@workflow.defn
class Reminding:
    """Remind daily until someone decides, for 250 days at most."""

    @workflow.init
    def __init__(self) -> None:
        self.begun = workflow.now()
        self.reminded: list[int] = []
        self.decided: int | None = None

    @workflow.run
    async def run(self) -> tuple[list[int], int | None]:
        while self.decided is None and len(self.reminded) < 250:
            try:
                await workflow.wait_condition(lambda: self.decided is not None, timeout=DAY)
            except TimeoutError:
                self.reminded.append((workflow.now() - self.begun).days)
        return self.reminded, self.decided

    @workflow.update
    async def decide(self) -> int:
        self.decided = (workflow.now() - self.begun) // timedelta(hours=1)
        return self.decided


async def test_a_workflow_can_be_taken_to_a_moment_and_decided_there(client: Client) -> None:
    name = f"time-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[Reminding], workflow_runner=UnsandboxedWorkflowRunner()):
        standing = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
        handle = await standing.client.start_workflow(Reminding.run, id=name, task_queue=name)
        assert await standing.fast_forward(handle, timedelta(hours=51, minutes=30))
        assert await handle.execute_update(Reminding.decide) == 51
        reminded, decided = await handle.result()
        assert (reminded, decided) == ([1, 2], 51)


async def test_more_than_two_hundred_skips_are_a_matter_of_asking(client: Client) -> None:
    name = f"time-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[Reminding], workflow_runner=UnsandboxedWorkflowRunner()):
        flying = TimeSkipper(client, config=TimeSkippingConfig(max_session_skip_count=10_000))
        reminded, _ = await flying.client.execute_workflow(Reminding.run, id=name, task_queue=name)
        assert reminded == list(range(1, 251))
