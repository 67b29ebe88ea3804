"""Measuring things that take turns: how many a second, each call's latency, and the processor time of each process."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.bench import processor_time

CLIENT = "client"
_REST = 0.06  # of a processor: below it, nothing is left to do of what the turn began
_LOOK = 0.5  # seconds between two looks
_PATIENCE = 30.0  # seconds


@dataclass
class Sample:
    """What turns saw: finished approvals, how long they took, each call's latency, and processor time in seconds."""

    done: int = 0
    seconds: float = 0.0
    start: list[float] = field(default_factory=list)
    decide: list[float] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)  # by the name of the process, until they were at rest again
    last: str = ""  # the workflow id of one of them

    @property
    def rate(self) -> float:
        """Approvals per second."""
        return self.done / self.seconds

    def milliseconds(self, *names: str) -> float:
        """Return the processor time of these processes for one approval, in milliseconds."""
        return sum(self.used[name] for name in names) / self.done * 1000

    def latency(self, calls: str) -> str:
        """Return p50 and p99 of the calls (`start` or `decide`), in milliseconds."""
        cuts = statistics.quantiles(getattr(self, calls), n=100, method="inclusive")
        return f"{cuts[49] * 1000:.0f} / {cuts[98] * 1000:.0f}"


Once = Callable[[Sample], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to get an approval done: one approval, and the processes that work on it."""

    name: str
    once: Once
    processes: tuple[int, ...]  # ids; what they started belongs to them
    shared: tuple[int, ...] = ()  # of the engine and the database server, which work for others in their turns

    def used(self) -> Counter[str]:
        """Return the seconds of processor time until now, by the name of the process."""
        return processor_time.of_trees({*self.processes, *self.shared})


async def warm(contenders: Sequence[Contender], in_flight: int, seconds: float) -> None:
    """Let each run for a while, and forget what it did."""
    for contender in contenders:
        await _turn(contender, in_flight, seconds)


async def taking_turns(
    contenders: Sequence[Contender], *, in_flight: int, seconds: float, rounds: int
) -> dict[str, Sample]:
    """Measure them in turns, each `rounds` times for so many seconds; return the sample of each by its name."""
    samples = {contender.name: Sample() for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            sample, one = samples[contender.name], await _turn(contender, in_flight, seconds)
            sample.done += one.done
            sample.seconds += one.seconds
            sample.start += one.start
            sample.decide += one.decide
            sample.used.update(one.used)
            sample.last = one.last
    return samples


async def _turn(contender: Contender, in_flight: int, seconds: float) -> Sample:
    sample = Sample()
    before, client = contender.used(), _own()
    begun = time.perf_counter()

    async def lane() -> None:
        while time.perf_counter() - begun < seconds:
            await contender.once(sample)
            sample.done += 1

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    sample.seconds = time.perf_counter() - begun
    sample.used[CLIENT] = _own() - client
    await _at_rest(contender)
    sample.used.update(processor_time.difference(contender.used(), before))
    return sample


def _own() -> float:
    times = os.times()
    return times.user + times.system


async def _at_rest(contender: Contender) -> None:
    """Wait until mails and the engine's own work are done, which belong to this turn and would slow the next."""
    end, before = time.perf_counter() + _PATIENCE, contender.used().total()
    while time.perf_counter() < end:
        looked = time.perf_counter()
        await asyncio.sleep(_LOOK)
        now = contender.used().total()
        if now - before < _REST * (time.perf_counter() - looked):
            return
        before = now
    sys.stderr.write(f"{contender.name}: still busy {_PATIENCE:.0f} s after its turn\n")
