"""`placet api` and `placet openapi`: the API as a process of its own, and what it is like."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from api.app import describe
from cli import assembly, serving
from cli.terminal.invocation import Json, settings_with
from cli.terminal.output import print_json, progress
from cli.terminal.running import run, until_told_to_stop, watch_for_stop
from worker.telemetry import tracer_provider


def api_command(
    port: Annotated[int | None, typer.Option(help="Where to listen; 0 for a free port.")] = None, as_json: Json = False
) -> None:
    """Run the API against the engine that TEMPORAL_ADDRESS names, or that `placet up` started."""
    settings = settings_with(port=port)

    async def work() -> None:
        listener = serving.listen(settings.host, settings.port)
        async with assembly.open_database(settings) as database:
            there = assembly.engine_settings(settings)
            traces = tracer_provider("placet-api")
            client = await assembly.connected(there, traces=traces)
            app = serving.build_api(database, client, settings, assembly.temporal_ui(settings, there), traces)
            async with serving.serving(app, listener, app.state.shutdown.drain):
                stop, where = watch_for_stop(), f"http://{settings.host}:{listener.getsockname()[1]}"
                print_json({"api": where}) if as_json else progress(f"listening on {where}")
                await until_told_to_stop(stop)

    run(work())


def openapi_command() -> None:
    """Print the API's OpenAPI document."""
    sys.stdout.write(json.dumps(describe(), indent=2, ensure_ascii=False) + "\n")
