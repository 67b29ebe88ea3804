"""`placet simulate`: simulate a process without asking anybody. The mode explore needs neither engine nor people."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli import bootstrap
from cli.commands.definitions import read
from cli.terminal import simulation_output
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, err, errors_as_messages, print_json, progress
from placet.errors import InputInvalid, Problem, Unavailable
from placet.json_text import read_json, with_floats
from service.pool.pool import processes
from service.simulations.simulator import Simulator, failed
from simulation.report.page import html_report
from simulation.scenario.spec import SimulationSpec, parse_spec
from storage.queries.simulations import simulations
from worker.settings import Settings


def spec_of(
    file: Path | None,
    *,
    mode: str,
    given: str | None,
    requester: str | None,
    script: Path | None,
    patch: Path | None = None,
    prices: Path | None = None,
    more: dict[str, Any] | None = None,
) -> SimulationSpec:
    """Return the simulation spec of a command line; `more` holds its further fields. Raises InputInvalid.

    A shadow compares once here; only the API keeps one running.
    """
    raw: dict[str, Any] = {"mode": mode, **{k: v for k, v in (more or {}).items() if v is not None}}
    if mode == "shadow":
        raw["for_hours"] = 0
    if patch is not None:
        raw["patch"] = with_floats(read(patch))
    if prices is not None:
        raw["prices"] = read(prices)
    if file is not None:
        raw["blueprint"] = with_floats(read(file))
    if given is not None:
        raw["input"] = _exact(given, "input")
    if requester is not None:
        raw["requester"] = requester
    if script is not None:
        raw["script"] = with_floats(read(script))
    return parse_spec(raw)


async def simulate(settings: Settings, spec: SimulationSpec, *, quiet: bool = False) -> dict[str, Any]:
    """Simulate with this installation's people and past requests, and its engine where the mode needs one.

    If no requester is given, somebody who has a manager is chosen. Nothing is stored.
    """
    client = None
    there = bootstrap.engine_settings(settings)
    if spec.mode in {"rehearse", "replay"}:
        try:
            client = await bootstrap.connect_client(there)
        except Unavailable as error:
            progress(f"without an engine: {error.message}")
    async with bootstrap.database_or_empty(settings) as database, processes(settings.limits) as pool:
        simulator = Simulator(
            database=database,
            pool=pool,
            client=client,
            rehearsals=there.rehearsal_namespace,
            ui_url=bootstrap.temporal_ui_url(settings, there),
        )
        requester = spec.person or await database.read(simulations.somebody) or "requester"
        simulation_id = uuid.uuid4().hex
        with _Progress(spec.mode, quiet=quiet) as told:
            result = await simulator.carry_out(
                spec,
                requester=requester,
                viewer=None,  # this command works on the database itself and sees everything
                simulation_id=simulation_id,
                now=database.now(),
                tell=told,
            )
    return {"id": simulation_id, "status": "failed" if failed(result) else "completed", **result}


def write_report(result: dict[str, Any], file: Path) -> None:
    """Write the result as an HTML page."""
    try:
        file.write_text(html_report(result), encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"{file} cannot be written: {error.strerror}") from error


class _Progress:
    """A progress bar; hidden if the output is not a terminal."""

    def __init__(self, mode: str, *, quiet: bool) -> None:
        self._bar = Progress(
            SpinnerColumn(), TextColumn(mode), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.description}"), TimeElapsedColumn(),
            console=err, transient=True, disable=quiet or not err.is_terminal,
        )  # fmt: skip
        self._noun = {"explore": "routes", "rehearse": "steps"}.get(mode, "requests")

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._bar.start()
        self._task = self._bar.add_task(self._noun, total=None)
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, what: dict[str, Any]) -> None:
        if "done" in what:
            self._bar.update(self._task, completed=what["done"], total=what.get("of"))
        else:
            self._bar.advance(self._task)


def _exact(text: str, name: str) -> Any:
    """Read the value of an option as a JSON object with exact numbers."""
    try:
        value = read_json(text.encode())
    except InputInvalid as error:
        problems = (Problem(pointer=f"/{name}", message=error.message),)
        raise InputInvalid(f"--{name}: {error.message}", problems=problems) from None
    if not isinstance(value, dict):
        raise InputInvalid(f"--{name} needs a JSON object, such as '{{\"amount\": 7200}}'")
    return value


def simulate_command(
    file: Annotated[Path | None, typer.Argument(help="A blueprint as a JSON file.")] = None,
    mode: Annotated[
        str, typer.Option(help="explore, rehearse, replay, backtest or shadow (which compares once).")
    ] = "explore",
    template: Annotated[
        str | None,
        typer.Option(help="The name of a stored process. A backtest uses the requests of this process."),
    ] = None,
    version: Annotated[str | None, typer.Option(help="The version of the stored process.")] = None,
    given: Annotated[str | None, typer.Option("--input", help="The request's input, as JSON.")] = None,
    action: Annotated[str | None, typer.Option(help="The action that a machine asks for, as JSON.")] = None,
    requester: Annotated[str | None, typer.Option(help="The id of the requester.")] = None,
    script: Annotated[Path | None, typer.Option(help="A JSON file that says who decides what, and when.")] = None,
    patch: Annotated[Path | None, typer.Option(help="A JSON Patch that changes the blueprint.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="A JSON file with the prices of hours, notifications and actions.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Sample the decisions of approvers with this random seed.", min=0)
    ] = None,
    approve: Annotated[
        float, typer.Option(help="With --seed: the share of decisions that approve.", min=0, max=1)
    ] = 0.9,
    request_id: Annotated[str | None, typer.Option("--request", help="The request to replay.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="The maximum number of requests that a backtest uses.", min=1)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the result to this file, as an HTML page.")] = None,
    as_json: Json = False,
) -> None:
    """Simulate a process without asking anybody. The exit code is 1 if the simulation fails or finds errors."""
    settings = settings_with()
    sample = None if seed is None else {"seed": seed, "approve": approve}
    more: dict[str, Any] = {
        "request_id": request_id,
        "template": template,
        "version": version,
        "limit": limit,
        "sample": sample,
    }
    files = {"script": script, "patch": patch, "prices": prices}
    with errors_as_messages():
        more["action"] = None if action is None else _exact(action, "action")
        spec = spec_of(file, mode=mode, given=given, requester=requester, **files, more=more)
    result = run(simulate(settings, spec, quiet=as_json))
    if report is not None:
        with errors_as_messages():
            write_report(result, report)
    if as_json:
        print_json(result)
        well = result["status"] == "completed" and not result["validation_errors"]
    else:
        well = simulation_output.show(result)
    if not well:
        raise typer.Exit(EXIT_FAILED)
