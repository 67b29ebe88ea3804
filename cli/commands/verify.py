"""`placet verify`: verify audit chains against the database and the engine's history."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from cli import bootstrap
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, errors_as_messages, out, print_json, progress
from placet.errors import NotFound, Unavailable
from service.verification import verify_many
from worker.settings import Settings


async def verify(settings: Settings, requests: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Verify these requests, or all of them. Without an engine, verify only the database rows and say so.

    Return the findings, and the ids of requests that do not exist.
    """
    there = bootstrap.engine_settings(settings)
    async with bootstrap.open_database(require_installation(settings)) as database:
        try:
            client = await bootstrap.connect_client(there)
        except Unavailable as error:
            progress(f"only the database rows are verified: {error.message}")
            client = None
        verified = await verify_many(database, client, requests)
    results = [
        {"id": request_id, **found["rows"], "ok": found["ok"], "engine_head": found["engine_head"]}
        for request_id, found in verified.found
    ]
    return results, list(verified.unknown)


def show(results: list[dict[str, Any]]) -> None:
    """Print one line for each request."""
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
    """Describe the faults of one request's audit chain in words."""
    found = []
    if result["first_bad_seq"] is not None:
        found.append(
            f"entry {result['first_bad_seq']} was changed after it was recorded, or does not follow the entry before it"
        )
    if result["first_bad_delivery"] is not None:
        found.append(f"delivery {result['first_bad_delivery']} is not as it was recorded")
    found += [f"{what} is not as the entries tell it" for what in result["differs"]]
    if result["engine_head"] not in {None, result["head"]}:
        found.append(f"its last entry has the hash {result['head']}, and the engine's history {result['engine_head']}")
    return found


def verify_command(
    requests: Annotated[
        list[str] | None, typer.Argument(help="Ids of requests; without them, all requests are verified.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify audit chains against the database and the engine's history. The exit code is 1 if one is broken."""
    results, unknown = run(verify(settings_with(), requests or []))
    well = all(r["ok"] for r in results)
    if as_json:
        print_json({"ok": well and not unknown, "requests": results, "unknown": unknown})
    else:
        show(results)
    if not well:
        raise typer.Exit(EXIT_FAILED)
    with errors_as_messages():
        if unknown:
            raise NotFound(f"There is no request {', '.join(unknown)} here; `GET /workflow/requests/` lists them.")
