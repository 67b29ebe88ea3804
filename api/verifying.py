"""Verify a request: its rows against themselves, and against the engine's history."""

from __future__ import annotations

import asyncio
from typing import TypedDict

from temporalio.client import Client

from api.engine import head_of
from storage.database import Database
from storage.recording.verify import VerifiedRows, verify_rows

# A request that goes on while it is looked at differs for a moment: rows are there before history holds them. It is
# looked at so often, and a little later each time, in seconds.
_LOOKS, _PAUSE = 5, 0.2


class Verification(TypedDict):
    """What was found. `engine_head` is None where the engine was not asked, or no longer has the request."""

    ok: bool
    rows: VerifiedRows
    engine_head: str | None


async def verify(database: Database, client: Client | None, request_id: str) -> Verification:
    """Recompute a request's chains from the rows, and compare the head with history's where there is a client.

    Raises Unavailable where the engine or the database does not answer.
    """
    for look in range(_LOOKS):
        await asyncio.sleep(look * _PAUSE)
        engine_head = await head_of(client, request_id) if client is not None else None
        async with database.session() as session:
            rows = await verify_rows(session, request_id)
        if engine_head in {None, rows["head"]}:
            break
    return Verification(ok=rows["ok"] and engine_head in {None, rows["head"]}, rows=rows, engine_head=engine_head)
