"""The heavy work on what others wrote, as functions that a process of the pool is given by name.

What they take and return is pickled on its way. Libraries that only one of them needs are loaded there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from placet.actions import ActionSpec
from placet.blueprint import Blueprint, canonical, parse_blueprint
from placet.check import prove
from placet.compiling import compile_plan, digest
from placet.errors import BlueprintInvalid
from placet.plan import Child
from placet.versions import Change, check_bump, classify
from simulation.backtest import Candidate, Case, Row, put_all
from simulation.explore import explore
from simulation.question import Compiled, Question, compiled_of, prepare
from simulation.result import Simulation

if TYPE_CHECKING:
    from simulation.replay import Checked

Tell = Callable[[dict[str, Any]], None]


def read(raw: object) -> Blueprint | None:
    """Return a blueprint, None for what is none: what is wrong with it is told by whoever uses it."""
    try:
        return parse_blueprint(raw)
    except BlueprintInvalid:
        return None


def drafted(
    blueprint: Blueprint, start: datetime, actions: Mapping[str, ActionSpec], children: Mapping[str, Child]
) -> tuple[dict[str, Any], str]:
    """Return a blueprint as it is stored, with its digest; raises BlueprintInvalid where it does not compile."""
    compile_plan(blueprint, start=start, actions=actions, children=children)
    return canonical(blueprint), digest(blueprint)


def compared(old: object, new: object) -> Change:
    """Say how two blueprints differ."""
    return classify(parse_blueprint(old), parse_blueprint(new))


def risen(old: object, new: object) -> None:
    """Raise BlueprintInvalid where a version's number does not rise by as much as its content changed."""
    check_bump(parse_blueprint(old), parse_blueprint(new))


def compiled(question: Question, blueprint: Blueprint | None) -> Compiled | None:
    """Return what `read` gave, with its plan, None where it has a fault: that is told by whoever simulates it."""
    try:
        return None if blueprint is None else compiled_of(question, blueprint)
    except BlueprintInvalid:
        return None


def tried(question: Question) -> None:
    """Carry out what the core foresees of a request, for whoever is about to do it where it must not fail."""
    prepared, _ = prepare(question)
    if prepared is not None:
        prepared.foresee()


def explored(question: Question, *, tell: Tell | None = None) -> dict[str, Any]:
    """Explore, and return the answer with what the proofs say."""
    question = _compiled(question)
    return checked(question, explore(question, tell=tell))


def checked(question: Question, simulation: Simulation) -> dict[str, Any]:
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


def supposed(question: Question, case: Case, history: Checked, now: datetime, unchanged: bool) -> dict[str, Any]:
    """Drive a real request again with something changed, and return the answer with what the proofs say."""
    from simulation.replay import what_if

    question = _compiled(question)
    return checked(question, what_if(question, case, checked=history, now=now, unchanged=unchanged))


def _compiled(question: Question) -> Question:
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
