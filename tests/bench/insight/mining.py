"""Miners: how much of what is planted they find, what they find that is not there, and how long a million takes."""

from __future__ import annotations

import asyncio
import importlib
import json
import multiprocessing
import pkgutil
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import process_time
from unittest.mock import patch

from insight.mining import miners
from insight.mining.history import History
from insight.mining.mine import mine
from tests.planted import EDGES, Planted, blueprint, planted, shifts, shuffled, some_truths

SIZES = (300, 1_000, 3_000)  # requests
HISTORIES = 30  # of each kind and size
DECISIONS = (250_000, 1_000_000)
LEAST = 10
# What decides about a finding: the miners as they are, and two naive ways with the same criteria.
PLACET, ALONE, SHARES = "Placet", "each test by itself, at 5 %", "shares alone"
_ALONE_AT, _LIKELIER_THAN_NOT = 0.05, 0.5


@contextmanager
def going_by(way: str) -> Iterator[None]:
    """Let the miners go by one of the ways; `shares alone` takes what was counted for what is so, without intervals."""
    with ExitStack() as patches:
        if way != PLACET:
            limit = _ALONE_AT if way == ALONE else _LIKELIER_THAN_NOT
            patches.enter_context(
                patch("insight.mining.mine.significant", lambda found, _: [p_value <= limit for p_value in found])
            )
        if way == SHARES:
            for module in pkgutil.iter_modules(miners.__path__, f"{miners.__name__}."):
                patches.enter_context(patch.object(importlib.import_module(module.name), "wilson", _share))
        yield


def _share(successes: int, trials: int) -> tuple[float, float]:
    return (successes / trials, successes / trials) if trials else (0.0, 1.0)


def _found(history: Planted) -> set[tuple[str, str]]:
    return {(one.kind, one.subject[1]) for one in mine(history.blueprint, history.history, LEAST)}


def quality(size: int) -> dict[str, Counter[str]]:
    """Return for each miner how many planted truths it found, missed, and found that were none."""
    counts: dict[str, Counter[str]] = {}
    for seed in range(HISTORIES):
        history = planted(seed, some_truths(random.Random(seed)), size)
        found = _found(history)
        for name, keys in (
            ("found", found & history.expected),
            ("missed", history.expected - found),
            ("false", found - history.expected),
        ):
            for kind, _ in keys:
                counts.setdefault(kind, Counter())[name] += 1
    return counts


def silence(size: int) -> dict[str, Counter[str]]:
    """Return what was found, by miner, in histories in which there is nothing to find."""
    counts: dict[str, Counter[str]] = {"without truths": Counter(), "shuffled": Counter(), "at the edges": Counter()}
    for seed in range(HISTORIES):
        mixed = planted(seed, some_truths(random.Random(seed)), size)
        for name, history in (
            ("without truths", planted(seed, set(), size)),
            ("shuffled", shuffled(mixed, seed)),
            ("at the edges", planted(seed, EDGES, size)),
        ):
            found = _found(history)
            counts[name].update(kind for kind, _ in found)
            counts[name]["histories"] += bool(found)
    return counts


def speed(decisions: int) -> dict[str, float]:
    """Mine a history of so many decisions; seconds of processor time, and megabytes that the process held."""
    part = planted(1, {"approved rule", "same end"}, 2_000)
    history, count, number = History(), 0, 0
    begun = process_time()
    while count < decisions:
        more = shifts(part, number)
        for case in more.cases:
            history.add_case(case)
        for task in more.tasks:
            history.add_task(task)
            count += task.decision is not None
        number += 1
    built, held = process_time() - begun, _megabytes()
    begun = process_time()
    found = mine(blueprint(part.truths), history, LEAST)
    return {
        "tasks": len(history.tasks),
        "requests": len(history.cases),
        "built": built,
        "held": held,
        "mined": process_time() - begun,
        "peak": _megabytes(),
        "found": len(found),
    }


def _megabytes() -> float:
    """Return the most that this process has held so far; `ru_maxrss` would count that of the process it came from."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _table(rows: list[list[str]], head: list[str]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _quality_table(way: str) -> str:
    rows = []
    with going_by(way):
        measured = {size: quality(size) for size in SIZES}
    kinds = sorted({kind for counts in measured.values() for kind in counts})
    for kind in kinds:
        counts = [measured[size].get(kind, Counter()) for size in SIZES]
        rows.append([f"`{kind}`", *map(_precision_and_recall, counts)])
    sums = [sum(measured[size].values(), Counter()) for size in SIZES]
    rows.append(["**all**", *map(_precision_and_recall, sums)])
    return _table(
        rows, [f"{way}: precision / recall (found, missed, false)", *(f"{size:,} requests" for size in SIZES)]
    )


def _precision_and_recall(count: Counter[str]) -> str:
    found, missed, false = count["found"], count["missed"], count["false"]
    precision = f"{found / (found + false):.2f}" if found + false else "-"
    recall = f"{found / (found + missed):.2f}" if found + missed else "-"
    return f"{precision} / {recall} ({found}, {missed}, {false})"


def _silence_table() -> str:
    rows = []
    for way in (PLACET, ALONE, SHARES):
        for size in SIZES:
            with going_by(way):
                counts = silence(size)
            rows.append([way, f"{size:,}", *(_false(count) for count in counts.values())])
    head = [f"false findings in {HISTORIES} histories", "requests", "without truths", "shuffled", "at the edges"]
    return _table(rows, head)


def _false(count: Counter[str]) -> str:
    kinds = {kind: times for kind, times in count.items() if kind != "histories" and times}
    return f"{sum(kinds.values())}" + (f" ({json.dumps(kinds)[1:-1]})" if kinds else "")


def _speed_table() -> str:
    rows = []
    for decisions in DECISIONS:
        # Each in a process of its own, so that memory is not that of the one before.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            took = pool.submit(speed, decisions).result()
        rows.append(
            [
                f"{decisions:,}",
                f"{took['tasks']:,}",
                f"{took['requests']:,}",
                f"{took['built']:.1f} s",
                f"**{took['mined']:.1f} s**",
                f"{took['held']:.0f} MB",
                f"{took['peak']:.0f} MB",
            ]
        )
    head = ["decisions", "tasks", "requests", "making the history", "mining", "memory with the history", "at most"]
    return _table(rows, head)


def _figures() -> str:
    qualities = [_quality_table(way) for way in (PLACET, ALONE, SHARES)]
    return "\n\n".join([*qualities, _silence_table(), _speed_table()])


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
