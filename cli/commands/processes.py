"""`placet worker`, `placet api` and `placet openapi`: the parts of `placet up`, each as a process of its own."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from api.app import describe
from cli import assembly, up
from cli.output import print_json, progress
from cli.terminal.invocation import Json, settings_with
from cli.terminal.running import run
from worker.telemetry import metrics_runtime, tracer_provider


def worker_command() -> None:
    """Run a worker against the engine that TEMPORAL_ADDRESS names, or that `placet up` started."""
    settings = settings_with()

    async def work() -> None:
        async with assembly.open_database(settings) as database:
            there = assembly.engine_settings(settings)
            runtime, sdk_metrics = metrics_runtime(settings.worker_metrics)
            client = await assembly.connected(there, traces=tracer_provider("placet-worker"), runtime=runtime)
            async with assembly.working(database, client, settings):
                progress(f"the SDK's metrics are at http://{sdk_metrics}/metrics")
                progress(f"working on task queue {settings.task_queue!r} of {there.address} ({there.namespace})")
                await up.until_told_to_stop()

    run(work())


def api_command(
    port: Annotated[int | None, typer.Option(help="Where to listen; 0 for a free port.")] = None, as_json: Json = False
) -> None:
    """Run the API against the engine that TEMPORAL_ADDRESS names, or that `placet up` started."""
    settings = settings_with(port=port)

    async def work() -> None:
        listener = assembly.listen(settings.host, settings.port)
        async with assembly.open_database(settings) as database:
            there = assembly.engine_settings(settings)
            traces = tracer_provider("placet-api")
            client = await assembly.connected(there, traces=traces)
            app = assembly.build_api(database, client, settings, assembly.temporal_ui(settings, there), traces)
            async with assembly.serving(app, listener, app.state.draining.drain):
                stop, where = up.watch_for_stop(), f"http://{settings.host}:{listener.getsockname()[1]}"
                print_json({"api": where}) if as_json else progress(f"listening on {where}")
                await up.until_told_to_stop(stop)

    run(work())


def openapi_command() -> None:
    """Print the API's OpenAPI document."""
    sys.stdout.write(json.dumps(describe(), indent=2, ensure_ascii=False) + "\n")
