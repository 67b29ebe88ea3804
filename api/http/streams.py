"""Server-sent events about a simulation or a shadow while it runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

from api.context import ApiContext
from api.schemas.simulations import SimulationView
from service.simulations.shadows import follow
from service.simulations.simulations import with_rows
from storage.queries.simulations import simulations

_STILL_RUNNING = ": still running\n\n"


def streamed(events: AsyncIterator[str]) -> StreamingResponse:
    """Return a response that sends these events as they come."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def simulation_events(context: ApiContext, simulation_id: str) -> AsyncIterator[str]:
    """Yield progress and branches, from the first one on, and at the end the whole result."""
    branches = 0
    async for news in context.jobs.events(simulation_id):
        if "branch" in news:
            branches += 1
            yield _event("branch", news["branch"])
        else:
            yield _event("progress", news) if news else _STILL_RUNNING
    status, answer = await _answer(context, simulation_id)
    for branch in answer["branch_explorations"][branches:]:
        yield _event("branch", branch)
    yield _event(status, answer)


async def shadow_events(context: ApiContext, simulation_id: str, *, after: int = 0) -> AsyncIterator[str]:
    """Yield the rows of a shadow from a revision on, and at the end the whole result."""
    async for news in follow(context.database, simulation_id, after=after):
        for revision, row in news.rows:
            yield _event("row", row, ident=revision)
        if news.ended:
            yield _event(*await _answer(context, simulation_id))
        else:
            yield _event("totals", news.totals) if news.rows else _STILL_RUNNING


async def _answer(context: ApiContext, simulation_id: str) -> tuple[str, dict[str, Any]]:
    """Return a simulation's status, and its result as JSON."""
    found = await context.database.read(
        lambda connection: with_rows(connection, simulations.get(connection, simulation_id))
    )
    return found.row.status, SimulationView.of(found).model_dump(mode="json")


def _event(name: str, data: Any, *, ident: int | None = None) -> str:
    """Format one server-sent event. After an interruption a client sends the last `ident` and gets the later events."""
    place = f"id: {ident}\n" if ident is not None else ""
    return f"event: {name}\n{place}data: {json.dumps(data, ensure_ascii=False)}\n\n"
