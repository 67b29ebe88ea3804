"""Bombs beside approvals: how long somebody else's decisions take, and how much the service grows, during each kind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.approvals import EXPENSE
from tests.hostile import AT_ONCE, Fared, calls, endure
from tests.processes import STAFF, Caller, installation

DECISIONS = int(os.environ.get("BENCH_DECISIONS", "200"))  # during each kind


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    found: dict[str, Fared] = {}
    with installation(home / "home") as place:
        tokens = await asyncio.to_thread(place.load, STAFF)
        _, where = await asyncio.to_thread(place.up)
        await asyncio.to_thread(_prepare, Caller(where["api"], tokens["olivia"]))
        found["nothing"] = await endure(where["api"], where["processes"]["api"]["pid"], tokens, [], least=DECISIONS)
        for kind, sent in calls().items():
            found[kind] = await endure(
                where["api"], where["processes"]["api"]["pid"], tokens, sent, least=DECISIONS, again=True
            )
    rows = [
        "| during | bombs sent | decisions | p50 | p99 | slowest | service grows by |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, fared in found.items():
        times = sorted(fared.decisions)
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        rows.append(
            f"| {kind} | {fared.statuses.total()} | {len(times)} | {p50 * 1000:.0f} ms | {p99 * 1000:.0f} ms "
            f"| {times[-1] * 1000:.0f} ms | {fared.grown:.0f} MB |"
        )
    refused = sum(len(fared.refused) for fared in found.values())
    told = f"Bombs are sent over and over, {AT_ONCE} at a time; {refused} decisions were refused."
    return "\n".join([told, "", *rows])


def _prepare(olivia: Caller) -> None:
    template = olivia("POST", "process-templates/", EXPENSE, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")
    olivia("POST", "workflow-simulations/", {"mode": "explore", "template": EXPENSE["name"]}, expect=201)
