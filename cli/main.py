"""The command line: `placet COMMAND`."""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from cli import assembly, bpmn, demo, doctor, people, picture, simulate, templates, tokens, up, verify
from cli.output import NO, WRONG, explained, log_to_stderr, out, print_json, progress
from cli.streams import write_whole
from placet.bpmn import Imported
from placet.errors import NotFound
from storage.migrate import migrate
from worker.engine.locate import locate
from worker.engine.namespaces import prepare
from worker.settings import Settings, read_settings
from worker.telemetry import metrics_runtime, tracer_provider

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Approval processes on Temporal.")
people_app = typer.Typer(no_args_is_help=True, help="Who is in the organisation.")
app.add_typer(people_app, name="people")


@app.callback()
def _prepare() -> None:
    write_whole()
    log_to_stderr()


T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]


def _run(work: Coroutine[Any, Any, T]) -> T:
    with explained():
        return uvloop.run(work)


def _settings(**changes: Any) -> Settings:
    with explained():
        return read_settings().model_copy(update={k: v for k, v in changes.items() if v is not None})


@app.command("up")
def up_command(
    port: Annotated[int | None, typer.Option(help="Where the API listens; 0 for a free port.")] = None,
    host: Annotated[str | None, typer.Option(help="The address that the API listens on.")] = None,
    as_json: Json = False,
) -> None:
    """Start engine, API and worker together, and print where they are once everything is ready."""
    settings = _settings(port=port, host=host)

    async def work() -> None:
        async with up.everything(settings, progress) as running:
            stop, where = up.watch_for_stop(), running.as_json()
            if as_json:
                print_json(where)
            else:
                out.print("[bold green]Placet is up.[/bold green]")
                for name, title in up.TITLES.items():
                    if where[name] is not None:
                        out.print(f"  {title:16} {where[name]}", soft_wrap=True)
            await up.until_told_to_stop(stop)
            progress("stopping")

    _run(work())


@app.command("worker")
def worker_command() -> None:
    """Run a worker against the engine that TEMPORAL_ADDRESS names, or that `placet up` started."""
    settings = _settings()

    async def work() -> None:
        async with assembly.open_database(settings) as database:
            there = assembly.engine_settings(settings)
            runtime, sdk_metrics = metrics_runtime(settings.worker_metrics)
            client = await assembly.connected(there, traces=tracer_provider("placet-worker"), runtime=runtime)
            async with assembly.working(database, client, settings):
                progress(f"the SDK's metrics are at http://{sdk_metrics}/metrics")
                progress(f"working on task queue {settings.task_queue!r} of {there.address} ({there.namespace})")
                await up.until_told_to_stop()

    _run(work())


@app.command("api")
def api_command(
    port: Annotated[int | None, typer.Option(help="Where to listen; 0 for a free port.")] = None, as_json: Json = False
) -> None:
    """Run the API against the engine that TEMPORAL_ADDRESS names, or that `placet up` started."""
    settings = _settings(port=port)

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

    _run(work())


@app.command("engine")
def engine_command(
    find: Annotated[bool, typer.Option("--find", help="Only find or make the engine, and say which it is.")] = False,
) -> None:
    """Run only the engine, with its namespaces and search attributes, and print where it is."""
    settings = _settings()

    async def work() -> None:
        assembly.home_of(settings)
        async with assembly.engine_of(settings, progress) as (there, engine):
            print_json(
                {
                    "temporal": there.address,
                    "namespace": there.namespace,
                    "temporal_ui": engine.ui_url if engine else None,
                    "pid": engine.pid if engine else None,
                }
            )
            await up.until_told_to_stop()

    if not find:
        _run(work())
        return
    with explained():
        found = locate(progress=progress)
    out.print(f"engine: {found}", markup=False, soft_wrap=True)


