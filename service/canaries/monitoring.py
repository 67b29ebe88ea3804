"""Watch canaries: requests are measured as they end, the versions compared, and what does harm is reverted.

Everything is computed from what is on record, so that a process which dies in between loses nothing. Any number of
processes may watch one database: a request is measured once, and a canary ends once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from insight.canary.assignment import chance_of_new
from insight.canary.bounds import Interval
from insight.canary.comparison import Compared, Observation, compare
from placet.audit.admin_acts import SYSTEM
from placet.errors import Conflict
from service.canaries.ending import revert
from service.canaries.measuring import AT_ONCE, measured_now
from service.canaries.terms import measures_of
from storage.database import Database
from storage.queries import canaries
from storage.queries.canaries import Measured
from storage.tables.canaries import WorkflowCanary

MOST_COMPARED: Final = 10_000
"""Requests that are compared, the first ones; a canary that is undecided after so many is for people to end."""
NEVER_BEGUN: Final = timedelta(hours=1)
"""After so long, a request that was given a version and has not begun is passed over."""
_REST: Final = 50  # times as long as the last comparison took, before the next one
_log = structlog.get_logger(__name__)


class CanaryMonitor:
    """Watches canaries in turns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, int] = {}  # how many requests were measured when the versions were last compared
        self._again: dict[str, float] = {}  # when they may be compared again, so that this takes 2 % of the time

    async def look(self, now: datetime) -> int:
        """Measure what is due, and compare where something was measured; return how many requests were measured."""
        running = await self._database.look_up(canaries.running)
        self._seen = {name: count for name, count in self._seen.items() if name in running}
        self._again = {name: at for name, at in self._again.items() if name in running}
        measured = 0
        for canary_id in running:
            measured += await self._measure(canary_id, now)
            if time.monotonic() >= self._again.get(canary_id, 0.0):
                await self._compare(canary_id, now)
        return measured

    async def _measure(self, canary_id: str, now: datetime) -> int:
        canary = await self._database.look_up(canaries.get, canary_id)
        total = 0
        while rows := await self._database.read(measured_now, canary, now):
            await self._database.write(canaries.note_measured, canary_id, rows)
            total += len(rows)
            if len(rows) < AT_ONCE:
                break
        return total

    async def _compare(self, canary_id: str, now: datetime) -> None:
        count = await self._database.look_up(canaries.count_measured, canary_id)
        if self._seen.get(canary_id, 0) == count:
            return
        began = time.monotonic()
        canary = await self._database.look_up(canaries.get, canary_id)
        rows = await self._database.read(
            canaries.measured, canary_id, began_before=now - NEVER_BEGUN, limit=MOST_COMPARED
        )
        compared = await asyncio.to_thread(comparison_of, canary, rows)
        figures = [figure(one) for one in compared]
        harmful = next((one for one in figures if one["verdict"] == "harm"), None)
        if harmful is None:
            await self._database.write(canaries.set_figures, canary_id, figures, now)
        else:
            with suppress(Conflict):  # somebody has ended it meanwhile
                await self._database.write(revert, canary_id, SYSTEM, now, figures=figures, harm=harmful)
                _log.warning("canary_reverted", canary=canary_id, process=canary.template, measure=harmful["measure"])
        self._seen[canary_id] = count
        self._again[canary_id] = time.monotonic() + _REST * (time.monotonic() - began)


def comparison_of(canary: WorkflowCanary, rows: Sequence[Measured]) -> tuple[Compared, ...]:
    """Compare the versions of a canary by what was measured."""
    measures = measures_of(canary)
    observations = []
    for row in rows:
        values = {one.name: value for one in measures if (value := getattr(row, one.name)) is not None}
        observations.append(Observation(new=row.arm == "new", values=values))
    chance = chance_of_new(canary.share, canary.people_sample)
    return compare(measures, observations, chance=chance, alpha=canary.alpha)


def figure(one: Compared) -> dict[str, Any]:
    """Return one measure as it is stored and shown."""
    return {
        "measure": one.measure.name,
        "most": one.measure.most,
        "margin": one.measure.margin,
        "either": one.measure.either,
        "new": {"count": one.new.count, "mean": _short(one.new.mean), **_ends(one.new.interval)},
        "old": {"count": one.old.count, "mean": _short(one.old.mean), **_ends(one.old.interval)},
        "difference": _ends(one.difference),
        "verdict": one.verdict,
    }


def _ends(interval: Interval) -> dict[str, float | None]:
    return {"low": _short(interval.low), "high": _short(interval.high)}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
