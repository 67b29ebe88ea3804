"""What it would mean to move running requests to another version: for each, whether it maps, and what would differ."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import Context
from placet.blueprint import parse_blueprint
from simulation import gather
from simulation.backtest import Candidate, Case, Row
from storage import templates
from storage.surroundings import surroundings
from storage.tables import ApprovalRequest, ApprovalTask, ProcessTemplate

MOST = 2000  # requests that one preflight looks at, the oldest first
_AT_ONCE = 100

Verdict = Literal["maps", "changes_outcome", "does_not_map"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What a move would mean to one request, and why."""

    request_id: str
    version: str
    stage: str | None
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What a move would mean to all; `left_out` are those beyond what one preflight looks at."""

    fates: tuple[Fate, ...]
    left_out: int

    @property
    def totals(self) -> dict[str, int]:
        """How many there are of each verdict."""
        return {"maps": 0, "changes_outcome": 0, "does_not_map": 0, **Counter(fate.verdict for fate in self.fates)}


async def preflight(context: Context, template_id: str, from_version: str | None) -> Preflight:
    """Put every running request of other versions through this one; nothing is changed. Raises NotFound."""
    now = datetime.now(UTC)
    async with context.database.session() as session:
        target = await templates.get(session, template_id)
        blueprint = await asyncio.to_thread(parse_blueprint, target.blueprint)
        actions, children = await surroundings(session, blueprint, now)
        people = await gather.everybody(session)
        ids, left_out = await _running(session, target, from_version)
    candidate = Candidate(blueprint=blueprint, people=people, actions=actions, children=children)
    fates: list[Fate] = []
    for first in range(0, len(ids), _AT_ONCE):
        async with context.database.session() as session:
            rows, cases, stages = await _read(session, ids[first : first + _AT_ONCE])
        fates += await asyncio.to_thread(_judge, candidate, rows, cases, stages, now)
    return Preflight(fates=tuple(fates), left_out=left_out)


async def _running(session: AsyncSession, target: ProcessTemplate, from_version: str | None) -> tuple[list[str], int]:
    query = select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.template) == target.name,
        col(ApprovalRequest.status) == "pending",
        col(ApprovalRequest.version) != target.version,
    )
    if from_version is not None:
        query = query.where(col(ApprovalRequest.version) == from_version)
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    oldest = query.order_by(col(ApprovalRequest.started_at), col(ApprovalRequest.id)).limit(MOST)
    ids = list(await session.scalars(oldest))
    return ids, total - len(ids)


async def _read(
    session: AsyncSession, ids: list[str]
) -> tuple[list[ApprovalRequest], list[Case], dict[str, list[str]]]:
    found = {
        row.id: row for row in await session.scalars(select(ApprovalRequest).where(col(ApprovalRequest.id).in_(ids)))
    }
    rows = [found[ident] for ident in ids if ident in found]
    waiting = select(col(ApprovalTask.request_id), col(ApprovalTask.stage)).where(
        col(ApprovalTask.request_id).in_(ids), col(ApprovalTask.status) == "open"
    )
    stages: dict[str, list[str]] = {}
    for request_id, stage in await session.execute(waiting):
        stages.setdefault(request_id, []).append(stage)
    return rows, await gather.cases_of(session, rows), stages


def _judge(
    candidate: Candidate,
    rows: list[ApprovalRequest],
    cases: list[Case],
    stages: dict[str, list[str]],
    now: datetime,
) -> list[Fate]:
    known = {step.stage_name for step in candidate.blueprint.process_steps}
    return [
        _fate(row, candidate.put(case, until=now), sorted(set(stages.get(row.id, ())) - known))
        for row, case in zip(rows, cases, strict=True)
    ]


def _fate(row: ApprovalRequest, put: Row, gone: list[str]) -> Fate:
    verdict: Verdict = "maps"
    reasons = [f"a task is open in stage {stage!r}, which is gone" for stage in gone]
    if put.after is None:
        reasons.append(put.unknown or "its course cannot be told")
    if reasons:
        verdict = "does_not_map"
    elif put.after is not None and {"outcome", "route"} & set(put.changed):
        verdict = "changes_outcome"
        was, now = ("; ".join(side.route) or "nothing settled" for side in (put.before, put.after))
        reasons.append(f"with the decisions so far it would have gone another way: {now}; it went: {was}"[:500])
        if put.after.outcome is not None:
            reasons.append(f"it would have ended: {put.after.outcome}")
    return Fate(request_id=row.id, version=row.version, stage=row.stage, verdict=verdict, reasons=tuple(reasons))
