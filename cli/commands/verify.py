"""`placet verify`: the audit chains, against their rows and against the engine's history."""

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
    """Check these requests, or all of them; without an engine the rows alone are checked, and that is said.

    Returns what was found, and which of the requests there are none of.
    """
    there = bootstrap.engine_settings(settings)
    async with bootstrap.open_database(require_installation(settings)) as database:
        try:
            client = await bootstrap.connect_client(there)
        except Unavailable as error:
            progress(f"only the rows are checked: {error.message}")
            client = None
        verified = await verify_many(database, client, requests)
    results = [
        {"id": request_id, **found["rows"], "ok": found["ok"], "engine_head": found["engine_head"]}
        for request_id, found in verified.found
    ]
    return results, list(verified.unknown)


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
        raise typer.Exit(EXIT_FAILED)
    with errors_as_messages():
        if unknown:
            raise NotFound(f"There is no request {', '.join(unknown)} here; `GET /workflow/requests/` lists them.")
