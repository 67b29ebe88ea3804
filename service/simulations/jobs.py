"""Background jobs of simulations: run them in this process, stream their progress, cancel them, store their results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from placet.errors import Busy, PlacetError, Problem, Unavailable
from placet.sentences import sentence
from service.simulations.simulator import Simulator, failed
from simulation.report.result import problem_json, with_sentences
from simulation.scenario.spec import SimulationSpec
from storage.database import Database
from storage.queries.simulations import simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulation

log = logging.getLogger(__name__)

AT_ONCE = 2  # simulations that run at the same time in one process; further ones are queued
MOST_RUNNING = 64  # running and queued simulations of one process
MOST_OF_ONE = 16  # running and queued simulations of one person
MOST_TOLD = 2000  # progress events of one simulation that are kept for later readers
HELD = timedelta(seconds=30)  # a simulation whose process has not renewed its lease for so long has failed
_RETRY_AFTER = 10  # seconds
_EVERY = 5.0  # seconds between renewals of the lease
_POLL = 0.25  # seconds between polls of a simulation that another process runs


@dataclass
class SimulationJob:
    """A simulation running in this process, with its progress so far."""

    by: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    ended: bool = False

    def tell(self, what: dict[str, Any]) -> None:
        """Keep a progress event and wake the readers."""
        if len(self.told) < MOST_TOLD:
            self.told.append(what)
        self.wake()

    def wake(self) -> None:
        """Wake the readers; the next progress has a new event."""
        self.news.set()
        self.news = asyncio.Event()


class SimulationJobs:
    """The simulations that this process runs."""

    def __init__(self, database: Database, simulator: Simulator, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._simulator = simulator
        self._running: dict[str, SimulationJob] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._stopping = False

    async def watch(self) -> None:
        """Renew the leases of this process, and fail those of dead processes. Stop all when cancelled."""
        try:
            while True:
                with suppress(Unavailable):
                    await self._look()
                await asyncio.sleep(_EVERY)
        finally:
            self._stopping = True
            tasks = [job.task for job in self._running.values() if job.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        now = self._clock()
        if self._running:
            await self._database.write(simulations.hold, list(self._running), until=now + HELD)
        left = await self._database.read(simulations.abandoned, now)
        if left:
            await self._database.write(simulations.close, left, now)

    @property
    def at_hand(self) -> int:
        """How many simulations run or are queued in this process."""
        return len(self._running)

    def admit(self, person: str) -> None:
        """Raise Busy if this process or this person has too many simulations."""
        mine = sum(job.by == person for job in self._running.values())
        if len(self._running) >= MOST_RUNNING or mine >= MOST_OF_ONE:
            message = f"{len(self._running)} simulations run or are queued here, {mine} of them yours"
            raise Busy(
                sentence("{message}; nothing has happened. Try again when they have ended.", message=message),
                retry_after=_RETRY_AFTER,
            )

    def start(
        self, row: WorkflowSimulation, spec: SimulationSpec, *, requester: str, viewer: str | None
    ) -> SimulationJob:
        """Run a stored simulation in the background. It uses the requests that `viewer` may see (None: all)."""
        job = self._running[row.id] = SimulationJob(by=row.created_by)
        job.task = asyncio.create_task(self._run(row.id, job, spec, requester, viewer))
        return job

    async def answered(
        self, spec: SimulationSpec, *, requester: str, viewer: str | None, simulation_id: str
    ) -> dict[str, Any]:
        """Run a simulation now and return its result."""
        return await self._simulator.carry_out(
            spec, requester=requester, viewer=viewer, simulation_id=simulation_id, now=self._clock()
        )

    async def ended(self, simulation_id: str, *, patience: float) -> None:
        """Wait for a simulation of this process, at most `patience` seconds."""
        job = self._running.get(simulation_id)
        if job is not None and job.task is not None:
            await asyncio.wait([job.task], timeout=patience)

    def cancel(self, simulation_id: str) -> None:
        """Cancel a simulation of this process."""
        job = self._running.get(simulation_id)
        if job is not None and job.task is not None:
            job.task.cancel()

    async def events(self, simulation_id: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the progress of a simulation from its beginning until it has ended."""
        job = self._running.get(simulation_id)
        if job is None:
            while await self._still(simulation_id):
                yield {}
                await asyncio.sleep(_POLL)
            return
        seen = 0
        while True:
            news = job.news
            while seen < len(job.told):
                yield job.told[seen]
                seen += 1
            if job.ended:
                return
            await news.wait()

    async def _still(self, simulation_id: str) -> bool:
        return (await self._database.read(simulations.get, simulation_id)).status == "running"

    async def _run(
        self, simulation_id: str, job: SimulationJob, spec: SimulationSpec, requester: str, viewer: str | None
    ) -> None:
        status, result, error = "failed", None, None
        try:
            async with self._turn:
                result = await self._simulator.carry_out(
                    spec,
                    requester=requester,
                    viewer=viewer,
                    simulation_id=simulation_id,
                    now=self._clock(),
                    tell=job.tell,
                )
            status = "failed" if failed(result) else "completed"
        except asyncio.CancelledError:
            status, error = "cancelled", "cancelled"
            if self._stopping:
                status, error = "failed", "the process that ran the simulation was stopped; start the simulation again"
        except PlacetError as fault:
            error, result = fault.message, unfit(fault)
        except TimeoutError:
            error = "the simulation took too long and was stopped; simulate less at once"
        except Exception as fault:  # any error ends the simulation, which stores it
            log.exception("simulation %s failed", simulation_id)
            error = f"{type(fault).__name__}: {fault}"[:1000]
        try:
            await self._database.write(_finish, simulation_id, status, self._clock(), result, error)
        finally:
            job.ended = True
            job.wake()
            del self._running[simulation_id]


def _finish(  # noqa: PLR0917 - what a simulation ends with
    connection: Connection,
    simulation_id: str,
    status: str,
    now: datetime,
    result: dict[str, Any] | None,
    error: str | None,
) -> None:
    rows = (result or {}).pop("rows", ())
    result = None if result is None else with_sentences(result)
    if simulations.finish(connection, simulation_id, status=status, now=now, result=result, error=error) and rows:
        simulation_rows.put(connection, simulation_id, enumerate(rows, 1), revision=0)


def unfit(fault: PlacetError) -> dict[str, Any] | None:
    """Return the result of a simulation whose spec has faults; None if the error names no place."""
    problems: Sequence[Problem] = getattr(fault, "problems", ())
    return {"validation_errors": [problem_json(problem) for problem in problems]} if problems else None
