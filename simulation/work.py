"""The heavy work on what others wrote, as functions that a process of the pool is given by name.

What they take and return is pickled on its way. Libraries that only one of them needs are loaded there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from placet.actions import ActionSpec
from placet.blueprint import Blueprint, canonical, parse_blueprint
from placet.check import check
from placet.errors import BlueprintInvalid
from placet.plan import Child, compile_plan, digest
from placet.versions import Change, check_bump, classify
from placet.who import Who
from simulation.backtest import Candidate, Case, Row, put_all
from simulation.explore import explore
from simulation.question import Question, prepare
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


def reached(question: Question) -> tuple[Who, ...] | None:
    """Return the names of those whom a process can reach, None where it has a fault."""
    try:
        blueprint = parse_blueprint(question.blueprint)
        plan = compile_plan(blueprint, start=question.start, actions=question.actions, children=question.children)
    except BlueprintInvalid:
        return None
    return tuple(plan.names)


def tried(question: Question) -> None:
    """Carry out what the core foresees of a request, for whoever is about to do it where it must not fail."""
    prepared, _ = prepare(question)
    if prepared is not None:
        prepared.foresee()


def explored(question: Question, *, tell: Tell | None = None) -> dict[str, Any]:
    """Explore, and return the answer with what the proofs say."""
    return checked(question, explore(question, tell=tell))


def checked(question: Question, simulation: Simulation) -> dict[str, Any]:
    """Return the answer with what the proofs say of the blueprint beside what the simulation itself found."""
    told = simulation.described()
    if simulation.failed:
        return told
    report = check(
        question.blueprint,
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

    return checked(question, what_if(question, case, checked=history, now=now, unchanged=unchanged))


def sound(candidate: Candidate, start: datetime) -> None:
    """Raise BlueprintInvalid where a candidate does not compile."""
    candidate.plan(start)


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
