"""How long the inbox and the lists of tasks and requests take within the server, at very many open tasks.

Timed is one request through the whole ASGI application, from the call until the last byte of its answer, in one warm
process: without sockets, the client, and other requests at the same time. The store is written directly.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection

from api.context import ApiContext
from api.http.authentication import LOOPBACK_COOKIE
from cli.terminal.event_loop import keep_start_up_out_of_collections
from storage.database import Database
from storage.migrate import migrate
from storage.queries.identity import sessions, tokens
from tests.api_desk import no_engine
from tests.approvals import SECRET
from tests.bench import inbox_store, options
from tests.postgresql import Share
from web.app import create_app

DATABASES = ("sqlite", "postgresql")
OPEN = options.stored(10_000, 100_000)
CALLS = 100
FEWEST = 10
LONGEST = options.seconds(10.0)  # that one address is called
WARMING = 5
READERS = {
    "mia": f"who has {inbox_store.FEW} tasks",
    "boss": "who has half of all tasks, and a queue with the other half",
    "audrey": "an auditor, who sees all",
}
TASKS = "/api/v1/workflow/tasks/"
REQUESTS = "/api/v1/workflow/requests/"
PAGES: dict[str, str] = {
    "inbox, by due": "/",
    "inbox, by age": "/?sort=age",
    "inbox, by amount": "/?sort=amount",
    "inbox, queues": "/?tab=queues",
    "inbox, queues by amount": "/?tab=queues&sort=amount",
    "inbox, decided": "/?tab=decided",
    "inbox, decided, a process": "/?tab=decided&template=Purchase",
    "inbox, a process": "/?template=Purchase",
    "inbox, overdue": "/?sla=breached",
    "inbox, search": "/?q=Berlin",
    "inbox, search for something rare": "/?q=krak%C3%B3w",
    "inbox, search for nothing": "/?q=nowhere",
    "inbox, rows": "/live/rows?task=r0000000.1&task=r0000001.1",
    "requests, own": "/requests",
    "requests, all seen": "/requests?whose=all",
    "requests, all seen by due": "/requests?whose=all&sort=due",
    "requests, all seen by age": "/requests?whose=all&sort=age",
    "requests, all seen by end": "/requests?whose=all&sort=ended",
    "requests, all seen by amount": "/requests?whose=all&sort=amount",
    "requests, all seen, pending": "/requests?whose=all&status=pending",
    "requests, all seen, search": "/requests?whose=all&q=krak%C3%B3w",
}
LISTS: dict[str, str] = {
    "tasks of mine, open": f"{TASKS}?assignee=me&status=open",
    "tasks of mine, open, by due": f"{TASKS}?assignee=me&status=open&sort=due",
    "tasks of mine, open, by age": f"{TASKS}?assignee=me&status=open&sort=age",
    "tasks of mine, open, by amount": f"{TASKS}?assignee=me&status=open&sort=amount",
    "tasks of mine, open and overdue": f"{TASKS}?assignee=me&status=open&sla_state=breached",
    "tasks of mine": f"{TASKS}?assignee=me",
    "tasks of mine, by due": f"{TASKS}?assignee=me&sort=due",
    "tasks of mine, by amount": f"{TASKS}?assignee=me&sort=amount",
    "tasks seen": TASKS,
    "tasks seen, by due": f"{TASKS}?sort=due",
    "tasks seen, by amount": f"{TASKS}?sort=amount",
    "tasks seen, open, by due": f"{TASKS}?status=open&sort=due",
    "requests seen": REQUESTS,
    "requests seen, by amount": f"{REQUESTS}?sort=amount",
    "requests seen, pending, by due": f"{REQUESTS}?status=pending&sort=due",
}
_NEXT = re.compile(r'rel="next"[^>]*href="([^"]+)"|href="([^"]+)"[^>]*rel="next"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How long calls of one address took, in seconds, and the processor time of this process at the median."""

    p50: float
    p99: float
    processor: float


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    found: dict[tuple[str, int], dict[tuple[str, str], Cell]] = {}
    share = Share(home, durable=True)
    try:
        for kind in options.what(DATABASES):
            for opened in OPEN:
                name = f"inbox_{opened}"
                if kind == "postgresql":
                    server = await asyncio.to_thread(share.server)
                    server.run(f"CREATE DATABASE {name}")
                    url = server.url(name)
                else:
                    url = f"sqlite:///{home / name}.db"
                await migrate(url)
                database = Database(url)
                try:
                    await inbox_store.fill(database, opened)
                    found[kind, opened] = await _look(database)
                finally:
                    await database.close()
    finally:
        share.close()
    return _table(found)


