"""`placet engine`, `placet prepare` and `placet migrate`: the engine and the database alone."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import bootstrap, installation
from cli.terminal.event_loop import run, until_told_to_stop, watch_for_stop
from cli.terminal.options import settings_with
from cli.terminal.output import errors_as_messages, out, print_json, progress
from engine_host.locate import locate
from engine_host.namespaces import prepare
from storage.migrate import migrate


def engine_command(
    find: Annotated[
        bool, typer.Option("--find", help="Only find, download or build the engine's program, and print its path.")
    ] = False,
) -> None:
    """Run only the engine, with its namespaces and search attributes, and print its address."""
    settings = settings_with()

    async def work() -> None:
        installation.prepare_home(settings)
        async with bootstrap.engine_for(settings, progress) as (there, engine):
            stop = watch_for_stop()
            print_json(
                {
                    "temporal": there.address,
                    "namespace": there.namespace,
                    "temporal_ui": engine.ui_url if engine else None,
                    "pid": engine.pid if engine else None,
                }
            )
            await until_told_to_stop(stop)

    if not find:
        run(work())
        return
    with errors_as_messages():
        found = locate(progress=progress)
    out.print(f"engine: {found}", markup=False, soft_wrap=True)


def prepare_command() -> None:
    """Register the namespaces and search attributes on an existing engine."""
    changed = run(prepare(bootstrap.engine_settings(settings_with())))
    out.print(
        "the missing namespaces and search attributes are registered"
        if changed
        else "all namespaces and search attributes exist already"
    )


def migrate_command() -> None:
    """Bring the database to the newest schema."""
    run(migrate(settings_with().database))
    out.print("the database is at the newest schema")
