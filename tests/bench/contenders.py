"""The ways to get an approval done that are measured beside each other, all on the engine of one `placet up`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from tests.approvals import EXPENSE, PEOPLE
from tests.bench import processor_time
from tests.bench.bare import TASK_QUEUE, Bare
from tests.bench.turns import Contender, Once, Sample
from tests.postgresql import Server, Share
from tests.processes import Caller, Installation, installation
from worker.connect import EngineSettings, connect

PLACET, BARE = "Placet", "bare Temporal"
BY_HAND, BY_HAND_POSTGRESQL = "by hand", "by hand, PostgreSQL"
POSTGRESQL, TWO_WORKERS = "Placet, PostgreSQL", "Placet, PostgreSQL, 2 workers"
# By the names that BENCH_WHAT gives them.
NAMES = {
    "placet": PLACET,
    "bare": BARE,
    "by-hand": BY_HAND,
    "by-hand-postgresql": BY_HAND_POSTGRESQL,
    "placet-postgresql": POSTGRESQL,
    "placet-two-workers": TWO_WORKERS,
}
ON_POSTGRESQL = {BY_HAND_POSTGRESQL, POSTGRESQL, TWO_WORKERS}


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where all of them run: the Placet that has the engine, the engine's client, and the database server if any."""

    place: Installation
    up: int
    where: dict[str, Any]
    client: Client
    server: Server | None

    @property
    def engine(self) -> tuple[int, ...]:
        """The processes of the engine."""
        return processor_time.named(self.up, "engine")

    @property
    def shared(self) -> tuple[int, ...]:
        """The processes of the engine and of the database server."""
        return (*self.engine, *([self.server.pid] if self.server else []))


@asynccontextmanager
async def running(home: Path, names: Sequence[str]) -> AsyncIterator[tuple[Ground, list[Contender]]]:
    """Start what the ways of these names need; they end with the block."""
    async with AsyncExitStack() as stack:
        server = None
        if ON_POSTGRESQL & set(names):
            share = Share(home, durable=True)
            stack.callback(share.close)
            server = await asyncio.to_thread(share.server)
        place = stack.enter_context(installation(home / "placet"))
        tokens = await asyncio.to_thread(place.load, people(addressed=True))
        up, where = await asyncio.to_thread(place.up)
        client = await connect(EngineSettings(address=where["temporal"]))
        ground = Ground(place=place, up=up.pid, where=where, client=client, server=server)
        found = []
        for name in names:
            if name == PLACET:
                once = await _placet(stack, where["api"], tokens)
                found.append(Contender(name=name, once=once, processes=(up.pid,)))
            elif name == BARE:
                found.append(_bare(ground))
            elif name in {BY_HAND, BY_HAND_POSTGRESQL}:
                found.append(await _by_hand(stack, ground, name))
            else:
                found.append(await _on_postgresql(stack, ground, name))
        yield ground, found


def people(*, addressed: bool) -> tuple[dict[str, Any], ...]:
    """Return the people; without addresses no mail leaves."""
    return tuple({"name": p["id"], "email": f"{p['id']}@example.com" if addressed else None} | p for p in PEOPLE)


async def _placet(stack: AsyncExitStack, api: str, tokens: dict[str, str]) -> Once:
    olivia = Caller(api, tokens["olivia"])
    template = await asyncio.to_thread(olivia, "POST", "process-templates/", EXPENSE, expect=201)
    await asyncio.to_thread(olivia, "POST", f"process-templates/{template['id']}/publish/")
    return through_http(await _http(stack, api), tokens)


