"""Approvals per second through HTTP, beside a bare Temporal workflow on the same server in the same run."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from tests.approvals import EXPENSE, PEOPLE
from tests.bench.bare import TASK_QUEUE, Bare
from tests.processes import Caller, installation
from worker.connect import EngineSettings, connect

IN_FLIGHT = (1, 16, 64)
SECONDS = 8.0  # for each measurement; bare and Placet take turns
ROUNDS = 2
UNADDRESSED = 16  # in flight, for the measurement in which nobody has an address and so no mail leaves


@dataclass
class Sample:
    """What one measurement saw: finished approvals, how long it took, and each call's latency in seconds."""

    done: int = 0
    seconds: float = 0.0
    start: list[float] = field(default_factory=list)
    decide: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Approvals per second."""
        return self.done / self.seconds

    def add(self, other: Sample) -> None:
        """Take another round in."""
        self.done += other.done
        self.seconds += other.seconds
        self.start += other.start
        self.decide += other.decide


Once = Callable[[Sample], Awaitable[None]]


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    with installation(home) as place:
        tokens = await asyncio.to_thread(place.load, _people(addressed=True))
        _, where = place.up()
        olivia = Caller(where["api"], tokens["olivia"])
        template = olivia("POST", "process-templates/", EXPENSE, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")
        place.spawn(program=[sys.executable, "-m", "tests.bench.bare"], TEMPORAL_ADDRESS=where["temporal"])
        client = await connect(EngineSettings(address=where["temporal"]))
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        async with httpx.AsyncClient(base_url=where["api"], timeout=60, limits=limits, trust_env=False) as http:
            ours, bare = _through_http(http, tokens), _bare(client)
            await _load(ours, 8, 3.0)
            await _load(bare, 8, 3.0)
            results = {str(n): await _taking_turns(ours, bare, n) for n in IN_FLIGHT}
            await asyncio.to_thread(place.load, _people(addressed=False))
            results[f"{UNADDRESSED}, no mails"] = await _taking_turns(ours, bare, UNADDRESSED)
            events = await _events(client, http, tokens)
    return _table(results, events)


def _people(*, addressed: bool) -> tuple[dict[str, Any], ...]:
    return tuple({"name": p["id"], "email": f"{p['id']}@example.com" if addressed else None} | p for p in PEOPLE)


async def _taking_turns(ours: Once, bare: Once, in_flight: int) -> tuple[Sample, Sample]:
    pair = (Sample(), Sample())
    for _ in range(ROUNDS):
        for sample, kind in zip(pair, (ours, bare), strict=True):
            sample.add(await _load(kind, in_flight, SECONDS))
    return pair


def _through_http(http: httpx.AsyncClient, tokens: dict[str, str]) -> Once:
    ann = {"Authorization": f"Bearer {tokens['ann']}"}
    bob = {"Authorization": f"Bearer {tokens['bob']}"}
    body = {"template": EXPENSE["name"], "input": {"amount": "100"}}

    async def once(sample: Sample) -> None:
        begun = time.perf_counter()
        asked = await http.post("/api/v1/workflow/requests/", json=body, headers=ann)
        sample.start.append(time.perf_counter() - begun)
        assert asked.status_code == 201, asked.text
        task = asked.json()["tasks"][0]["id"]
        begun = time.perf_counter()
        decided = await http.post(f"/api/v1/workflow/tasks/{task}/decide/", json={"decision": "approve"}, headers=bob)
        sample.decide.append(time.perf_counter() - begun)
        assert decided.status_code == 200, decided.text
        assert decided.json()["outcome"] == "approved"

    return once


def _bare(client: Client) -> Once:
    async def once(sample: Sample) -> None:
        begun = time.perf_counter()
        handle = await client.start_workflow(
            Bare.run, {"amount": "100"}, id=f"bare-{uuid.uuid4()}", task_queue=TASK_QUEUE
        )
        sample.start.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await handle.execute_update(Bare.decide, "approve")
        sample.decide.append(time.perf_counter() - begun)
        await handle.result()

    return once


async def _load(once: Once, in_flight: int, seconds: float) -> Sample:
    sample = Sample()
    begun = time.perf_counter()

    async def lane() -> None:
        while time.perf_counter() - begun < seconds:
            await once(sample)
            sample.done += 1

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    sample.seconds = time.perf_counter() - begun
    return sample


async def _events(client: Client, http: httpx.AsyncClient, tokens: dict[str, str]) -> int:
    sample = Sample()
    await _through_http(http, tokens)(sample)
    answer = await http.get(
        "/api/v1/workflow/requests/?limit=1", headers={"Authorization": f"Bearer {tokens['olivia']}"}
    )
    history = await client.get_workflow_handle(answer.json()["items"][0]["id"]).fetch_history()
    return len(history.events)


def _ms(values: list[float], share: float) -> str:
    return f"{statistics.quantiles(values, n=100, method='inclusive')[round(share * 100) - 1] * 1000:.0f}"


def _table(results: dict[str, tuple[Sample, Sample]], events: int) -> str:
    lines = [
        "| in flight | Placet/s | bare/s | ratio | start p50/p99 ms | decide p50/p99 ms | bare update p50/p99 ms |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for in_flight, (ours, bare) in results.items():
        lines.append(
            f"| {in_flight} | {ours.rate:.1f} | {bare.rate:.1f} | **{ours.rate / bare.rate:.2f}** "
            f"| {_ms(ours.start, 0.5)} / {_ms(ours.start, 0.99)} | {_ms(ours.decide, 0.5)} / {_ms(ours.decide, 0.99)} "
            f"| {_ms(bare.decide, 0.5)} / {_ms(bare.decide, 0.99)} |"
        )
    per_day = max(ours.rate for ours, _ in results.values()) * 86_400
    lines += [
        "",
        f"A one-step approval with its timer, reminders and escalation takes {events} history events.",
        f"The best rate above is {per_day:,.0f} approvals a day.",
    ]
    return "\n".join(lines)
