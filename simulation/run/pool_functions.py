"""The heavy work on what others wrote, as functions that a process of the pool is given by name.

What they take and return is pickled on its way. Libraries that only one of them needs are loaded there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from placet.definition.actions import ActionSpec
from placet.definition.diff import Change, check_bump, classify
from placet.definition.model import ProcessDefinition, canonical, parse_definition
from placet.errors import BlueprintInvalid
from placet.plan.compiler import compile_plan, digest
from placet.plan.plan import Child
from placet.proofs import prove
from simulation.modes.backtest import BacktestRow, Candidate, Case, backtest_all
from simulation.modes.explore import explore
from simulation.report.result import SimulationResult
from simulation.scenario.scenario import CompiledDefinition, Scenario, compiled_of, prepare

if TYPE_CHECKING:
    from simulation.modes.replay import HistoryCheck

Tell = Callable[[dict[str, Any]], None]
CarryOut = Callable[..., Awaitable[Any]]
"""Where such work is carried out: called as `service.pool.pool.ProcessPool.run`."""


def parse_or_none(raw: object) -> ProcessDefinition | None:
    """Return a blueprint, None for what is none: what is wrong with it is told by whoever uses it."""
    try:
        return parse_definition(raw)
    except BlueprintInvalid:
        return None


def compile_draft(
    definition: ProcessDefinition, start: datetime, actions: Mapping[str, ActionSpec], children: Mapping[str, Child]
) -> tuple[dict[str, Any], str]:
    """Return a blueprint as it is stored, with its digest; raises BlueprintInvalid where it does not compile."""
    compile_plan(definition, start=start, actions=actions, children=children)
    return canonical(definition), digest(definition)


def compare_versions(old: object, new: object) -> Change:
    """Say how two blueprints differ."""
    return classify(parse_definition(old), parse_definition(new))


def check_version(old: object, new: object) -> None:
    """Raise BlueprintInvalid where a version's number does not rise by as much as its content changed."""
    check_bump(parse_definition(old), parse_definition(new))


def compile_scenario(scenario: Scenario, definition: ProcessDefinition | None) -> CompiledDefinition | None:
    """Return what `read` gave, with its plan, None where it has a fault: that is told by whoever simulates it."""
    try:
        return None if definition is None else compiled_of(scenario, definition)
    except BlueprintInvalid:
        return None


def dry_run(scenario: Scenario) -> None:
    """Carry out what the core foresees of a request, for whoever is about to do it where it must not fail."""
    prepared, _ = prepare(scenario)
    if prepared is not None:
        prepared.simulate()


def explore_with_proofs(scenario: Scenario, *, tell: Tell | None = None) -> dict[str, Any]:
    """Explore, and return the answer with what the proofs say."""
    scenario = _compiled(scenario)
    return with_proofs(scenario, explore(scenario, tell=tell))


def with_proofs(scenario: Scenario, simulation: SimulationResult) -> dict[str, Any]:
    """Return the answer with what the proofs say of the blueprint beside what the simulation itself found.

    A simulation that came to something is of a question that is compiled; the others say what is wrong with it.
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
    result["warnings"] += [f"{f.pointer}: {f.message}" for f in report.findings if f.severity == "warning"]
    return result


def replay_with_changes(
    scenario: Scenario, case: Case, history: HistoryCheck, now: datetime, unchanged: bool
) -> dict[str, Any]:
    """Drive a real request again with something changed, and return the answer with what the proofs say."""
    from simulation.modes.replay import what_if

    scenario = _compiled(scenario)
    return with_proofs(scenario, what_if(scenario, case, history_check=history, now=now, unchanged=unchanged))


def _compiled(scenario: Scenario) -> Scenario:
    """Return the question with its blueprint compiled, and as it is where that has a fault."""
    try:
        return replace(scenario, compiled=compiled_of(scenario))
    except BlueprintInvalid:
        return scenario


def compile_candidate(candidate: Candidate, starts: Sequence[datetime]) -> Candidate:
    """Return a candidate compiled for requests that began then; raises BlueprintInvalid where it does not compile."""
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
    """Put some of `of` past requests through a candidate, of which `done` have been; stops after so many seconds."""
    end = perf_counter() + seconds
    return backtest_all(candidate, cases, until=until, end=end, done=done, of=of, tell=tell)


def shadow_cases(
    candidate: Candidate, cases: Sequence[Case], now: datetime, seconds: float
) -> list[tuple[BacktestRow, datetime | None]]:
    """Look at requests as far as they have come, one after the other, for so many seconds."""
    found: list[tuple[BacktestRow, datetime | None]] = []
    end = perf_counter() + seconds
    for case in cases:
        if perf_counter() > end:
            break
        found.append(candidate.run_with_next_due(case, until=now if case.status == "pending" else None))
    return found
