"""Placet on a cluster: what an approval and a start cost each part, as more requests have ended and more wait."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.bench import options
from tests.on_cluster import PARTS, OnCluster, Step, on_cluster, table
from tests.postgresql import Share

APPROVALS = options.approvals(10_000)
PENDING = options.pending(50_000)[-1]
WARMS = 200  # approvals that are not counted
STEPS = 5  # of each
BESIDE = 2_000  # approvals beside all that are pending


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    return await asyncio.to_thread(_measured, home)  # starting and checking have event loops of their own


def _measured(home: Path) -> str:
    with ExitStack() as stack:
        share = Share(home, durable=True)
        stack.callback(share.close)
        placet = stack.enter_context(on_cluster(home, share.server()))
        memory = {"at the start": _size(placet)}
        warm = asyncio.run(placet.approve(WARMS))
        steps: list[Step] = []
        for _ in range(STEPS):
            _tell(steps, asyncio.run(placet.approve(APPROVALS // STEPS)))
        memory[f"{placet.ended:,} ended"] = _size(placet)
        if PENDING:
            for _ in range(STEPS):
                _tell(steps, asyncio.run(placet.start(PENDING // STEPS)))
            memory[f"{placet.ended:,} ended, {placet.pending:,} pending"] = _size(placet)
            _tell(steps, asyncio.run(placet.approve(BESIDE)))
        placet.check([warm, *steps])
    return f"{table(steps)}\n\n{_sizes(memory)}"


def _tell(steps: list[Step], step: Step) -> None:
    """Keep a step, and print it: a run that is broken off has said what it saw."""
    steps.append(step)
    sys.stderr.write(table([step]).splitlines()[-1] + "\n")


def _size(placet: OnCluster) -> dict[str, int]:
    return {**placet.memory(), **placet.stored()}


def _sizes(memory: dict[str, dict[str, int]]) -> str:
    columns = [part for part in PARTS if part in next(iter(memory.values()))]
    lines = [f"| MB | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [
        f"| {when} | {' | '.join(f'{size[part] / 1e6:.0f}' for part in columns)} |" for when, size in memory.items()
    ]
    return "\n".join(lines)
