"""`placet worker`: a worker in its own process."""

from __future__ import annotations

from cli import bootstrap
from cli.terminal.event_loop import run, until_told_to_stop
from cli.terminal.options import settings_with
from cli.terminal.output import progress
from worker.telemetry import metrics_runtime, tracer_provider


def worker_command() -> None:
    """Run a worker on the engine that TEMPORAL_ADDRESS names, or on the one that `placet up` started."""
    settings = settings_with()

    async def work() -> None:
        async with bootstrap.open_database(settings) as database:
            there = bootstrap.engine_settings(settings)
            runtime, sdk_metrics = metrics_runtime(settings.worker_metrics)
            client = await bootstrap.connect_client(there, traces=tracer_provider("placet-worker"), runtime=runtime)
            async with bootstrap.worker_running(database, client, settings):
                progress(f"the SDK's metrics are at http://{sdk_metrics}/metrics")
                progress(f"working on task queue {settings.task_queue!r} of {there.address} ({there.namespace})")
                await until_told_to_stop()

    run(work())
