"""Verify audit chains: the database rows in themselves, and against the engine's history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from temporalio.client import Client

from placet.errors import NotFound, Unavailable, Unseen
from service.attachments.attachments import missing
from service.context import Context
from service.engine.client import head_of
from service.principal import Principal
from service.visibility import seen_request
from storage.database import Database
from storage.queries.requests import request_rows
from storage.queries.requests.attachments import attachments_of
from storage.recording.verify import VerifiedRows, verify_rows

# A request that goes on while it is looked at differs for a moment: rows are there before history holds them. It is
# looked at so often, and a little later each time, in seconds.
_LOOKS, _PAUSE = 5, 0.2
_AT_ONCE = 8  # of many requests; the engine answers a query in milliseconds, most of which are waiting
_TRIES = 3  # one of many that is answered late does not end the whole


# How long a page waits for the engine, each time that it asks it; it then shows what the rows alone say.
_PATIENCE = 2.0


class Verification(TypedDict):
    """What was found. `engine_head` is None where the engine was not asked, or no longer has the request.

    `engine_away` is true where it was asked and did not answer: then only the rows were verified.
    """

    ok: bool
    rows: VerifiedRows
    engine_head: str | None
    engine_away: bool


@dataclass(frozen=True, kw_only=True)
class Verifications:
    """The verifications by request id, and the ids that do not exist."""

    found: tuple[tuple[str, Verification], ...]
    unknown: tuple[str, ...]


async def verify(
    database: Database, client: Client | None, request_id: str, *, patience: float | None = None
) -> Verification:
    """Recompute a request's chains from the rows, and compare the head with history's where there is a client.

    Raises Unavailable where the engine or the database does not answer, and TimeoutError where the engine takes more
    than `patience` seconds for one answer.
    """
    for look in range(_LOOKS):
        await asyncio.sleep(look * _PAUSE)
        async with asyncio.timeout(patience):
            engine_head = await head_of(client, request_id) if client is not None else None
        rows = await database.read(verify_rows, request_id)
        if engine_head in {None, rows["head"]}:
            break
    holds = rows["ok"] and engine_head in {None, rows["head"]}
    return Verification(ok=holds, rows=rows, engine_head=engine_head, engine_away=False)


async def verify_for(context: Context, principal: Principal, request_id: str) -> Verification:
    """Verify a request for somebody; raises NotFound where that person may see none, and Unavailable."""
    await context.database.read(_require_seen, context, principal, request_id)
    return await _with_files(context, request_id, await verify(context.database, context.client, request_id))


async def verify_as_far_as_can_be(context: Context, principal: Principal, request_id: str) -> Verification:
    """Do what `verify_for` does; where the engine does not answer soon, verify the rows without it."""
    await context.database.read(_require_seen, context, principal, request_id)
    try:
        found = await verify(context.database, context.client, request_id, patience=_PATIENCE)
    except (Unavailable, TimeoutError):
        alone = await verify(context.database, None, request_id)
        found = Verification(ok=alone["ok"], rows=alone["rows"], engine_head=None, engine_away=True)
    return await _with_files(context, request_id, found)


async def _with_files(context: Context, request_id: str, found: Verification) -> Verification:
    """Return what was found, with the files that the store lacks or holds otherwise."""
    attached = await context.database.read(attachments_of, request_id)
    if lost := await missing(context.files, request_id, attached):
        rows = found["rows"]
        differs = [*rows["differs"], *(f"attachments/{n}" for n in lost)]
        return Verification(
            ok=False,
            rows={**rows, "differs": differs},
            engine_head=found["engine_head"],
            engine_away=found["engine_away"],
        )
    return found


async def verify_many(database: Database, client: Client | None, requests: Sequence[str] = ()) -> Verifications:
    """Verify these requests, or all of them. Raises Unavailable where one is not answered several times."""
    known = await database.read(request_rows.all_ids)
    ids = [request_id for request_id in requests if request_id in known] if requests else sorted(known)
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(request_id: str) -> Verification:
        async with turn:
            for _ in range(_TRIES - 1):
                try:
                    return await verify(database, client, request_id)
                except Unavailable:
                    continue
            return await verify(database, client, request_id)

    found = await asyncio.gather(*map(one, ids))
    unknown = tuple(request_id for request_id in requests if request_id not in known)
    return Verifications(found=tuple(zip(ids, found, strict=True)), unknown=unknown)


def _require_seen(connection: Connection, context: Context, principal: Principal, request_id: str) -> None:
    try:
        seen_request(connection, principal, request_id, context.now())
    except Unseen:
        raise
    except NotFound:
        if not (verify_rows(connection, request_id))["entries"]:
            raise  # otherwise the request's own row is gone, and its entries are not
    except (ValueError, DBAPIError):
        return  # a row that was edited into nonsense: that is what is to be found out
