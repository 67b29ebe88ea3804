"""`placet api` and `placet openapi`: the API in its own process, and its OpenAPI document."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from api.app import describe
from cli import bootstrap, http_server
from cli.private_files import write_private_files
from cli.terminal.event_loop import serve, until_told_to_stop, watch_for_stop
from cli.terminal.options import Json, settings_with
from cli.terminal.output import print_json, progress
from storage.announcements.listener import listening
from worker.telemetry import SdkMetrics, metrics_runtime, tracer_provider


def api_command(
    port: Annotated[int | None, typer.Option(help="The port that the API listens on; 0 for a free port.")] = None,
    as_json: Json = False,
) -> None:
    """Run the API on the engine that TEMPORAL_ADDRESS names, or on the one that `placet up` started."""
    settings = settings_with(port=port)
    write_private_files()

    async def work() -> None:
        listener = http_server.listen(settings.host, settings.port)
        async with bootstrap.open_database(settings) as database, listening(database) as subscriptions:
            there = bootstrap.engine_settings(settings)
            traces = tracer_provider("placet-api")
            runtime, sdk_metrics = metrics_runtime(SdkMetrics.API, settings.api_metrics)
            client = await bootstrap.connect_client(there, traces=traces, runtime=runtime)
            ui_url = bootstrap.temporal_ui_url(settings, there)
            app = http_server.build_api(database, client, settings, ui_url, traces, subscriptions=subscriptions)
            async with http_server.serve(app, listener, app.state.shutdown.drain):
                stop, where = watch_for_stop(), f"http://{settings.host}:{listener.getsockname()[1]}"
                progress(f"the SDK's metrics are at http://{sdk_metrics}/metrics")
                print_json({"api": where}) if as_json else progress(f"listening on {where}")
                await until_told_to_stop(stop)

    serve(work, settings)


def openapi_command() -> None:
    """Print the API's OpenAPI document."""
    sys.stdout.write(json.dumps(describe(), indent=2, ensure_ascii=False) + "\n")
