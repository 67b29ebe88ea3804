"""Evaluate changes of processes for a command, which has no context of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.database import migrated_database
from service.pool.pool import processes
from service.simulations.simulator import Simulator
from service.suggestions.evaluation import Evaluator
from worker.settings import Settings


@asynccontextmanager
async def evaluating(settings: Settings) -> AsyncIterator[Evaluator]:
    """Open the database and the processes for heavy work, and yield what proves and backtests a change there."""
    async with migrated_database(settings) as database, processes(settings.limits) as pool:
        simulator = Simulator(database=database, pool=pool)
        yield Evaluator(database=database, pool=pool, simulator=simulator, clock=database.now)
