"""The heavy work on what others wrote, as functions that a process of the pool is given by name.

What they take and return is pickled on its way. Libraries that only one of them needs are loaded there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from placet.definition.diff import Change, check_bump, classify
from placet.definition.model import ProcessDefinition, canonical, parse_definition
from placet.errors import BlueprintInvalid
from placet.plan.actions import ActionSpec
from placet.plan.compiler import compile_plan, digest
from placet.plan.plan import Child
from placet.proofs import prove
from simulation.modes.backtest import Candidate, Case, Row, put_all
from simulation.modes.explore import explore
from simulation.report.result import Simulation
from simulation.scenario.scenario import Compiled, Scenario, compiled_of, prepare

if TYPE_CHECKING:
    from simulation.modes.replay import Checked

Tell = Callable[[dict[str, Any]], None]
CarryOut = Callable[..., Awaitable[Any]]
"""Where such work is carried out: called as `service.pool.pool.ProcessPool.run`."""


def read(raw: object) -> ProcessDefinition | None:
    """Return a blueprint, None for what is none: what is wrong with it is told by whoever uses it."""
    try:
        return parse_definition(raw)
    except BlueprintInvalid:
        return None


def drafted(
    definition: ProcessDefinition, start: datetime, actions: Mapping[str, ActionSpec], children: Mapping[str, Child]
) -> tuple[dict[str, Any], str]:
    """Return a blueprint as it is stored, with its digest; raises BlueprintInvalid where it does not compile."""
    compile_plan(definition, start=start, actions=actions, children=children)
    return canonical(definition), digest(definition)


def compared(old: object, new: object) -> Change:
    """Say how two blueprints differ."""
    return classify(parse_definition(old), parse_definition(new))


def risen(old: object, new: object) -> None:
    """Raise BlueprintInvalid where a version's number does not rise by as much as its content changed."""
    check_bump(parse_definition(old), parse_definition(new))


def compiled(question: Scenario, definition: ProcessDefinition | None) -> Compiled | None:
    """Return what `read` gave, with its plan, None where it has a fault: that is told by whoever simulates it."""
    try:
        return None if definition is None else compiled_of(question, definition)
    except BlueprintInvalid:
        return None


def tried(question: Scenario) -> None:
    """Carry out what the core foresees of a request, for whoever is about to do it where it must not fail."""
    prepared, _ = prepare(question)
    if prepared is not None:
        prepared.foresee()


def explored(question: Scenario, *, tell: Tell | None = None) -> dict[str, Any]:
    """Explore, and return the answer with what the proofs say."""
    question = _compiled(question)
    return checked(question, explore(question, tell=tell))


def checked(question: Scenario, simulation: Simulation) -> dict[str, Any]:
    """Return the answer with what the proofs say of the blueprint beside what the simulation itself found.

    A simulation that came to something is of a question that is compiled; the others say what is wrong with it.
    """
    told = simulation.described()
    if simulation.failed or question.compiled is None:
        return told
    report = prove(
        question.compiled.blueprint,
        question.compiled.plan,
        directory=question.people if question.people.people else None,
        actions=question.actions,
        children=question.children,
    )
    known = {error["pointer"] for error in told["validation_errors"]}
    errors = [f.described() for f in report.findings if f.severity == "error" and f.pointer not in known]
    told["validation_errors"] += errors
    told["warnings"] += [f"{f.pointer}: {f.message}" for f in report.findings if f.severity == "warning"]
    return told


def supposed(question: Scenario, case: Case, history: Checked, now: datetime, unchanged: bool) -> dict[str, Any]:
    """Drive a real request again with something changed, and return the answer with what the proofs say."""
    from simulation.modes.replay import what_if

    question = _compiled(question)
    return checked(question, what_if(question, case, checked=history, now=now, unchanged=unchanged))


def _compiled(question: Scenario) -> Scenario:
    """Return the question with its blueprint compiled, and as it is where that has a fault."""
    try:
        return replace(question, compiled=compiled_of(question))
    except BlueprintInvalid:
        return question


def sound(candidate: Candidate, starts: Sequence[datetime]) -> Candidate:
    """Return a candidate compiled for requests that began then; raises BlueprintInvalid where it does not compile."""
    for start in starts:
        candidate.plan(start)
    return candidate


def put(
    candidate: Candidate,
    cases: Sequence[Case],
    *,
    until: datetime | None,
    seconds: float,
    done: int,
    of: int,
    tell: Tell | None = None,
) -> list[Row]:
    """Put some of `of` past requests through a candidate, of which `done` have been; stops after so many seconds."""
    end = perf_counter() + seconds
    return put_all(candidate, cases, until=until, end=end, done=done, of=of, tell=tell)


def looked(
    candidate: Candidate, cases: Sequence[Case], now: datetime, seconds: float
) -> list[tuple[Row, datetime | None]]:
    """Look at requests as far as they have come, one after the other, for so many seconds."""
    found: list[tuple[Row, datetime | None]] = []
    end = perf_counter() + seconds
    for case in cases:
        if perf_counter() > end:
            break
        found.append(candidate.look(case, until=now if case.status == "pending" else None))
    return found
