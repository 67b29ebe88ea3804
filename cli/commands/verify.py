"""`placet verify`: the audit chains, against their rows and against the engine's history."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from api import verifying
from cli import assembly
from cli.installation import installed
from cli.terminal.invocation import Json, settings_with
from cli.terminal.output import NO, explained, out, print_json, progress
from cli.terminal.running import run
from placet.errors import NotFound, Unavailable
from storage.database import Database
from storage.tables.approvals import ApprovalRequest, AuditEntry
from worker.settings import Settings

_AT_ONCE = 8  # the engine answers a query in milliseconds, most of which are waiting
_TRIES = 3  # one of many that is answered late does not end the command


async def verify(settings: Settings, requests: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Check these requests, or all of them; without an engine the rows alone are checked, and that is said.

    Returns what was found, and which of the requests there are none of.
    """
    there = assembly.engine_settings(settings)
    async with assembly.open_database(installed(settings)) as database:
        try:
            client = await assembly.connected(there)
        except Unavailable as error:
            progress(f"only the rows are checked: {error.message}")
            client = None
        async with database.session() as session:
            known = set((await session.scalars(select(col(ApprovalRequest.id)))).all()) | set(
                (await session.scalars(select(col(AuditEntry.request_id)).distinct())).all()
            )
        ids = [request_id for request_id in requests if request_id in known] if requests else sorted(known)
        turn = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(*(_one(database, client, request_id, turn) for request_id in ids))
        return list(found), [request_id for request_id in requests if request_id not in known]


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
    for r in results:
        for why in _why(r):
            out.print(f"{r['id']}: {why}", markup=False, soft_wrap=True)


def _why(result: dict[str, Any]) -> list[str]:
    """Say in words what does not hold about one request."""
    found = []
    if result["first_bad_seq"] is not None:
        found.append(f"entry {result['first_bad_seq']} is not as it was recorded, or does not follow the one before it")
    if result["first_bad_delivery"] is not None:
        found.append(f"delivery {result['first_bad_delivery']} is not as it was recorded")
    found += [f"{what} is not as the entries tell it" for what in result["differs"]]
    if result["engine_head"] not in {None, result["head"]}:
        found.append(f"its last entry has the hash {result['head']}, and the engine's history {result['engine_head']}")
    return found


def verify_command(
    requests: Annotated[list[str] | None, typer.Argument(help="Ids of requests; all of them, if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Check audit chains against their rows and the engine's history; exit code 1 where one does not hold."""
    results, unknown = run(verify(settings_with(), requests or []))
    well = all(r["ok"] for r in results)
    if as_json:
        print_json({"ok": well and not unknown, "requests": results, "unknown": unknown})
    else:
        show(results)
    if not well:
        raise typer.Exit(NO)
    with explained():
        if unknown:
            raise NotFound(f"There is no request {', '.join(unknown)} here; `GET /workflow/requests/` lists them.")
