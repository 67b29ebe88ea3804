"""`placet test`: run the scenarios of blueprints in the core, or on the engine in virtual time."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, errors_as_messages, print_json, progress
from cli.testing.results import BlueprintCoverage, Results, ScenarioResult, show, write_junit
from cli.testing.suite_files import SuiteFile, find_suites, read_suite
from placet.errors import InputInvalid
from simulation.testing.coverage import coverage_of, explored_process
from simulation.testing.scenario_run import run_scenario, scenario_of

if TYPE_CHECKING:
    from simulation.modes.rehearse import RehearsalEngine
    from worker.settings import Settings


def read_suites(paths: list[Path]) -> list[SuiteFile]:
    """Read all suites that are named or in these folders; raises InputInvalid with the faults of all of them."""
    found: list[SuiteFile] = []
    faults: list[str] = []
    for file in find_suites(paths):
        try:
            found.append(read_suite(file))
        except InputInvalid as error:
            faults.append(error.message)
    if faults:
        raise InputInvalid("\n".join(faults))
    return found


def explored(suites: list[SuiteFile]) -> Iterator[ScenarioResult]:
    """Run the scenarios in the core, one after the other."""
    for one in suites:
        for number in range(len(one.suite.scenarios)):
            began = perf_counter()
            scenario = scenario_of(one.suite, one.subject, number)
            yield ScenarioResult(
                suite=one, run=run_scenario(one.suite, scenario, number), seconds=perf_counter() - began
            )


async def rehearsed(settings: Settings, suites: list[SuiteFile]) -> list[ScenarioResult]:
    """Run the scenarios on the engine; raises Unavailable where it cannot rehearse."""
    from simulation.testing.rehearsed import rehearse_scenario

    results: list[ScenarioResult] = []
    async with _engine(settings) as engine:
        for one in suites:
            for number in range(len(one.suite.scenarios)):
                began = perf_counter()
                made = await rehearse_scenario(engine, one.suite, one.subject, number)
                seconds = perf_counter() - began
                results.append(ScenarioResult(suite=one, run=made.run, seconds=seconds, notes=made.notes))
    return results


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[RehearsalEngine]:
    """Yield the engine that is named or runs here, or else one in memory for the block."""
    from cli import bootstrap
    from cli.installation import running_instance
    from engine_host.namespaces import prepare
    from engine_host.serve import start_engine
    from simulation.modes.rehearse import RehearsalEngine

    there = bootstrap.engine_settings(settings)
    if there.named or running_instance(settings):
        client = await bootstrap.connect_client(there)
        yield RehearsalEngine.beside(client, there.rehearsal_namespace)
        return
    with tempfile.TemporaryDirectory(prefix="placet-") as folder:
        async with await start_engine(Path(folder), database="memory", ui=False, progress=progress) as engine:
            there = replace(there, address=engine.address)
            await prepare(there, embedded=True)
            client = await bootstrap.connect_client(there)
            yield RehearsalEngine.beside(client, there.rehearsal_namespace)


def covered(suites: list[SuiteFile], results: list[ScenarioResult]) -> Iterator[BlueprintCoverage]:
    """Tell for each blueprint what its scenarios reach."""
    for blueprint in dict.fromkeys(one.blueprint.resolve() for one in suites):
        own = [one for one in suites if one.blueprint.resolve() == blueprint]
        runs = [one.run for one in results if one.suite in own]
        traces = [run.trace for run in runs if run.trace is not None]
        scenario = explored_process(own[0].suite, own[0].subject, runs)
        yield BlueprintCoverage(blueprint=own[0].blueprint, coverage=coverage_of(scenario, traces))


def scenarios_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files of scenarios, or folders that have them; by default this one.")
    ] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Run the production workflow on the engine, in virtual time.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the results to this file, as JUnit's XML.")] = None,
    require_coverage: Annotated[
        bool,
        typer.Option("--require-coverage", help="Fail if a result of a stage, a way or an end is never reached."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run scenarios of blueprints. The exit code is 1 if one of them fails.

    Scenarios are in files that end in `.test.yaml`. They run in virtual time, without an engine, a database or people:
    each is the request that its file describes, and nothing of it is sent or stored.
    """
    with errors_as_messages():
        suites = read_suites(paths or [Path()])
    if rehearse:
        scenarios = run(rehearsed(settings_with(), suites))
    else:
        with errors_as_messages():
            scenarios = list(explored(suites))
    with errors_as_messages():
        coverage = tuple(covered(suites, scenarios))
        results = Results(
            mode="rehearse" if rehearse else "explore",
            scenarios=tuple(scenarios),
            coverage=coverage,
            coverage_required=require_coverage,
        )
        if junit is not None:
            write_junit(results, junit)
    if as_json:
        print_json(results.described())
    else:
        show(results)
    if not results.ok:
        raise typer.Exit(EXIT_FAILED)
