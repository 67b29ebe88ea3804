"""The preflight of a migration: whether each running request maps to another version, and what would differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from placet.definition.model import parse_definition
from placet.engine.events import Actor, Migrate
from placet.errors import InputInvalid, NotFound, Problem
from placet.plan.plan import Plan
from placet.sentences import sentence
from service.context import Context
from service.engine import client as engine
from simulation.modes.backtest import BacktestRow, Candidate, Case
from simulation.scenario import load
from storage.queries.definitions.dependencies import dependencies_of
from storage.queries.requests import request_rows
from storage.tables.approvals import ApprovalRequest, DefinitionVersion

MOST = 2000  # requests that one call looks at, the oldest first
AT_ONCE = 100  # of those, what is looked at together
_ASKED_AT_ONCE = 8  # of the engine

Verdict = Literal["maps", "changes_outcome", "does_not_map"]
Result = Literal["moved", "there", "stays", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which running requests are meant: those of all other versions, of one of them, or some by their ids."""

    from_version: str | None = None
    request_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVerdict:
    """What a move means to one request, and why; `result` once it is done."""

    request_id: str
    version: str
    stage: str | None
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    result: Result | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A request's fate as it was after its entry `seq`, and the plan that it would go on under."""

    fate: RequestVerdict
    seq: int
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Which requests a call is about: those to look at, those whose fate is plain, and how many are left out."""

    ids: list[str]
    plain: list[RequestVerdict]
    left_out: int


class Judge:
    """Judge running requests by what is on record: each is put through the version as if it had begun under it."""

    def __init__(self, context: Context, candidate: Candidate) -> None:
        self._context = context
        self._candidate = candidate

    @classmethod
    async def of(cls, context: Context, target: DefinitionVersion) -> Judge:
        """Read all that judging needs."""
        definition = await asyncio.to_thread(parse_definition, target.blueprint)
        actions, children = await context.database.read(dependencies_of, definition, context.now())
        people = await context.database.read(load.whole_directory)
        return cls(context, Candidate(blueprint=definition, people=people, actions=actions, children=children))

    async def look(self, ids: Sequence[str]) -> list[Judged]:
        """Judge these requests as they are now."""
        rows, cases, stages = await self._context.database.read(_read, ids)
        return await asyncio.to_thread(self._judge, rows, cases, stages, self._context.now())

    def _judge(
        self, rows: list[ApprovalRequest], cases: list[Case], stages: dict[str, list[str]], now: datetime
    ) -> list[Judged]:
        known = {step.stage_name for step in self._candidate.blueprint.process_steps}
        return [
            Judged(
                fate=_fate(row, self._candidate.run(case, until=now), sorted(set(stages.get(row.id, ())) - known)),
                seq=len(case.entries),
                # Calendars are frozen from when a request began, so that the same settings are the same calendar.
                plan=self._candidate.plan(case.started_at),
            )
            for row, case in zip(rows, cases, strict=True)
        ]


async def meant(context: Context, target: DefinitionVersion, selection: Selection, *, dry_run: bool) -> Meant:
    """Return which requests a call is about; raises InputInvalid for what is no request of this process."""
    if selection.request_ids is None:
        ids, left_out = await context.database.read(
            request_rows.running_under_others,
            target.name,
            target.version,
            from_version=selection.from_version,
            limit=MOST,
        )
        return Meant(ids=ids, plain=[], left_out=left_out)
    named = list(dict.fromkeys(selection.request_ids))
    rows = await context.database.read(request_rows.rows, named)
    found = {row.id: row for row in rows if row.template == target.name}
    problems = tuple(
        Problem(
            pointer=f"/request_ids/{index}",
            message=sentence("there is no such request of {name!r}; leave it out", name=target.name),
        )
        for index, ident in enumerate(selection.request_ids)
        if ident not in found
    )
    if problems:
        raise InputInvalid(problems[0].message, problems=problems)
    plain = list(_plain([found[ident] for ident in named], target, dry_run=dry_run))
    settled = {fate.request_id for fate in plain}
    return Meant(ids=[ident for ident in named if ident not in settled], plain=plain, left_out=0)


def ended(row: ApprovalRequest, result: Result | None) -> RequestVerdict:
    """Return the fate of a request that has ended."""
    why = f"the request has ended: {row.outcome or row.status}"
    return RequestVerdict(
        request_id=row.id, version=row.version, stage=None, verdict="does_not_map", reasons=(why,), result=result
    )


async def preflight(
    context: Context, target: DefinitionVersion, selection: Selection, by: Actor
) -> tuple[list[RequestVerdict], int]:
    """Say what a move would mean to each request, by its record and by itself; nothing is changed.

    Return the fates, and how many requests were left out. Raises InputInvalid, and Unavailable where the engine or
    every worker is away.
    """
    about = await meant(context, target, selection, dry_run=True)
    judge = await Judge.of(context, target)
    room = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def one(judged: Judged) -> RequestVerdict:
        fate = judged.fate
        if fate.verdict == "does_not_map":
            return fate
        event = Migrate(by=by, plan=judged.plan, template_id=target.id)
        async with room:
            try:
                problems = await engine.unmapped(context, fate.request_id, event)
            except NotFound:
                return replace(fate, verdict="does_not_map", reasons=("the engine no longer runs it",))
        if not problems:
            return fate
        return replace(fate, verdict="does_not_map", reasons=tuple(problem.message for problem in problems))

    fates = about.plain
    for first in range(0, len(about.ids), AT_ONCE):
        fates += await asyncio.gather(*(one(j) for j in await judge.look(about.ids[first : first + AT_ONCE])))
    return fates, about.left_out


def _plain(rows: Sequence[ApprovalRequest], target: DefinitionVersion, *, dry_run: bool) -> Iterator[RequestVerdict]:
    for row in rows:
        if row.status != "pending":
            yield ended(row, None if dry_run else "stays")
        elif row.version == target.version:
            result: Result | None = None if dry_run else "there"
            yield RequestVerdict(request_id=row.id, version=row.version, stage=row.stage, verdict="maps", result=result)


def _read(connection: Connection, ids: Sequence[str]) -> tuple[list[ApprovalRequest], list[Case], dict[str, list[str]]]:
    found = {row.id: row for row in request_rows.rows(connection, ids)}
    rows = [found[ident] for ident in ids if ident in found]
    return rows, load.cases_of(connection, rows), request_rows.open_stages(connection, ids)


def _fate(row: ApprovalRequest, put: BacktestRow, gone: list[str]) -> RequestVerdict:
    if row.status != "pending":
        return ended(row, None)
    verdict: Verdict = "maps"
    reasons = [f"a task is open in stage {stage!r}, which is gone" for stage in gone]
    if put.after is None:
        reasons.append(put.unknown or "its course cannot be computed")
    if reasons:
        verdict = "does_not_map"
    elif put.after is not None and {"outcome", "route"} & set(put.changed):
        verdict = "changes_outcome"
        was, now = ("; ".join(side.route) or "nothing settled" for side in (put.before, put.after))
        reasons.append(f"with its decisions so far it would have taken another route: {now}; it went: {was}"[:500])
        if put.after.outcome is not None:
            reasons.append(f"it would have ended: {put.after.outcome}")
    return RequestVerdict(
        request_id=row.id, version=row.version, stage=row.stage, verdict=verdict, reasons=tuple(reasons)
    )
