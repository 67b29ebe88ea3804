"""Miners: how much of what is planted they find, and what they find that is not there, beside naive ways.

All ways look at the same histories: the miners as they are; each test by itself at 5 %, whatever else was tested; and
shares alone, which take what was counted for what is so.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from insight.mining import miners
from insight.mining.mine import mine
from tests.bench.insight.tables import table
from tests.planted import EDGES, Planted, planted, shuffled, some_truths

SIZES = (300, 1_000, 3_000)  # requests
HISTORIES = 30  # of each kind and size
LEAST = 10
PLACET, ALONE, SHARES = "Placet", "each test by itself, at 5 %", "shares alone"
WAYS = (PLACET, ALONE, SHARES)
NOTHING = ("without truths", "shuffled", "at the edges")  # histories in which nothing is to be found
_ALONE_AT, _LIKELIER_THAN_NOT = 0.05, 0.5
_FOUND, _MISSED, _FALSE = "found", "missed", "false"


@contextmanager
def going_by(way: str) -> Iterator[None]:
    """Let the miners go by one of the ways."""
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


def found_by_each(made: Planted) -> dict[str, set[tuple[str, str]]]:
    """Return the kinds and stages that each way finds in a history."""
    found = {}
    for way in WAYS:
        with going_by(way):
            found[way] = {(one.kind, one.subject[1]) for one in mine(made.blueprint, made.history, LEAST)}
    return found


class Figures:
    """What was found in histories of one size: by way, of what was planted, and of what was not."""

    def __init__(self, size: int) -> None:
        self.planted: dict[str, dict[str, Counter[str]]] = {way: {} for way in WAYS}  # by kind
        self.nothing: dict[str, dict[str, Counter[str]]] = {way: {name: Counter() for name in NOTHING} for way in WAYS}
        for seed in range(HISTORIES):
            self._look(seed, size)

    def _look(self, seed: int, size: int) -> None:
        mixed = planted(seed, some_truths(random.Random(seed)), size)
        for way, found in found_by_each(mixed).items():
            for name, keys in (
                (_FOUND, found & mixed.expected),
                (_MISSED, mixed.expected - found),
                (_FALSE, found - mixed.expected),
            ):
                for kind, _ in keys:
                    self.planted[way].setdefault(kind, Counter())[name] += 1
        empty = (planted(seed, set(), size), shuffled(mixed, seed), planted(seed, EDGES, size))
        for name, history in zip(NOTHING, empty, strict=True):
            for way, found in found_by_each(history).items():
                self.nothing[way][name].update(kind for kind, _ in found)


def _planted_table(way: str, measured: dict[int, Figures]) -> str:
    by_kind = {size: figures.planted[way] for size, figures in measured.items()}
    rows = [
        [f"`{kind}`", *(_precision_and_recall(counts.get(kind, Counter())) for counts in by_kind.values())]
        for kind in sorted({kind for counts in by_kind.values() for kind in counts})
    ]
    sums = [sum(counts.values(), Counter()) for counts in by_kind.values()]
    rows.append(["**all**", *map(_precision_and_recall, sums)])
    return table([f"{way}: precision / recall (found, missed, false)", *_sizes(measured)], rows)


def _precision_and_recall(count: Counter[str]) -> str:
    found, missed, false = count[_FOUND], count[_MISSED], count[_FALSE]
    precision = f"{found / (found + false):.2f}" if found + false else "-"
    recall = f"{found / (found + missed):.2f}" if found + missed else "-"
    return f"{precision} / {recall} ({found}, {missed}, {false})"


def _nothing_table(measured: dict[int, Figures]) -> str:
    rows = [
        [way, f"{size:,}", *(_false(figures.nothing[way][name]) for name in NOTHING)]
        for way in WAYS
        for size, figures in measured.items()
    ]
    return table([f"false findings in {HISTORIES} histories", "requests", *NOTHING], rows)


def _false(kinds: Counter[str]) -> str:
    counted = {kind: times for kind, times in sorted(kinds.items()) if times}
    return f"{sum(counted.values())}" + (f" ({json.dumps(counted)[1:-1]})" if counted else "")


def _sizes(measured: dict[int, Figures]) -> list[str]:
    return [f"{size:,} requests" for size in measured]


def _figures() -> str:
    measured = {size: Figures(size) for size in SIZES}
    return "\n\n".join([*(_planted_table(way, measured) for way in WAYS), _nothing_table(measured)])


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
