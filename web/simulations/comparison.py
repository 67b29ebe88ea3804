"""Two timelines that somebody puts side by side: simulations, branches, or what really happened to a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from api.context import ApiContext
from placet.errors import InputInvalid, NotFound
from service.simulations.timelines import branch_timeline
from service.visibility import see_request, viewer_of
from simulation.report.comparison import ComparedLine, lines_of, side_by_side
from simulation.report.result import json_value
from simulation.scenario.load import StoredEntry, case_of
from storage.queries.simulations import simulations
from web.languages import Wording
from web.simulations.timelines import ComparedStep, compared_steps
from web.simulations.wording import MODES, ending, span
from web.views.words import outcome
from web.visitor import Visitor

_MOST_STEPS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two timelines: what it is of, how it ends, and its lines."""

    name: str
    ends: str
    takes: str
    address: str
    lines: tuple[ComparedLine, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two timelines side by side."""

    one: Side
    other: Side
    steps: tuple[ComparedStep, ...]
    differ: int


async def compare(context: ApiContext, visitor: Visitor, left: str, right: str) -> Comparison:
    """Return two timelines by their references: `simulation:ID`, `simulation:ID:BRANCH` or `request:ID`.

    Raises NotFound, also where the reader may not see one of them, and InputInvalid for what is no reference.
    """
    one = await _side(context, visitor, left)
    other = await _side(context, visitor, right)
    rows = side_by_side(one.lines, other.lines)
    steps = await context.database.read(compared_steps, rows, visitor.wording, one=one.name, other=other.name)
    return Comparison(one=one, other=other, steps=steps, differ=sum(not step.same for step in steps))


async def _side(context: ApiContext, visitor: Visitor, reference: str) -> Side:
    kind, _, rest = reference.partition(":")
    ident, _, branch = rest.partition(":")
    if not ident or kind not in {"simulation", "request"}:
        raise InputInvalid(visitor.wording.say("Choose two timelines on the page of a simulation."))
    if kind == "request":
        return await context.database.read(_of_request, visitor, ident)
    if branch:
        return await _of_branch(context, visitor, ident, branch)
    return await context.database.read(_of_simulation, visitor, ident)


def _of_request(connection: Connection, visitor: Visitor, request_id: str) -> Side:
    wording = visitor.wording
    stored = see_request(connection, visitor.principal, request_id, wording.now).request
    _, case = case_of(connection, request_id)
    lines = lines_of(case.entries[:_MOST_STEPS], case.started_at)
    return Side(
        name=wording.say("What happened: {title}").format(title=stored.title),
        ends=outcome(wording.say, stored.status, stored.outcome),
        takes=_length(lines, wording),
        address=f"/requests/{request_id}",
        lines=lines,
        note=wording.say("It still runs; this is what has happened so far.") if stored.status == "pending" else None,
    )


def _of_simulation(connection: Connection, visitor: Visitor, simulation_id: str) -> Side:
    wording = visitor.wording
    row = simulations.get(connection, simulation_id, viewer=viewer_of(visitor.principal))
    result = row.result or {}
    lines = lines_of_path(result.get("execution_path") or ())
    note = None
    if row.status == "running":
        note = wording.say("It still runs; load the page again when it has ended.")
    elif not lines:
        note = row.error or wording.say("It has no timeline; its page says why.")
    name = f"{wording.say(MODES.get(row.mode, row.mode))}: {result.get('template') or row.template or ''}"
    return Side(
        name=f"{name} {result.get('version') or row.version or ''}".strip(),
        ends=ending(wording.say, result.get("outcome"), result.get("stopped")) if lines else wording.say("unknown"),
        takes=_length(lines, wording),
        address=f"/simulations/{simulation_id}",
        lines=lines,
        note=note,
    )


async def _of_branch(context: ApiContext, visitor: Visitor, simulation_id: str, branch_id: str) -> Side:
    wording = visitor.wording
    found = await branch_timeline(context, visitor.principal, simulation_id, branch_id)
    if found.steps is None:
        raise NotFound(wording.say("This branch is not found any more: people or past decisions have changed since."))
    lines = lines_of_path(json_value(found.steps))
    number = branch_id.removeprefix("branch-")
    return Side(
        name=wording.say("Branch {number}").format(number=number),
        ends=ending(wording.say, found.branch["outcome"], found.branch["stopped"]),
        takes=_length(lines, wording),
        address=f"/simulations/{simulation_id}/branches/{branch_id}",
        lines=lines,
    )


def lines_of_path(path: Sequence[Mapping[str, Any]]) -> tuple[ComparedLine, ...]:
    """Return the lines of an execution path, as the result of a simulation has it."""
    if not path:
        return ()
    entries = entries_of_path(path[:_MOST_STEPS])
    start = entries[0].at - timedelta(milliseconds=int(path[0]["after_ms"]))
    return lines_of(entries, start)


def entries_of_path(path: Sequence[Mapping[str, Any]]) -> list[StoredEntry]:
    """Return the steps of an execution path as entries of a timeline."""
    return [
        StoredEntry(
            at=datetime.fromisoformat(step["at"]),
            kind=step["kind"],
            actor=step["actor"],
            stage=step["stage"],
            task_id=step["task_id"],
            # The codes beside the words of a reason are not in what is compared.
            detail={name: value for name, value in step["detail"].items() if name not in {"code", "parameters"}},
        )
        for step in path
    ]


def _length(lines: Sequence[ComparedLine], wording: Wording) -> str:
    return span(lines[-1].after // timedelta(milliseconds=1) if lines else None, wording)
