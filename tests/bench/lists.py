"""How long each page that lists something takes within the server, where there are very many rows of everything.

Timed is one request through the whole ASGI application, as for the inbox. The store is written directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from cli.terminal.event_loop import keep_start_up_out_of_collections
from storage.database import Database
from storage.migrate import migrate
from tests.api_desk import no_engine
from tests.bench import lists_store, options
from tests.bench.inbox import DATABASES, Cell, Client
from tests.postgresql import Share
from web.admin.tables import TABLES

ROWS = 10_000
CALLS = 20  # of one address
PAGES = (
    "/",
    "/?tab=queues",
    "/?tab=decided",
    "/?tab=watching",
    "/requests",
    "/requests?whose=all",
    "/requests/new",
    "/operations",
    "/operations/acts",
    "/operations/acts?kind=person_changed",
    "/operations/deliveries",
    "/operations/webhooks",
    "/operations/people",
    "/operations/people?q=person",
    "/operations/people/boss",
    "/operations/groups",
    "/operations/absences",
    "/operations/tokens",
    "/breaches",
    "/slas",
    "/slas/new",
    "/suggestions",
    "/suggestions?status=all",
    "/simulations",
    "/simulations/new",
    "/event-logs",
    "/drafts",
    "/evidence",
    "/canaries",
    "/costs",
    "/admin",
)
STORED = tuple(f"/admin/{one.table.name}" for group in TABLES.values() for one in group)
READERS = {"adam": "an admin", "olivia": "who owns the processes"}
OF_OWNERS = ("/", "/requests?whose=all", "/breaches", "/slas", "/canaries", "/costs")


def addresses(reader: str) -> tuple[str, ...]:
    """Return which pages a reader opens; an admin those of the tables as well."""
    return (*PAGES, *STORED) if reader == "adam" else OF_OWNERS


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    found: dict[str, dict[tuple[str, str], Cell]] = {}
    share = Share(home, durable=True)
    try:
        for kind in options.what(DATABASES):
            url = f"sqlite:///{home / 'lists.db'}"
            if kind == "postgresql":
                server = await asyncio.to_thread(share.server)
                server.run("CREATE DATABASE lists")
                url = server.url("lists")
            await migrate(url)
            database = Database(url)
            try:
                await lists_store.fill(database, ROWS)
                found[kind] = await _look(database)
            finally:
                await database.close()
    finally:
        share.close()
    return _table(found)


async def _look(database: Database) -> dict[tuple[str, str], Cell]:
    cells = {}
    client = Client(await no_engine(), database)
    keep_start_up_out_of_collections()  # as every process of the API does
    for reader in READERS:
        await client.log_in(reader)
        for path in addresses(reader):
            cells[reader, path] = await client.time(path, calls=CALLS)
    return cells


def _table(found: Mapping[str, Mapping[tuple[str, str], Cell]]) -> str:
    lines = []
    for reader, who in READERS.items():
        lines += [f"| {reader}, {who} | {' | '.join(found)} |", f"|---|{'---:|' * len(found)}"]
        for path in addresses(reader):
            times = (cells[reader, path] for cells in found.values())
            shown = (f"{one.p50 * 1000:.1f} / {one.p99 * 1000:.1f} ({one.processor * 1000:.1f})" for one in times)
            lines.append(f"| `{path}` | {' | '.join(shown)} |")
        lines.append("")
    return "\n".join(lines)