async def _look(database: Database) -> dict[tuple[str, str], Cell]:
    cells = {}
    client = Client(await no_engine(), database)
    keep_start_up_out_of_collections()  # as every process of the API does
    for person in READERS:
        await client.log_in(person)
        for name, path in {**PAGES, **LISTS}.items():
            cells[person, name] = await client.time(path)
            if (following := _following(path, await client.get(path))) is not None:
                cells[person, f"{name}: next page"] = await client.time(following)
    return cells


class Client:
    """Calls the application in this process as one person, by their session for pages and their token for the API."""

    def __init__(self, engine: Any, database: Database) -> None:
        self._database = database
        context = ApiContext(
            database=database, client=engine, task_queue="nobody", ui_url="http://temporal.test", secret=SECRET
        )
        self._app = create_app(context)
        self._headers: list[tuple[bytes, bytes]] = []

    async def log_in(self, person: str) -> None:
        """Call as this person from now on."""
        now = datetime.now(UTC)

        def logged_in(connection: Connection) -> tuple[str, str]:
            opened = sessions.NewSession(person=person, method="link", expires_at=now + timedelta(hours=8))
            return sessions.open_session(connection, opened, now), tokens.issue(connection, person, ttl=None, now=now)

        cookie, token = await self._database.write(logged_in)
        self._cookie, self._token = f"{LOOPBACK_COOKIE}={cookie}".encode(), f"Bearer {token}".encode()

    async def time(self, path: str, *, calls: int = CALLS) -> Cell:
        """Call an address often, and say how long it took."""
        for _ in range(min(calls, WARMING)):
            await self.get(path)
        taken: list[float] = []
        used: list[float] = []
        until = time.perf_counter() + LONGEST
        while len(taken) < calls and (len(taken) < min(calls, FEWEST) or time.perf_counter() < until):
            begun, before = time.perf_counter(), time.process_time()
            await self.get(path)
            taken.append(time.perf_counter() - begun)
            used.append(time.process_time() - before)
        p99 = statistics.quantiles(taken, n=100, method="inclusive")[98]
        return Cell(p50=statistics.median(taken), p99=p99, processor=statistics.median(used))

    async def get(self, path: str) -> bytes:
        """Call an address and return the body of its answer."""
        parts = urlsplit(path)
        api = parts.path.startswith("/api/")
        header = (b"authorization", self._token) if api else (b"cookie", self._cookie)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), header],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        if sent[0]["status"] != 200:
            raise RuntimeError(f"{path} answered {sent[0]['status']}: {body[:500].decode()}")
        return body


def _following(path: str, body: bytes) -> str | None:
    """Return the address of the page after this one, where there is one."""
    if not path.startswith("/api/"):
        found = _NEXT.search(body.decode())
        return None if found is None else unescape(found[1] or found[2])
    cursor = json.loads(body)["next_cursor"]
    return None if cursor is None else f"{path}{'&' if '?' in path else '?'}cursor={cursor}"


def _written(cell: Cell) -> str:
    return f"{cell.p50 * 1000:.1f} / {cell.p99 * 1000:.1f} ({cell.processor * 1000:.1f})"


def _table(found: Mapping[tuple[str, int], Mapping[tuple[str, str], Cell]]) -> str:
    where = list(found)
    lines = []
    for person, who in READERS.items():
        heads = " | ".join(f"{kind}, {opened:,}" for kind, opened in where)
        lines += [f"| {person}, {who} | {heads} |", f"|---|{'---:|' * len(where)}"]
        for one, name in next(iter(found.values())):
            if one == person:
                cells = (found[place].get((person, name)) for place in where)
                times = (_written(cell) if cell is not None else "" for cell in cells)
                lines.append(f"| {name} | {' | '.join(times)} |")
        lines.append("")
    return "\n".join(lines)
