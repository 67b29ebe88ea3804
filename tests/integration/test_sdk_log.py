"""What the Temporal SDK's core warns of is in the log, and never on standard output."""

from __future__ import annotations

import logging
import uuid

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.waiting import until
from worker.connect import EngineSettings, connect
from worker.sdk_log import NAME
from worker.telemetry import SdkMetrics, metrics_runtime


@workflow.defn
class _Fails:
    """Its workflow task fails, which the core warns of."""

    @workflow.run
    async def run(self) -> None:
        """Fail, as a bug does."""
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("shows", ["metrics", "nothing"])
async def test_a_warning_of_the_core_is_in_the_log_and_not_on_standard_output(
    client: Client, shows: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    runtime: Runtime | None = metrics_runtime(SdkMetrics.WORKER, None)[0] if shows == "metrics" else None
    address = client.service_client.config.target_host
    ours = await connect(EngineSettings(address=address), namespace=client.namespace, runtime=runtime)
    queue = f"sdk-log-{uuid.uuid4().hex}"

    async def warned() -> bool:
        return any(record.name == NAME and record.levelno >= logging.WARNING for record in caplog.records)

    async with Worker(ours, task_queue=queue, workflows=[_Fails], workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await ours.start_workflow(_Fails.run, id=queue, task_queue=queue)
        try:
            await until(warned, what="a warning of the core")
        finally:
            await handle.terminate()
    assert capfd.readouterr().out == ""
