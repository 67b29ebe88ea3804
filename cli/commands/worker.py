"""`placet worker`: a worker in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli import bootstrap, workers
from cli.private_files import write_private_files
from cli.terminal.event_loop import serve, until_told_to_stop, watch_for_stop
from cli.terminal.options import settings_with, several
from cli.terminal.output import errors_as_messages, progress
from cli.workers import EVERYTHING, Duty
from placet.errors import InputInvalid
from service.engine.deployments import make_current_first
from worker.deployment import version_of
from worker.telemetry import SdkMetrics, metrics_runtime, tracer_provider

CURRENT_SECONDS = 300.0  # for which a worker tries to make its version current


def worker_command(
    only: Annotated[
        list[str] | None,
        typer.Option(help="What to work on: approvals, actions or notifications; several, or separated by commas."),
    ] = None,
    make_current: Annotated[
        bool,
        typer.Option("--make-current", help="Make the version of this worker current, where it never was before."),
    ] = False,
    ready_file: Annotated[
        Path | None, typer.Option(help="A file that exists while this worker is ready, for a probe.")
    ] = None,
) -> None:
    """Run a worker on the engine that TEMPORAL_ADDRESS names, or on the one that `placet up` started."""
    settings = settings_with()
    write_private_files()
    with errors_as_messages():
        duties = duties_of(only)
        version = version_of(settings)
        if make_current and (version is None or Duty.APPROVALS not in duties):
            raise InputInvalid(
                "--make-current is for a worker of approvals with a version: set PLACET_DEPLOYMENT and PLACET_BUILD_ID."
            )

    async def work() -> None:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)  # left by one that was killed
        async with bootstrap.open_database(settings) as database:
            there = bootstrap.engine_settings(settings)
            notifies = duties == {Duty.NOTIFICATIONS}
            runtime, sdk_metrics = (
                metrics_runtime(SdkMetrics.NOTIFICATIONS, settings.notification_metrics)
                if notifies
                else metrics_runtime(SdkMetrics.WORKER, settings.worker_metrics)
            )
            client = await bootstrap.connect_client(there, traces=tracer_provider("placet-worker"), runtime=runtime)
            async with workers.worker_running(database, client, settings, duties=duties):
                progress(f"the SDK's metrics are at http://{sdk_metrics}/metrics")
                progress(
                    f"working on {', '.join(sorted(duties))} of task queue {settings.task_queue!r} at {there.address} "
                    f"({there.namespace})"
                )
                stop = watch_for_stop()
                if (
                    make_current
                    and version is not None
                    and await make_current_first(client, version, wait=CURRENT_SECONDS)
                ):
                    progress(f"{version.to_canonical_string()} is current now")
                with there_while_ready(ready_file):
                    await until_told_to_stop(stop)

    serve(work, settings)


@contextmanager
def there_while_ready(file: Path | None) -> Iterator[None]:
    """Keep a file (none where it is None) while the block runs."""
    if file is not None:
        file.touch()
    try:
        yield
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


def duties_of(only: list[str] | None) -> frozenset[Duty]:
    """Return the duties that `--only` names, all without it; raises InputInvalid."""
    return frozenset(map(Duty, several(only, [*Duty]))) if only else EVERYTHING
