"""Shadows: this process feeds them live requests, and takes over shadows of processes that died.

A shadow compares running requests with a candidate version. The process that runs it renews a lease; another takes
over when the lease has expired."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from placet.errors import Conflict, PlacetError, Unavailable
from placet.sentences import sentence
from service.pool.pool import ProcessPool
from service.simulations.jobs import unfit
from service.visibility import viewer_by_id
from simulation.modes.shadow import Shadow
from simulation.report.result import json_value, with_sentences
from simulation.scenario.spec import parse_spec
from storage.database import Database
from storage.queries.simulations import shadows, simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow

log = logging.getLogger(__name__)

MOST = 10  # shadows that run at the same time
_EVERY = 1.0  # seconds between polls
_HELD = timedelta(seconds=15)  # the lease of a shadow; another process may take it over afterwards
_RENEW = timedelta(seconds=5)
_TAKE_OVER = 5.0  # seconds between polls for shadows without a process
_TOLD = 200  # rows that a reader gets at a time


@dataclass(kw_only=True)
class _Feeding:
    """One shadow that this process runs."""

    task: asyncio.Task[None] | None = None
    looked: asyncio.Event = field(default_factory=asyncio.Event)


class Shadows:
    """The shadows that this process runs."""

    def __init__(self, database: Database, pool: ProcessPool, *, clock: Callable[[], datetime]) -> None:
        self._database, self._pool, self._clock = database, pool, clock
        self._me = uuid.uuid4().hex
        self._fed: dict[str, _Feeding] = {}

    async def watch(self) -> None:
        """Run every shadow that no other process runs. When cancelled, release them for other processes."""
        try:
            while True:
                with suppress(Unavailable):
                    standing = await self._database.read(shadows.standing)
                    for row in standing:
                        self._feed(row)
                await asyncio.sleep(_TAKE_OVER)
        finally:
            await self.stop()

    async def begin(self, row: WorkflowSimulation, *, patience: float) -> None:
        """Store a new shadow and run it; return after its first poll, or after `patience` seconds. Raises Conflict."""

        def store(connection: Connection) -> bool:
            if shadows.count(connection) >= MOST:
                raise Conflict(
                    sentence("There are already {most} shadows; cancel one before you start another.", most=MOST)
                )
            return simulations.insert(connection, row)

        if not await self._database.write(store):
            return  # a repeat, while another process casts it
        feeding = self._feed(row)
        with suppress(TimeoutError):
            await asyncio.wait_for(feeding.looked.wait(), patience)

    def end(self, simulation_id: str) -> None:
        """Stop running a shadow that has ended."""
        feeding = self._fed.get(simulation_id)
        if feeding is not None and feeding.task is not None:
            feeding.task.cancel()

    async def stop(self) -> None:
        """Stop all shadows here, and release them for other processes."""
        tasks = [feeding.task for feeding in self._fed.values() if feeding.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Unavailable):
            await self._database.write(shadows.leave, self._me)

    def _feed(self, row: WorkflowSimulation) -> _Feeding:
        if row.id not in self._fed:
            self._fed[row.id] = feeding = _Feeding()
            feeding.task = asyncio.create_task(self._go_on(row, feeding))
        return self._fed[row.id]

    async def _go_on(self, row: WorkflowSimulation, feeding: _Feeding) -> None:
        try:
            await self._until_over(row, feeding)
        except PlacetError as fault:
            await self._end(row.id, "failed", error=fault.message, result=unfit(fault))
        except Exception as fault:  # any error ends the shadow, which stores it
            log.exception("shadow %s failed", row.id)
            await self._end(row.id, "failed", error=f"{type(fault).__name__}: {fault}"[:1000])
        finally:
            feeding.looked.set()
            del self._fed[row.id]

    async def _until_over(self, row: WorkflowSimulation, feeding: _Feeding) -> None:
        spec = parse_spec(row.question)
        ends = row.created_at + timedelta(hours=spec.for_hours)
        shadow = Shadow(spec=spec, since=row.created_at, ends=ends, viewer=row.created_by)
        revision, renewed, left_out = -1, None, 0
        while True:
            now = self._clock()
            try:
                if renewed is None or now - renewed > _RENEW:
                    if not await self._database.write(shadows.follow, row.id, by=self._me, now=now, until=now + _HELD):
                        return
                    renewed = now
                    # What they may see is asked again and again, for a shadow stands for days.
                    shadow.set_viewer(await self._database.read(viewer_by_id, row.created_by))
                if revision < 0:
                    known = await self._database.read(simulation_rows.known, row.id)
                    shadow.resume({request_id: position for request_id, (position, _) in known.items()})
                    revision = max((number for _, number in known.values()), default=0)
                rows = await shadow.poll(self._database, self._pool.run, now)
                if rows or shadow.left_out != left_out or not feeding.looked.is_set():
                    left_out = shadow.left_out
                    written = [(position, json_value(found)) for position, found in rows]
                    kept = await self._database.write(self._keep, row.id, shadow.described(), written, revision)
                    if kept is None:
                        return
                    revision = kept
                feeding.looked.set()
                if shadow.finished(now):
                    await self._end(row.id, "completed", result=shadow.described())
                    return
            except Unavailable as away:
                log.warning("shadow %s waits: %s", row.id, away.message)
            await asyncio.sleep(_EVERY)

    def _keep(
        self,
        connection: Connection,
        simulation_id: str,
        result: dict[str, Any],
        rows: Sequence[tuple[int, Any]],
        revision: int,
    ) -> int | None:
        """Store what a shadow has come to; returns the revision, or None where it is no longer this process's."""
        if not shadows.keep(connection, simulation_id, by=self._me, result=with_sentences(result)):
            return None
        return simulation_rows.put(connection, simulation_id, rows, revision=revision)

    async def _end(
        self, simulation_id: str, status: str, *, result: dict[str, Any] | None = None, error: str | None = None
    ) -> None:
        told = None if result is None else with_sentences(result)
        now = self._clock()
        await self._database.write(simulations.finish, simulation_id, status=status, now=now, result=told, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An update about a shadow: new rows with their revisions, and the totals; `ended` is true after the last one.

    An empty update says that the shadow still runs.
    """

    rows: tuple[tuple[int, dict[str, Any]], ...] = ()
    totals: Any = None
    ended: bool = False


async def follow(database: Database, simulation_id: str, *, after: int = 0) -> AsyncIterator[News]:
    """Yield the updates of a shadow from a revision on, until it has ended."""
    silent = 0.0
    while True:
        row, found = await database.read(_news, simulation_id, after)
        if found:
            after = found[-1].revision
            rows = tuple((one.revision, one.row) for one in found)
            yield News(rows=rows, totals=(row.result or {}).get("totals"))
            silent = 0.0
        elif row.status != "running":
            yield News(ended=True)
            return
        elif silent == 0.0 or silent > _TAKE_OVER:
            yield News()
            silent = 0.0
        if len(found) < _TOLD:
            await asyncio.sleep(_EVERY / 2)
            silent += _EVERY / 2


def _news(
    connection: Connection, simulation_id: str, after: int
) -> tuple[WorkflowSimulation, Sequence[WorkflowSimulationRow]]:
    row = simulations.get(connection, simulation_id)
    return row, simulation_rows.since(connection, simulation_id, after, limit=_TOLD)
