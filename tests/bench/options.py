"""What a run of the benchmarks may set by the environment, for a figure in less than a minute.

A page is written with the defaults alone: figures of shorter or narrower runs are only printed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_SET = (
    "BENCH_SECONDS",
    "BENCH_ROUNDS",
    "BENCH_IN_FLIGHT",
    "BENCH_WHAT",
    "BENCH_STARTS",
    "BENCH_APPROVALS",
    "BENCH_STORED",
    "BENCH_PENDING",
)


def seconds(default: float) -> float:
    """Return how many seconds one turn lasts: BENCH_SECONDS."""
    return float(os.environ.get("BENCH_SECONDS", default))


def rounds(default: int) -> int:
    """Return how many turns each has: BENCH_ROUNDS."""
    return int(os.environ.get("BENCH_ROUNDS", default))


def in_flight(*default: int) -> tuple[int, ...]:
    """Return how many are under way at once, one measurement after the other: BENCH_IN_FLIGHT, such as `1,16`."""
    return tuple(int(number) for number in _listed("BENCH_IN_FLIGHT", [str(n) for n in default]))


def starts(default: int) -> int:
    """Return how many requests are started at once: BENCH_STARTS."""
    return int(os.environ.get("BENCH_STARTS", default))


def approvals(default: int) -> int:
    """Return how many approvals are carried out, whatever time they take: BENCH_APPROVALS."""
    return int(os.environ.get("BENCH_APPROVALS", default))


def stored(*default: int) -> tuple[int, ...]:
    """Return how many requests are in the store, one measurement after the other: BENCH_STORED."""
    return tuple(int(number) for number in _listed("BENCH_STORED", [str(n) for n in default]))


def pending(*default: int) -> tuple[int, ...]:
    """Return how many requests wait in the engine: BENCH_PENDING."""
    return tuple(int(number) for number in _listed("BENCH_PENDING", [str(n) for n in default]))


def home(default: Path) -> Path:
    """Return the folder to work in: BENCH_HOME, which is kept and gone on with, or one for this run."""
    return Path(os.environ.get("BENCH_HOME", default)).absolute()


def what(known: Sequence[str]) -> tuple[str, ...]:
    """Return what is measured: those that BENCH_WHAT names, such as `placet,bare`, or all that are known."""
    named = tuple(_listed("BENCH_WHAT", list(known)))
    if unknown := set(named) - set(known):
        raise SystemExit(f"BENCH_WHAT names {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return named


def defaults() -> bool:
    """Whether nothing is set."""
    return not any(name in os.environ for name in _SET)


def _listed(name: str, default: list[str]) -> list[str]:
    text = os.environ.get(name)
    return [part.strip() for part in text.split(",")] if text else default
