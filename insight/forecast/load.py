"""Load: how much longer people take while more waits for them, where the past shows that they do.

A wait is taken to grow with a power of the load, which is fitted to waits of the same person in the same stage, so that
slow people with much to do do not count as evidence. The power is 0 unless the past leaves little doubt of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import log, sqrt
from statistics import median
from typing import Final, NamedTuple

from insight.forecast.past_task import PastTask

LEAST_WAITS: Final = 100
"""Decisions of a stage below which its power is 0."""
LEAST_T: Final = 3.0
"""How many standard errors a power has to lie above 0."""
_MOST_POWER: Final = 1.0
_SHORTEST: Final = 60.0  # seconds; shorter waits count as this long, so that their logarithms mean little
_FARTHEST: Final = 4.0  # a wait is at most so many times longer or shorter than with the typical load


class LoadedWait(NamedTuple):
    """A wait that ended with a decision: of whom, in seconds, and how many other tasks waited for them at its start."""

    person: str
    seconds: float
    load: int


@dataclass(frozen=True, slots=True)
class LoadEffect:
    """What the load does in a stage: waits grow with its `power`, from those with the `typical` load on."""

    power: float = 0.0
    typical: float = 0.0

    @classmethod
    def of(cls, waits: Sequence[LoadedWait]) -> LoadEffect:
        """Fit it to waits of a stage."""
        if len(waits) < LEAST_WAITS:
            return cls()
        by_person: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for wait in waits:
            by_person[wait.person].append((log(1 + wait.load), log(max(wait.seconds, _SHORTEST))))
        across = along = rise = 0.0
        for points in by_person.values():
            mean_load = sum(x for x, _ in points) / len(points)
            mean_wait = sum(y for _, y in points) / len(points)
            across += sum((x - mean_load) ** 2 for x, _ in points)
            along += sum((x - mean_load) * (y - mean_wait) for x, y in points)
            rise += sum((y - mean_wait) ** 2 for _, y in points)
        free = len(waits) - len(by_person) - 1
        if across <= 0 or free < LEAST_WAITS // 2:
            return cls()
        power = along / across
        error = sqrt(max(rise - power * along, 0.0) / free / across)
        if power <= 0 or power < LEAST_T * error:
            return cls()
        return cls(power=min(power, _MOST_POWER), typical=median(wait.load for wait in waits))

    def factor(self, load: int | None) -> float:
        """Return how many times longer a wait is with this load than with the typical one; 1 where it is not known."""
        if load is None or not self.power:
            return 1.0
        times = float(((1 + load) / (1 + self.typical)) ** self.power)
        return min(max(times, 1 / _FARTHEST), _FARTHEST)


@dataclass(slots=True)
class Loads:
    """How many tasks waited for each person, at any moment of the past; what came later counts for nothing."""

    _opened: Mapping[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    _closed: Mapping[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, tasks: Iterable[PastTask]) -> Loads:
        """Count these tasks."""
        made = cls()
        for task in tasks:
            if task.person is None:
                continue
            made._opened[task.person].append(task.opened_at)
            if task.closed_at is not None:
                made._closed[task.person].append(task.closed_at)
        for moments in (*made._opened.values(), *made._closed.values()):
            moments.sort()
        return made

    def at(self, person: str, moment: datetime) -> int:
        """Return how many tasks that were opened before a moment waited for a person then."""
        opened, closed = self._opened.get(person, ()), self._closed.get(person, ())
        return max(bisect_left(opened, moment) - bisect_right(closed, moment), 0)
