"""`placet verify`: the audit chains, against their rows and against the engine's history."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.table import Table
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from api import verifying
from cli import assembly
from cli.output import out, progress
from placet.errors import Unavailable
from storage.database import Database
from storage.tables import ApprovalRequest, AuditEntry
from worker.settings import Settings

_AT_ONCE = 8  # the engine answers a query in milliseconds, most of which are waiting
_TRIES = 3  # one of many that is answered late does not end the command


async def verify(settings: Settings, requests: list[str]) -> list[dict[str, Any]]:
    """Check these requests, or all of them; without an engine the rows alone are checked, and that is said."""
    there = assembly.engine_settings(settings)
    async with assembly.open_database(settings) as database:
        try:
            client = await assembly.connected(there)
        except Unavailable as error:
            progress(f"only the rows are checked: {error.message}")
            client = None
        async with database.session() as session:
            ids = requests or sorted(
                set((await session.scalars(select(col(ApprovalRequest.id)))).all())
                | set((await session.scalars(select(col(AuditEntry.request_id)).distinct())).all())
            )
        turn = asyncio.Semaphore(_AT_ONCE)
        return list(await asyncio.gather(*(_one(database, client, request_id, turn) for request_id in ids)))


async def _one(database: Database, client: Client | None, request_id: str, turn: asyncio.Semaphore) -> dict[str, Any]:
    async with turn:
        for left in reversed(range(_TRIES)):
            try:
                found = await verifying.verify(database, client, request_id)
                break
            except Unavailable:
                if not left:
                    raise
    return {"id": request_id, **found["rows"], "ok": found["ok"], "engine_head": found["engine_head"]}


def show(results: list[dict[str, Any]]) -> None:
    """Print what was checked, a line for each request."""
    table = Table(box=None)
    for name in ("request", "holds", "entries", "first bad", "head"):
        table.add_column(name)
    for r in results:
        holds = "[green]yes[/green]" if r["ok"] else "[red]NO[/red]"
        table.add_row(r["id"], holds, str(r["entries"]), str(r["first_bad_seq"] or ""), (r["head"] or "")[:16])
    out.print(table)
