"""The functions that the process pool runs: the heavy work on blueprints that people sent.

Their arguments and results are pickled. Libraries that only one of them needs are imported inside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from placet.definition.action_spec import ActionSpec
from placet.definition.diff import Change, check_bump, classify
from placet.definition.model import ProcessDefinition, canonical, parse_definition
from placet.errors import BlueprintInvalid
from placet.plan.compiler import compile_plan, digest
from placet.plan.plan import Child
from placet.proofs import prove
from placet.sentences import sentence
from simulation.modes import backtest
from simulation.modes.backtest import BacktestRow, Candidate, Case, backtest_all
from simulation.modes.explore import BranchKey, explore, path_of_branch
from simulation.report.result import PathStep, SimulationResult
from simulation.scenario.prepared_scenario import prepare
from simulation.scenario.scenario import CompiledDefinition, Scenario, compiled_of

if TYPE_CHECKING:
    from simulation.modes.replay import HistoryCheck

Tell = Callable[[dict[str, Any]], None]
CarryOut = Callable[..., Awaitable[Any]]
"""Where such work is carried out: called as `service.pool.pool.ProcessPool.run`."""


def compile_draft(
    definition: ProcessDefinition, start: datetime, actions: Mapping[str, ActionSpec], children: Mapping[str, Child]
) -> tuple[dict[str, Any], str]:
    """Return the stored form of a blueprint and its digest; raises BlueprintInvalid where it does not compile."""
    compile_plan(definition, start=start, actions=actions, children=children)
    return canonical(definition), digest(definition)


def compare_versions(old: object, new: object) -> Change:
    """Compare two blueprints."""
    return classify(parse_definition(old), parse_definition(new))


def check_version(old: object, new: object) -> None:
    """Raise BlueprintInvalid where a version number does not rise by as much as its content changed."""
    check_bump(parse_definition(old), parse_definition(new))


def compile_scenario(scenario: Scenario, definition: ProcessDefinition | None) -> CompiledDefinition | None:
    """Return a definition with its plan; None where it is invalid: the simulation reports its errors."""
    try:
        return None if definition is None else compiled_of(scenario, definition)
    except BlueprintInvalid:
        return None


def dry_run(scenario: Scenario) -> None:
    """Simulate a request and discard the run: called before the same work is done in a process that must not fail."""
    prepared, _ = prepare(scenario)
    if prepared is not None:
        prepared.simulate()


def explore_with_proofs(scenario: Scenario, *, tell: Tell | None = None) -> dict[str, Any]:
    """Explore a scenario, and return the result with the findings of the proofs."""
    scenario = _compiled(scenario)
    return with_proofs(scenario, explore(scenario, tell=tell))


def with_proofs(scenario: Scenario, simulation: SimulationResult) -> dict[str, Any]:
    """Return the result with the findings of the proofs added to those of the simulation.

    Nothing is added to a simulation that failed, or whose scenario is not compiled.
    """
    result = simulation.described()
    if simulation.failed or scenario.compiled is None:
        return result
    report = prove(
        scenario.compiled.blueprint,
        scenario.compiled.plan,
        directory=scenario.people if scenario.people.people else None,
        actions=scenario.actions,
        children=scenario.children,
    )
    known = {error["pointer"] for error in result["validation_errors"]}
    errors = [f.described() for f in report.findings if f.severity == "error" and f.pointer not in known]
    result["validation_errors"] += errors
    remarks = [one for one in report.findings if one.severity == "warning"]
    result["warnings"] += [
        sentence("{pointer}: {message}", pointer=one.pointer, message=one.message) for one in remarks
    ]
    return result


def replay_with_changes(
    scenario: Scenario, case: Case, history: HistoryCheck, now: datetime, unchanged: bool
) -> dict[str, Any]:
    """Simulate a real request with something changed, and return the result with the findings of the proofs."""
    from simulation.modes.replay import what_if

    scenario = _compiled(scenario)
    return with_proofs(scenario, what_if(scenario, case, history_check=history, now=now, unchanged=unchanged))


def _compiled(scenario: Scenario) -> Scenario:
    """Return the scenario with its blueprint compiled; unchanged where the blueprint is invalid."""
    try:
        return replace(scenario, compiled=compiled_of(scenario))
    except BlueprintInvalid:
        return scenario


def compile_candidate(candidate: Candidate, starts: Sequence[datetime]) -> Candidate:
    """Return a candidate compiled for requests with these starts; raises BlueprintInvalid where it does not compile."""
    for start in starts:
        candidate.plan(start)
    return candidate


def backtest_cases(
    candidate: Candidate,
    cases: Sequence[Case],
    *,
    until: datetime | None,
    seconds: float,
    done: int,
    of: int,
    tell: Tell | None = None,
) -> list[BacktestRow]:
    """Simulate some of `of` past requests with a candidate, after `done` others; stops after so many seconds."""
    end = perf_counter() + seconds
    return backtest_all(candidate, cases, until=until, end=end, done=done, of=of, tell=tell)


def both_timelines(candidate: Candidate, case: Case, start: datetime, until: datetime | None = None) -> dict[str, Any]:
    """Return one request as recorded and with a candidate; `start` is when it began. Raises BlueprintInvalid."""
    return backtest.both_timelines(compile_candidate(candidate, (start,)), case, until=until)


def branch_path(scenario: Scenario, taken: BranchKey) -> tuple[PathStep, ...] | None:
    """Return the path of a branch of an exploration, which is repeated for it; None where it is not found again."""
    return path_of_branch(_compiled(scenario), taken)


def shadow_cases(
    candidate: Candidate, cases: Sequence[Case], now: datetime, seconds: float
) -> list[tuple[BacktestRow, datetime | None]]:
    """Compare requests up to now, one after the other, for so many seconds."""
    found: list[tuple[BacktestRow, datetime | None]] = []
    end = perf_counter() + seconds
    for case in cases:
        if perf_counter() > end:
            break
        found.append(candidate.run_with_next_due(case, until=now if case.status == "pending" else None))
    return found