async def _on_postgresql(stack: AsyncExitStack, ground: Ground, name: str) -> Contender:
    """Run another Placet on the same engine, with a task queue and a database of its own."""
    assert ground.server is not None
    short = f"placet_{uuid.uuid4().hex[:8]}"
    ground.server.run(f"CREATE DATABASE {short}")
    env = {
        "PLACET_DATABASE_URL": ground.server.url(short),
        "PLACET_TASK_QUEUE": short,
        "TEMPORAL_ADDRESS": ground.where["temporal"],
        "PLACET_WORKER_PROCESSES": "2" if name == TWO_WORKERS else "1",
    }
    place = stack.enter_context(installation(ground.place.home.parent / short, **env))
    tokens = await asyncio.to_thread(place.load, people(addressed=True))
    up, where = await asyncio.to_thread(place.up)
    once = await _placet(stack, where["api"], tokens)
    return Contender(name=name, once=once, processes=(up.pid,), shared=ground.shared)


def _bare(ground: Ground) -> Contender:
    env = {"TEMPORAL_ADDRESS": ground.where["temporal"]}
    floor = ground.place.spawn(program=[sys.executable, "-m", "tests.bench.bare"], **env)

    async def once(sample: Sample) -> None:
        begun = time.perf_counter()
        handle = await ground.client.start_workflow(
            Bare.run, {"amount": "100"}, id=f"bare-{uuid.uuid4()}", task_queue=TASK_QUEUE
        )
        sample.start.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await handle.execute_update(Bare.decide, "approve")
        sample.decide.append(time.perf_counter() - begun)
        await handle.result()
        sample.last = handle.id

    return Contender(name=BARE, once=once, processes=(floor.pid,), shared=ground.engine)


async def _by_hand(stack: AsyncExitStack, ground: Ground, name: str) -> Contender:
    short = f"by_hand_{uuid.uuid4().hex[:8]}"
    url, shared = f"sqlite:///{ground.place.home / short}.db", ground.engine
    if name == BY_HAND_POSTGRESQL:
        assert ground.server is not None
        ground.server.run(f"CREATE DATABASE {short}")
        url, shared = ground.server.url(short).replace("postgresql://", "postgresql+psycopg://"), ground.shared
    env = {"TEMPORAL_ADDRESS": ground.where["temporal"]}
    program = [sys.executable, "-m", "tests.bench.by_hand", url, short]
    process = ground.place.spawn(program=program, **env)
    http = await _http(stack, json.loads(await asyncio.to_thread(process.line))["api"])

    async def once(sample: Sample) -> None:
        begun = time.perf_counter()
        asked = await http.post("/requests", json={"amount": "100"})
        sample.start.append(time.perf_counter() - begun)
        assert asked.status_code == 201, asked.text
        sample.last = asked.json()["id"]
        begun = time.perf_counter()
        decided = await http.post(f"/requests/{sample.last}/decide", json={"decision": "approved"})
        sample.decide.append(time.perf_counter() - begun)
        assert decided.status_code == 200, decided.text
        assert decided.json()["outcome"] == "approved"

    return Contender(name=name, once=once, processes=(process.pid,), shared=shared)


async def _http(stack: AsyncExitStack, api: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    return await stack.enter_async_context(httpx.AsyncClient(base_url=api, timeout=60, limits=limits, trust_env=False))


def through_http(http: httpx.AsyncClient, tokens: dict[str, str]) -> Once:
    """Return how to get one approval of Placet: ann asks, bob approves."""
    ann = {"Authorization": f"Bearer {tokens['ann']}"}
    bob = {"Authorization": f"Bearer {tokens['bob']}"}
    body = {"template": EXPENSE["name"], "input": {"amount": "100"}}

    async def once(sample: Sample) -> None:
        begun = time.perf_counter()
        asked = await http.post("/api/v1/workflow/requests/", json=body, headers=ann)
        sample.start.append(time.perf_counter() - begun)
        assert asked.status_code == 201, asked.text
        sample.last = asked.json()["id"]
        task = asked.json()["tasks"][0]["id"]
        begun = time.perf_counter()
        decided = await http.post(f"/api/v1/workflow/tasks/{task}/decide/", json={"decision": "approve"}, headers=bob)
        sample.decide.append(time.perf_counter() - begun)
        assert decided.status_code == 200, decided.text
        assert decided.json()["outcome"] == "approved"

    return once
