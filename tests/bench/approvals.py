"""Approvals per second and the processor time of one: Placet, bare Temporal, and what somebody would write by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from temporalio.client import Client

from tests.bench import contenders, options, turns
from tests.bench.contenders import BARE, NAMES, PLACET
from tests.bench.turns import CLIENT, Contender, Sample

IN_FLIGHT = options.in_flight(1, 16, 64)
SECONDS = options.seconds(6.0)  # of each turn
ROUNDS = options.rounds(2)
UNADDRESSED = 16  # in flight, for the measurement in which nobody has an address and so no mail leaves
SHARED = {"engine": "engine", "web UI": "engine", "database": "PostgreSQL", CLIENT: CLIENT}  # by process: whose it is

Results = dict[str, dict[str, Sample]]


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    names = [NAMES[name] for name in options.what(list(NAMES))]
    results: Results = {}
    async with contenders.running(home, names) as (ground, all_of_them):
        await turns.warm(all_of_them, 8, min(3.0, SECONDS))
        for number in IN_FLIGHT:
            results[str(number)] = await _taking_turns(all_of_them, number)
        events = {name: await _events(ground.client, s.last) for name, s in results[str(IN_FLIGHT[0])].items()}
        if options.defaults():
            await asyncio.to_thread(ground.place.load, contenders.people(addressed=False))
            pair = [contender for contender in all_of_them if contender.name in {PLACET, BARE}]
            results[f"{UNADDRESSED}, no mails"] = await _taking_turns(pair, UNADDRESSED)
    return "\n\n".join((_rates(results), _processor_time(results, events)))


async def _taking_turns(all_of_them: Sequence[Contender], in_flight: int) -> dict[str, Sample]:
    return await turns.taking_turns(all_of_them, in_flight=in_flight, seconds=SECONDS, rounds=ROUNDS)


async def _events(client: Client, workflow_id: str) -> int:
    return len((await client.get_workflow_handle(workflow_id).fetch_history()).events)


def _rates(results: Results) -> str:
    lines = [
        "| in flight | | approvals/s | of bare | start p50 / p99 ms | decide p50 / p99 ms |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for in_flight, samples in results.items():
        for name, sample in samples.items():
            ratio = f"**{sample.rate / samples[BARE].rate:.2f}**" if BARE in samples and name != BARE else ""
            lines.append(
                f"| {in_flight} | {name} | {sample.rate:.1f} | {ratio} "
                f"| {sample.latency('start')} | {sample.latency('decide')} |"
            )
    return "\n".join(lines)


def _processor_time(results: Results, events: dict[str, int]) -> str:
    lines = [
        "| in flight | | processes ms | of these | engine ms | PostgreSQL ms | client ms | history events |",
        "|---:|---|---:|---|---:|---:|---:|---:|",
    ]
    for in_flight, samples in results.items():
        for name, sample in samples.items():
            own = sorted(set(sample.used) - set(SHARED))
            parts = ", ".join(
                f"{part} {sample.milliseconds(part):.1f}" for part in own if sample.milliseconds(part) > 0.05
            )
            shared = (_of(sample, whose) for whose in ("engine", "PostgreSQL", CLIENT))
            lines.append(
                f"| {in_flight} | {name} | **{sample.milliseconds(*own):.1f}** | {parts} "
                f"| {' | '.join(shared)} | {events[name]} |"
            )
    return "\n".join(lines)


def _of(sample: Sample, whose: str) -> str:
    names: Iterable[str] = [part for part, owner in SHARED.items() if owner == whose and part in sample.used]
    return f"{sample.milliseconds(*names):.1f}" if names else ""
