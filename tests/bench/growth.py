"""What grows with requests in the store and with requests that wait: speed, latency, memory, bytes, the start.

Requests that have ended are copied in the store (tests.bench.seed); those that wait are started through the API, so the
engine holds a timer for each. With BENCH_HOME the folder is kept, and the next run goes on with what waits there.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import time
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from temporalio.client import WorkflowHandle, WorkflowQueryFailedError

from storage.database import Database
from storage.migrate import migrate
from tests.approvals import EXPENSE, PEOPLE
from tests.bench import options, processor_time, seed, turns
from tests.bench.contenders import through_http
from tests.bench.turns import Contender, Sample
from tests.postgresql import Server, Share
from tests.processes import Caller, Installation, installation
from tests.waiting import until
from worker.connect import EngineSettings, connect
from workflows.approval import ApprovalWorkflow

DATABASES = ("sqlite", "postgresql")
STORED = options.stored(1_000, 10_000, 100_000)
PENDING = {"sqlite": options.pending(0, 10_000), "postgresql": options.pending(0)}
IN_FLIGHT = options.in_flight(16)[0]
SECONDS = options.seconds(8.0)
MODELS = 20  # requests that have ended, of which the others are copies
CALLS = 100  # for each latency
_MOST_CACHED = 10_000  # requests that one worker is made to keep: 1.2 GB
SETTLES, IDLES = 3.0, 7.0  # seconds after a start, and seconds in which nothing happens
STAFF = 200  # who ask; half of them ask `boss`, the others twenty managers
LISTS = {
    "inbox of few": ("m3", "tasks/?assignee=me&status=open"),
    "inbox of many": ("boss", "tasks/?assignee=me&status=open"),
    "inbox of many by due": ("boss", "tasks/?assignee=me&status=open&sort=due"),
    "all requests": ("olivia", "requests/"),
    "breached tasks": ("olivia", "tasks/?status=open&sla_state=breached"),
}


@dataclass(kw_only=True)
class Cell:
    """What was seen with so many requests stored and so many pending; times in seconds, sizes in bytes."""

    database: str
    stored: int
    pending: int
    started: float = 0.0  # from the command until it is ready
    started_used: float = 0.0  # processor time of that, without the engine's
    idle: float = 0.0  # share of a processor that all processes use while nothing happens
    sample: Sample = field(default_factory=Sample)
    lists: dict[str, float] = field(default_factory=dict)  # p99
    scrape: float = 0.0
    memory: Counter[str] = field(default_factory=Counter)
    store_bytes: float = 0.0  # in the store for a request that has ended
    engine_bytes: float = 0.0  # in the engine's database, whole


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    home = options.home(home)
    home.mkdir(parents=True, exist_ok=True)
    cells: list[Cell] = []
    cached: list[str] = []
    async with AsyncExitStack() as stack:
        server = None
        for database in options.what(DATABASES):
            if database == "postgresql":
                share = Share(home, durable=True)
                stack.callback(share.close)
                server = await asyncio.to_thread(share.server)
            for pending in PENDING[database]:
                folder = home / f"{database}-{pending}"
                cells += await _grow(folder, database, server, pending)
                if database == "sqlite" and 0 < pending <= _MOST_CACHED:
                    cached.append(await _cached(folder, pending))
    return "\n\n".join((_table(cells), *cached))


async def _grow(home: Path, kind: str, server: Server | None, pending: int) -> list[Cell]:
    env = {}
    if kind == "postgresql":
        assert server is not None
        name = f"growth_{uuid.uuid4().hex[:8]}"
        server.run(f"CREATE DATABASE {name}")
        env["PLACET_DATABASE_URL"] = server.url(name)
    with installation(home, **env) as place:
        tokens = await asyncio.to_thread(place.load, _people())
        up, where = await asyncio.to_thread(place.up)
        await _prepare(place, where["api"], tokens)
        await _await_pending(place, where["api"], tokens, pending)
        await asyncio.to_thread(up.stop)
        cells = []
        for stored in STORED:
            cell = Cell(database=kind, stored=stored, pending=pending)
            await _store(place, cell)
            tokens = await asyncio.to_thread(place.load, _people())  # the store may be an earlier one again
            await _look(place, tokens, cell)
            cells.append(cell)
            sys.stderr.write(f"{kind}, {stored:,} ended, {pending:,} pending: done\n")
        return cells


def _people() -> list[dict[str, Any]]:
    staff = [{"id": f"p{n}", "manager": "boss" if n % 2 else f"m{n % 40 // 2}"} for n in range(STAFF)]
    managers = [{"id": name, "manager": "dora"} for name in ("boss", *(f"m{n}" for n in range(20)))]
    with_mail = [{"name": p["id"], "email": f"{p['id']}@example.com"} | p for p in PEOPLE]
    return [*with_mail, *({"name": p["id"], "email": None} | p for p in (*staff, *managers))]


async def _prepare(place: Installation, api: str, tokens: dict[str, str]) -> None:
    """Publish the process, and end the requests of which the others are copies."""
    if place.rows("SELECT count(*) FROM approval_request WHERE status = 'completed'")[0][0] >= MODELS:
        return
    olivia = Caller(api, tokens["olivia"])
    template = await asyncio.to_thread(olivia, "POST", "process-templates/", EXPENSE, expect=201)
    await asyncio.to_thread(olivia, "POST", f"process-templates/{template['id']}/publish/")
    async with httpx.AsyncClient(base_url=api, timeout=60, trust_env=False) as http:
        once = through_http(http, tokens)
        for _ in range(MODELS):
            await once(Sample())
    await asyncio.sleep(2)  # their last mails are noted


async def _await_pending(place: Installation, api: str, tokens: dict[str, str], pending: int) -> None:
    """Start requests until so many wait, also where an earlier run was broken off."""
    there = place.rows("SELECT count(*) FROM approval_request WHERE status = 'pending'")[0][0]
    left = iter(range(there, pending))
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
    async with httpx.AsyncClient(base_url=api, timeout=120, limits=limits, trust_env=False) as http:

        async def client() -> None:
            for number in left:
                headers = {
                    "Authorization": f"Bearer {tokens[f'p{number % STAFF}']}",
                    "Idempotency-Key": uuid.uuid4().hex,
                }
                body = {"template": EXPENSE["name"], "input": {"amount": number}}
                send = partial(http.post, "/api/v1/workflow/requests/", json=body, headers=headers)
                answer = await send()
                for _ in range(CALLS):  # a machine that is busy with other work answers late: the same key asks again
                    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        break
                    await asyncio.sleep(float(answer.headers["Retry-After"]))
                    answer = await send()
                assert answer.status_code == 201, answer.text

        await asyncio.gather(*(client() for _ in range(24)))


async def _store(place: Installation, cell: Cell) -> None:
    """Copy ended requests until so many are stored, beginning anew where an earlier run has left more."""
    file, bare = place.home / "placet.db", place.home / "without-copies.db"
    if cell.database == "sqlite":
        if not bare.exists():
            shutil.copyfile(file, bare)
        elif place.rows("SELECT count(*) FROM approval_request WHERE status = 'completed'")[0][0] > cell.stored * 1.5:
            shutil.copyfile(bare, file)
            await migrate(f"sqlite:///{file}")
    database = Database(place.extra.get("PLACET_DATABASE_URL", f"sqlite:///{place.home / 'placet.db'}"))
    try:
        whole = "SELECT id FROM approval_request WHERE status = 'completed' ORDER BY started_at DESC, id LIMIT :n"
        models = [row[0] for row in place.rows(whole, n=MODELS)]
        there = place.rows("SELECT count(*) FROM approval_request WHERE status <> 'pending'")[0][0]
        size = await database.read(_size)
        missing = cell.stored - there
        if missing > 0:
            await database.write(seed.copies, models, there, there + missing - 1)
            cell.store_bytes = (await database.read(_size) - size) / missing
        if database.dialect == "postgresql":
            await database.write(lambda connection: connection.execute(text("ANALYZE")))
    finally:
        await database.close()


def _size(connection: Any) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    pages, size, free = (
        int(connection.execute(text(f"PRAGMA {name}")).scalar_one())
        for name in ("page_count", "page_size", "freelist_count")
    )
    return (pages - free) * size


async def _look(place: Installation, tokens: dict[str, str], cell: Cell) -> None:
    begun = time.perf_counter()
    up, where = await asyncio.to_thread(place.up)
    cell.started = time.perf_counter() - begun
    used = processor_time.of_trees([up.pid])
    cell.started_used = used.total() - used["engine"] - used["web UI"]
    cell.idle = await _idle(up.pid)
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=where["api"], timeout=60, limits=limits, trust_env=False) as http:
        ours = Contender(name="Placet", once=through_http(http, tokens), processes=(up.pid,))
        await turns.warm([ours], IN_FLIGHT, min(3.0, SECONDS))
        samples = await turns.taking_turns([ours], in_flight=IN_FLIGHT, seconds=SECONDS, rounds=1)
        cell.sample = samples["Placet"]
        for name, (person, path) in LISTS.items():
            cell.lists[name] = await _p99(http, f"/api/v1/workflow/{path}", tokens[person])
        cell.scrape = await _p99(http, "/api/v1/metrics/prometheus", tokens["olivia"], calls=CALLS // 4)
    cell.memory = processor_time.memory([up.pid])
    await asyncio.to_thread(up.stop)
    cell.engine_bytes = sum(file.stat().st_size for file in (place.home / "engine").rglob("*.sqlite*"))


async def _idle(root: int) -> float:
    await asyncio.sleep(SETTLES)
    before = processor_time.of_trees([root]).total()
    await asyncio.sleep(IDLES)
    return (processor_time.of_trees([root]).total() - before) / IDLES


async def _cached(home: Path, pending: int) -> str:
    """Let a worker keep the state of all pending requests, and say what that takes."""
    with installation(home, PLACET_CACHED_REQUESTS=str(pending)) as place:
        up, where = await asyncio.to_thread(place.up)
        client = await connect(EngineSettings(address=where["temporal"]))
        before = processor_time.memory([up.pid])
        left = iter(
            place.rows("SELECT id FROM approval_request WHERE status = 'pending' ORDER BY id LIMIT :n", n=pending)
        )

        async def lane() -> None:
            for row in left:  # a query has the worker compute the state from its history, and keep it
                handle = client.get_workflow_handle_for(ApprovalWorkflow.run, row[0])
                await until(partial(_answered, handle), seconds=CALLS, what="an answer of a request")

        await asyncio.gather(*(lane() for _ in range(4)))
        after = processor_time.memory([up.pid])
        await asyncio.to_thread(up.stop)
    who, grown = max(((name, after[name] - before[name]) for name in after if name != "engine"), key=lambda one: one[1])
    return (
        f"With `PLACET_CACHED_REQUESTS={pending}` and all {pending:,} pending requests cached, `{who}` holds "
        f"{after[who] / 1e6:.0f} MB, {before[who] / 1e6:.0f} MB when it has started: {grown / pending / 1000:.1f} KB "
        f"for each. The engine holds {after['engine'] / 1e6:.0f} MB then."
    )


async def _answered(handle: WorkflowHandle[ApprovalWorkflow, Any]) -> bool:
    try:
        await handle.query(ApprovalWorkflow.recorded)
    except WorkflowQueryFailedError:  # a busy machine took longer than the SDK allows a workflow task to compute
        return False
    return True


async def _p99(http: httpx.AsyncClient, path: str, token: str, *, calls: int = CALLS) -> float:
    taken = []
    for _ in range(calls):
        begun = time.perf_counter()
        answer = await http.get(path, headers={"Authorization": f"Bearer {token}"})
        taken.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text
    return statistics.quantiles(taken, n=100, method="inclusive")[98]


def _table(cells: list[Cell]) -> str:
    lists = " / ".join(LISTS)
    speed = [
        f"| store | ended | pending | approvals/s | processes ms | decide p50 / p99 ms | p99 ms: {lists} | scrape ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    size = [
        "| store | ended | pending | ready s (processor) | idle % | memory MB | KB for an ended one | engine MB |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    for cell in cells:
        where = f"| {cell.database} | {cell.stored:,} | {cell.pending:,} "
        own = [name for name in cell.sample.used if name not in {"engine", "web UI", "client", "database"}]
        times = " / ".join(f"{cell.lists[name] * 1000:.0f}" for name in LISTS)
        speed.append(
            f"{where}| {cell.sample.rate:.1f} | {cell.sample.milliseconds(*own):.1f} | {cell.sample.latency('decide')} "
            f"| {times} | {cell.scrape * 1000:.0f} |"
        )
        held = ", ".join(f"{name} {bytes_ / 1e6:.0f}" for name, bytes_ in sorted(cell.memory.items()))
        stored = f"{cell.store_bytes / 1000:.1f}" if cell.store_bytes else ""
        size.append(
            f"{where}| {cell.started:.1f} ({cell.started_used:.1f}) | {cell.idle * 100:.1f} | {held} | {stored} "
            f"| {cell.engine_bytes / 1e6:.0f} |"
        )
    return "\n".join([*speed, "", *size])
