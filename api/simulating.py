"""Simulations on their way: started here, told about while they run, cancelled, and kept with their answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette

from api.context import Context
from placet.errors import PlacetError
from simulation.order import Order
from simulation.service import Service, failed
from storage import simulations
from storage.simulation_tables import WorkflowSimulation
from worker.connect import EngineSettings

log = logging.getLogger(__name__)

AT_ONCE = 2  # in one process; further ones wait
MOST_TOLD = 2000  # progress of one simulation that is kept for who looks later
_POLL = 0.25  # seconds between looks at a simulation that another process runs


@dataclass
class Job:
    """One simulation that this process runs: what it told so far."""

    told: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    ended: bool = False

    def tell(self, what: dict[str, Any]) -> None:
        """Keep what the simulation tells, and wake whoever listens."""
        if len(self.told) < MOST_TOLD:
            self.told.append(what)
        self.wake()

    def wake(self) -> None:
        """Wake whoever listens; the next news are another event's."""
        self.news.set()
        self.news = asyncio.Event()


class Jobs:
    """The simulations that this process runs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: dict[str, Job] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.service = Service(
            database=context.database,
            client=context.client,
            rehearsals=EngineSettings.read().rehearsal_namespace,
            ui_url=context.ui_url,
        )

    def start(self, row: WorkflowSimulation, order: Order, *, requester: str) -> Job:
        """Run a stored simulation beside the calls."""
        job = self._running[row.id] = Job()
        job.task = asyncio.create_task(self._run(row.id, job, order, requester))
        return job

    def running(self, simulation_id: str) -> Job | None:
        """Return the job of a simulation that runs here."""
        return self._running.get(simulation_id)

    def cancel(self, simulation_id: str) -> None:
        """Stop a simulation that runs here."""
        job = self._running.get(simulation_id)
        if job is not None and job.task is not None:
            job.task.cancel()

    async def events(self, simulation_id: str) -> AsyncIterator[dict[str, Any]]:
        """Yield what a simulation tells until it has ended, from its beginning."""
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
        async with self._context.database.session() as session:
            return (await simulations.get(session, simulation_id)).status == "running"

    async def _run(self, simulation_id: str, job: Job, order: Order, requester: str) -> None:
        status, result, error = "failed", None, None
        try:
            async with self._turn:
                result = await self.service.carry_out(
                    order, requester=requester, simulation_id=simulation_id, now=datetime.now(UTC), tell=job.tell
                )
            status = "failed" if failed(result) else "completed"
        except asyncio.CancelledError:
            status, error = "cancelled", "cancelled"
        except PlacetError as fault:
            error = fault.message
        except TimeoutError:
            error = "it took too long and was given up"
        except Exception as fault:  # whatever it is, the simulation has ended and says so
            log.exception("simulation %s failed", simulation_id)
            error = f"{type(fault).__name__}: {fault}"[:1000]
        try:
            async with self._context.database.begin() as session:
                await simulations.finish(
                    session, simulation_id, status=status, now=datetime.now(UTC), result=result, error=error
                )
        finally:
            job.ended = True
            job.wake()
            del self._running[simulation_id]


def jobs_of(app: Starlette) -> Jobs:
    """Return the jobs of this application."""
    found: Jobs | None = getattr(app.state, "simulation_jobs", None)
    if found is None:
        found = app.state.simulation_jobs = Jobs(app.state.context)
    return found


def event(name: str, data: Any) -> str:
    """Write one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
