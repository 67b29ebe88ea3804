"""`placet deployments`: versions of workers at the engine, for rolling upgrades. It needs no database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from temporalio.client import Client

from cli import bootstrap
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json
from placet.errors import InputInvalid
from service.engine import deployments
from service.engine.deployments import Deployment
from worker.settings import Settings

deployments_app = typer.Typer(
    no_args_is_help=True, help="List versions of workers at the engine, and move requests from one to another."
)
Name = Annotated[str | None, typer.Option("--deployment", help="The deployment; without, PLACET_DEPLOYMENT.")]
Build = Annotated[str, typer.Argument(help="The build, as `list` shows it: PLACET_BUILD_ID of its workers.")]
Wait = Annotated[
    float, typer.Option(help="For how many seconds to wait until workers of the build poll.", min=0, max=3600)
]


@deployments_app.callback()
def _deployments() -> None:
    """List versions of workers at the engine, and move requests from one to another."""


@deployments_app.command("list")
def list_command(deployment: Name = None, as_json: Json = False) -> None:
    """List the versions, newest first. Workers of a drained or inactive one can be stopped."""
    _carried_out(deployment, lambda _client, _name: _nothing(), as_json=as_json)


@deployments_app.command("current")
def current_command(build_id: Build, deployment: Name = None, wait: Wait = 0, as_json: Json = False) -> None:
    """Let every request go on with this version from its next task on."""
    _carried_out(deployment, lambda c, name: deployments.make_current(c, name, build_id, wait=wait), as_json=as_json)


@deployments_app.command("ramp")
def ramp_command(
    build_id: Build,
    percent: Annotated[
        float, typer.Argument(help="The share of requests in percent; 0 takes it back.", min=0, max=100)
    ],
    deployment: Name = None,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    """Let a share of the requests go on with this version, and the others with the current one."""
    _carried_out(deployment, lambda c, name: deployments.ramp(c, name, build_id, percent, wait=wait), as_json=as_json)


async def _nothing() -> None:
    return


def _carried_out(deployment: str | None, change: Callable[[Client, str], Awaitable[None]], *, as_json: bool) -> None:
    settings = settings_with()
    with errors_as_messages():
        name = deployment or _named(settings)

    async def work() -> Deployment:
        client = await bootstrap.connect_client(bootstrap.engine_settings(settings))
        await change(client, name)
        return await deployments.describe(client, name)

    _print(run(work()), as_json=as_json)


def _named(settings: Settings) -> str:
    if settings.deployment is None:
        raise InputInvalid("Name the deployment with --deployment, or set PLACET_DEPLOYMENT as its workers have it.")
    return settings.deployment


def _print(found: Deployment, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(found))
        return
    out.print(f"deployment {found.name}", markup=False)
    for each in found.versions:
        share = f"{each.share:g} %" if each.share else ""
        out.print(f"  {each.build_id:30} {each.status:10} {share:>6}  {each.created_at:%Y-%m-%d %H:%M}", markup=False)
    if found.current is None:
        out.print("no version is current: workers without a version get the tasks", markup=False)


def _document(found: Deployment) -> dict[str, Any]:
    held = asdict(found)
    del held["token"]
    return held
