"""Approvals per second and the processor time of one, beside a bare Temporal workflow on the same server."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from tests.approvals import EXPENSE, PEOPLE
from tests.bench import options, processor_time, turns
from tests.bench.bare import TASK_QUEUE, Bare
from tests.bench.turns import CLIENT, Contender, Once, Sample
from tests.processes import Caller, installation
from worker.connect import EngineSettings, connect

IN_FLIGHT = options.in_flight(1, 16, 64)
SECONDS = options.seconds(8.0)  # of each turn
ROUNDS = options.rounds(2)
UNADDRESSED = 16  # in flight, for the measurement in which nobody has an address and so no mail leaves
ENGINE = ("engine", "web UI")

Results = dict[str, dict[str, Sample]]


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    with installation(home) as place:
        tokens = await asyncio.to_thread(place.load, _people(addressed=True))
        up, where = place.up()
        olivia = Caller(where["api"], tokens["olivia"])
        template = olivia("POST", "process-templates/", EXPENSE, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")
        floor = place.spawn(program=[sys.executable, "-m", "tests.bench.bare"], TEMPORAL_ADDRESS=where["temporal"])
        client = await connect(EngineSettings(address=where["temporal"]))
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        async with httpx.AsyncClient(base_url=where["api"], timeout=60, limits=limits, trust_env=False) as http:
            ours = Contender(name="Placet", once=_through_http(http, tokens), processes=(up.pid,))
            engine = processor_time.named(up.pid, "engine")
            bare = Contender(name="bare", once=_bare(client), processes=(floor.pid,), shared=engine)
            await turns.warm((ours, bare), 8, min(3.0, SECONDS))
            results: Results = {}
            for number in IN_FLIGHT:
                results[str(number)] = await _taking_turns(ours, bare, number)
            if options.defaults():
                await asyncio.to_thread(place.load, _people(addressed=False))
                results[f"{UNADDRESSED}, no mails"] = await _taking_turns(ours, bare, UNADDRESSED)
            events = await _events(client, http, tokens)
    return "\n\n".join((_rates(results), _processor_time(results), _closing(results, events)))


def _people(*, addressed: bool) -> tuple[dict[str, Any], ...]:
    return tuple({"name": p["id"], "email": f"{p['id']}@example.com" if addressed else None} | p for p in PEOPLE)


async def _taking_turns(ours: Contender, bare: Contender, in_flight: int) -> dict[str, Sample]:
    return await turns.taking_turns((ours, bare), in_flight=in_flight, seconds=SECONDS, rounds=ROUNDS)


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


async def _events(client: Client, http: httpx.AsyncClient, tokens: dict[str, str]) -> int:
    sample = Sample()
    await _through_http(http, tokens)(sample)
    answer = await http.get(
        "/api/v1/workflow/requests/?limit=1", headers={"Authorization": f"Bearer {tokens['olivia']}"}
    )
    history = await client.get_workflow_handle(answer.json()["items"][0]["id"]).fetch_history()
    return len(history.events)


def _rates(results: Results) -> str:
    lines = [
        "| in flight | Placet/s | bare/s | ratio | start p50/p99 ms | decide p50/p99 ms | bare update p50/p99 ms |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for in_flight, samples in results.items():
        ours, bare = samples["Placet"], samples["bare"]
        lines.append(
            f"| {in_flight} | {ours.rate:.1f} | {bare.rate:.1f} | **{ours.rate / bare.rate:.2f}** "
            f"| {ours.latency('start')} | {ours.latency('decide')} | {bare.latency('decide')} |"
        )
    return "\n".join(lines)


def _processor_time(results: Results) -> str:
    lines = [
        "| in flight | processor time for one approval | processes, ms | of these | engine ms | client ms |",
        "|---:|---|---:|---|---:|---:|",
    ]
    for in_flight, samples in results.items():
        for name, sample in samples.items():
            own = sorted(part for part in sample.used if part not in {*ENGINE, CLIENT})
            parts = ", ".join(f"{part} {sample.milliseconds(part):.1f}" for part in own)
            lines.append(
                f"| {in_flight} | {name} | **{sample.milliseconds(*own):.1f}** | {parts} "
                f"| {sample.milliseconds(*ENGINE):.1f} | {sample.milliseconds(CLIENT):.1f} |"
            )
    return "\n".join(lines)


def _closing(results: Results, events: int) -> str:
    per_day = max(samples["Placet"].rate for samples in results.values()) * 86_400
    return (
        f"A one-step approval with its timer, reminders and escalation takes {events} history events.\n"
        f"The best rate above is {per_day:,.0f} approvals a day."
    )