@app.command("prepare")
def prepare_command() -> None:
    """Register the namespaces and search attributes on an existing engine."""
    settings = _settings()
    changed = _run(prepare(assembly.engine_settings(settings)))
    out.print("registered what was missing" if changed else "nothing was missing")


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to the newest schema."""
    settings = _settings()
    _run(migrate(settings.database))
    out.print("the database is at the newest schema")


@people_app.command("load")
def people_load(
    file: Annotated[Path, typer.Argument(help="A JSON list of people.", exists=True, dir_okay=False)],
    complete: Annotated[bool, typer.Option("--complete", help="Whoever is not in the file has left.")] = False,
    as_json: Json = False,
) -> None:
    """Load people from a JSON file: new ones are added, known ones are replaced, and tasks of leavers move on.

    They are stored in batches, and only where they changed; a load that was interrupted is repeated.
    """
    settings = _settings()
    loaded = _run(people.load(settings, file, complete=complete))
    if as_json:
        print_json({"loaded": loaded.given, "changed": loaded.changed, "left": list(loaded.left)})
    else:
        left = f"; these have left: {', '.join(loaded.left)}" if loaded.left else ""
        out.print(f"loaded {loaded.given} people, {loaded.changed} of them new or changed{left}")


@app.command("token")
def token_command(
    person: Annotated[str, typer.Argument(help="The person's id.")],
    days: Annotated[int | None, typer.Option(help="After how many days it ends; never, if left out.", min=1)] = None,
) -> None:
    """Print a new API token for a person, and nothing else."""
    settings = _settings()
    sys.stdout.write(_run(tokens.issue(settings, person, days)) + "\n")


@app.command("verify")
def verify_command(
    requests: Annotated[list[str] | None, typer.Argument(help="Ids of requests; all of them, if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Check audit chains against their rows and the engine's history; exit code 1 where one does not hold."""
    settings = _settings()
    results, unknown = _run(verify.verify(settings, requests or []))
    well = all(r["ok"] for r in results)
    if as_json:
        print_json({"ok": well and not unknown, "requests": results, "unknown": unknown})
    else:
        verify.show(results)
    if not well:
        raise typer.Exit(NO)
    with explained():
        if unknown:
            raise NotFound(f"There is no request {', '.join(unknown)} here; `GET /workflow/requests/` lists them.")


@app.command("check")
def check_command(
    files: Annotated[list[Path], typer.Argument(help="Blueprints as JSON files.")], as_json: Json = False
) -> None:
    """Prove blueprints sound, or show what is wrong; exit code 1 where there is an error.

    The people, actions and processes of this installation count, where there is one. Exit code 2 where a file cannot be
    read; the others are checked all the same.
    """
    results = _run(templates.check(_settings(), files))
    if as_json:
        print_json({"ok": all(r["ok"] for r in results), "files": results})
    else:
        templates.show(results)
    if templates.unusable(results):
        raise typer.Exit(WRONG)
    if not all(r["ok"] for r in results):
        raise typer.Exit(NO)


@app.command("import-bpmn")
def import_bpmn_command(
    file: Annotated[Path, typer.Argument(help="A BPMN 2.0 file.")],
    dmn: Annotated[list[Path] | None, typer.Option(help="A DMN file that its rule tasks name.")] = None,
    name: Annotated[str | None, typer.Option(help="The process's name; by default as in the file.")] = None,
    version: Annotated[str, typer.Option(help="The blueprint's version.")] = "1.0.0",
    as_json: Json = False,
) -> None:
    """Print the blueprint that a BPMN file maps to; what of the file is not in it goes to standard error."""
    with explained():
        imported = bpmn.read(file, dmn=dmn or (), name=name, version=version)
    _print_imported(imported, as_json=as_json)


