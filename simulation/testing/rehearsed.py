"""Rehearse a scenario of a suite: the production workflow on the engine has to do what the core does.

A scenario that fails in the core has failed. An engine's request begins now, so that working hours and holidays fall
elsewhere than at the scenario's start. The core is therefore run from that moment too: the engine's timeline has to
equal this one, entry by entry, and what the scenario expects is looked at where this run meets it.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.service import RPCError

from placet.errors import Unavailable
from placet.sentences import sentence
from simulation.modes.rehearse import PATIENCE, RehearsalEngine, run_on_engine
from simulation.run.time_skipping import lacks_time_skipping
from simulation.scenario.prepared_scenario import PreparedScenario
from simulation.testing.expectations import Difference, differences
from simulation.testing.scenario_run import ScenarioRun, Subject, run_scenario, scenario_of
from simulation.testing.suite import Suite
from simulation.testing.view import View

_OTHER_TIMES = "working hours lead to other times from now on than from its start; the workflow does what the core does"


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRun:
    """A rehearsed scenario: the run, whose trace is the engine's, and what there is to know about it."""

    run: ScenarioRun
    notes: tuple[str, ...] = ()


async def rehearse_scenario(
    engine: RehearsalEngine, suite: Suite, subject: Subject, number: int, *, patience: timedelta = PATIENCE
) -> RehearsedRun:
    """Rehearse one scenario, unless it fails in the core or its request is refused.

    Raises BlueprintInvalid, and Unavailable where the engine cannot be reached, cannot skip time, or takes too long.
    """
    test = suite.scenarios[number]
    scenario = scenario_of(suite, subject, number)
    from_its_start = await asyncio.to_thread(run_scenario, suite, scenario, number)
    if test.refused is not None or not from_its_start.passed:
        refused = ("the request is refused before it starts; there is nothing to rehearse",)
        return RehearsedRun(run=from_its_start, notes=refused if from_its_start.passed else ())
    scenario = replace(scenario, request_id=f"rehearsal-{uuid.uuid4().hex}")
    prepared = await asyncio.to_thread(PreparedScenario, scenario)
    try:
        async with asyncio.timeout(patience.total_seconds()):
            rehearsal = await run_on_engine(engine, prepared)
    except TimeoutError as error:
        seconds = round(patience.total_seconds())
        raise Unavailable(sentence("The rehearsal took longer than {seconds} seconds.", seconds=seconds)) from error
    except RPCError as error:
        why = "it cannot skip time" if lacks_time_skipping(error) else error.message
        raise Unavailable(sentence("The engine cannot rehearse: {why}", why=why)) from error
    trace, path = rehearsal.rehearsed.trace, ("scenarios", number)
    core = await asyncio.to_thread(run_scenario, suite, replace(scenario, start=trace.started_at), number)
    found = [
        Difference(path=path, message=f"the workflow differs from the core: {different}")
        for different in rehearsal.differences[:10]
    ]
    notes: tuple[str, ...] = ()
    if rehearsal.limit_reached is not None:
        notes = (f"{rehearsal.limit_reached.why}, and was stopped there",)
    elif not core.passed:
        notes = (_OTHER_TIMES,)
    elif test.expect is not None:
        view = View(plan=prepared.plan, whole=trace, state=trace.state)
        found += differences(test.expect, view, (*path, "expect"))
    return RehearsedRun(run=replace(core, trace=trace, differences=tuple(found)), notes=notes)
