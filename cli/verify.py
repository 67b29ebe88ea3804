"""`placet verify`: the audit chains, against their rows and against the engine's history."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from api.engine import head_of
from cli import assembly
from cli.output import out, progress
from placet.errors import Unavailable
from storage.database import Database
from storage.tables import ApprovalRequest, AuditEntry
from storage.verify import verify_rows
from worker.settings import Settings

# A request that goes on while it is looked at differs for a moment; so often it is looked at again.
_LOOKS = 3


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
        return [await _one(database, client, request_id) for request_id in ids]


async def _one(database: Database, client: Client | None, request_id: str) -> dict[str, Any]:
    # The engine is asked first: what is recorded while we look can only make the rows newer than its head.
    for _ in range(_LOOKS):
        engine_head = await head_of(client, request_id) if client is not None else None
        async with database.session() as session:
            found = await verify_rows(session, request_id)
        if engine_head in {None, found["head"]}:
            break
    ok = found["ok"] and engine_head in {None, found["head"]}
    return {"id": request_id, **found, "ok": ok, "engine_head": engine_head}


def show(results: list[dict[str, Any]]) -> None:
    """Print what was checked, a line for each request."""
    table = Table(box=None)
    for name in ("request", "holds", "entries", "first bad", "head"):
        table.add_column(name)
    for r in results:
        holds = "[green]yes[/green]" if r["ok"] else "[red]NO[/red]"
        table.add_row(r["id"], holds, str(r["entries"]), str(r["first_bad_seq"] or ""), (r["head"] or "")[:16])
    out.print(table)