@app.command("import-dmn")
def import_dmn_command(
    file: Annotated[Path, typer.Argument(help="A DMN file.")],
    decision: Annotated[str | None, typer.Option(help="The decision's id or name, where there are several.")] = None,
    name: Annotated[str | None, typer.Option(help="The process's name; by default the decision's.")] = None,
    version: Annotated[str, typer.Option(help="The blueprint's version.")] = "1.0.0",
    as_json: Json = False,
) -> None:
    """Print the blueprint that a DMN decision maps to; what of the file is not in it goes to standard error."""
    with explained():
        imported = bpmn.read_dmn(file, decision=decision, name=name, version=version)
    _print_imported(imported, as_json=as_json)


def _print_imported(imported: Imported, *, as_json: bool) -> None:
    if as_json:
        print_json(bpmn.described(imported))
        return
    sys.stdout.write(json.dumps(imported.blueprint, indent=2, ensure_ascii=False) + "\n")
    bpmn.tell(imported)


@app.command("simulate")
def simulate_command(
    file: Annotated[Path | None, typer.Argument(help="A blueprint as a JSON file.")] = None,
    mode: Annotated[str, typer.Option(help="explore, rehearse, replay, backtest or shadow (one look).")] = "explore",
    template: Annotated[str | None, typer.Option(help="A stored process; of a backtest, whose requests.")] = None,
    version: Annotated[str | None, typer.Option(help="Which version of it.")] = None,
    given: Annotated[str | None, typer.Option("--input", help="The request's input, as JSON.")] = None,
    requester: Annotated[str | None, typer.Option(help="Who asks, by id.")] = None,
    script: Annotated[Path | None, typer.Option(help="What people do, as a JSON file.")] = None,
    patch: Annotated[Path | None, typer.Option(help="What to change in the blueprint: a JSON Patch.")] = None,
    prices: Annotated[Path | None, typer.Option(help="What hours, notices and actions cost, as a JSON file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draw what approvers do, from this seed on.", min=0)] = None,
    approve: Annotated[float, typer.Option(help="With --seed: the share that approves.", min=0, max=1)] = 0.9,
    request_id: Annotated[str | None, typer.Option("--request", help="The request that replay drives again.")] = None,
    limit: Annotated[int | None, typer.Option(help="How many requests a backtest looks at.", min=1)] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the result as a page.")] = None,
    as_json: Json = False,
) -> None:
    """Try a process out before anybody is asked; exit code 1 where it cannot be carried through."""
    settings = _settings()
    sample = None if seed is None else {"seed": seed, "approve": approve}
    more = {"request_id": request_id, "template": template, "version": version, "limit": limit, "sample": sample}
    files = {"script": script, "patch": patch, "prices": prices}
    with explained():
        order = simulate.order_of(file, mode=mode, given=given, requester=requester, **files, more=more)
    result = _run(simulate.simulate(settings, order, quiet=as_json))
    if report is not None:
        with explained():
            simulate.write_report(result, report)
    if as_json:
        print_json(result)
        well = result["status"] == "completed" and not result["validation_errors"]
    else:
        well = picture.show(result)
    if not well:
        raise typer.Exit(NO)


@app.command("doctor")
def doctor_command(as_json: Json = False) -> None:
    """Look whether everything is there that Placet needs; exit code 1 where something is not."""
    settings = _settings()
    checks = _run(doctor.examine(settings))
    well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": well, "checks": {c.name: {"ok": c.ok, "found": c.found} for c in checks}})
    else:
        doctor.show(checks)
    if not well:
        raise typer.Exit(NO)


@app.command("openapi")
def openapi_command() -> None:
    """Print the API's OpenAPI document."""
    from api.app import describe

    sys.stdout.write(json.dumps(describe(), indent=2, ensure_ascii=False) + "\n")


@app.command("demo")
def demo_command(
    port: Annotated[int, typer.Option(help="Where the API listens; 0 for a free port.")] = 0,
    hour: Annotated[float, typer.Option(help="How many seconds stand for an hour.", min=0.05)] = 0.25,
) -> None:
    """Play an approval from start to end with seconds for hours, and keep serving where somebody can watch."""
    _run(demo.play(_settings(), port=port, hour=hour, stay=sys.stdin.isatty()))
