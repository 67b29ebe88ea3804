# ruff: noqa: T201 - it prints how far it is
"""A search: one schedule after the other, on as many processes as are asked for, to which the seeds are dealt out."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import AsyncResult
from pathlib import Path

from tests.faults.report import Part, added, revision, told
from tests.faults.schedule import play

DEALT = 50  # seeds that a process is dealt at once
EACH = 60.0  # seconds after which it is said how far the search is
_COLLECT = (20_000, 20, 100)  # objects after which the collector looks: schedules leave little that it has to find


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search from the seed `first` on, for `most` schedules at most. `plant` names the bug that is in, if any.

    It ends at the first violation, or notes it where there is a `report` to note it in.
    """

    first: int = 0
    most: int | None = None
    processes: int = 1
    plant: str | None = None
    report: Path | None = None

    def run(self, seconds: float) -> Part:
        """Play for so long, say each minute how far it is, and return what was played and seen."""
        began = said = time.monotonic()
        of_revision = revision()
        whole: list[Part] = []
        new: list[Part] = []
        for part in self._parts(began + seconds):
            new.append(replace(part, revision=of_revision, plant=self.plant))
            if time.monotonic() > said + EACH:
                said = time.monotonic()
                whole, new = self._note(whole, new), []
                print(told(whole[0]), flush=True)
            if part.violations and self.report is None:
                break
        (all_of_it,) = self._note(whole, new)
        print(told(all_of_it), flush=True)
        return all_of_it

    def _note(self, whole: list[Part], new: list[Part]) -> list[Part]:
        """Write what is new into the report, and return all of it."""
        if new and self.report is not None:
            with self.report.open("a") as file:
                file.writelines(f"{part.line()}\n" for part in added(new))
        return added([*whole, *new])

    def _parts(self, end: float) -> Iterator[Part]:
        """Yield what was played, in the order of the seeds."""
        work = partial(played, go_on=self.report is not None)
        if self.processes == 1:
            before = gc.get_threshold()
            _prepare()
            try:
                yield from map(work, self._dealt(end))
            finally:
                gc.unfreeze()
                gc.set_threshold(*before)
            return
        # A fork has the bug that is in, if any.
        with multiprocessing.get_context("fork").Pool(self.processes, _prepare) as pool:
            going: deque[AsyncResult[Part]] = deque()
            for seeds in self._dealt(end):
                going.append(pool.apply_async(work, (seeds,)))
                if len(going) > self.processes:
                    yield going.popleft().get()
            while going:
                yield going.popleft().get()

    def _dealt(self, end: float) -> Iterator[range]:
        """Yield the seeds to be played next, as long as there is time."""
        for start in itertools.count(self.first, DEALT):
            stop = start + DEALT if self.most is None else min(start + DEALT, self.first + self.most)
            if start >= stop or (start > self.first and time.monotonic() > end):
                return
            yield range(start, stop)


def played(seeds: range, *, go_on: bool) -> Part:
    """Play schedules; without `go_on` up to the first that violates something."""
    began = time.process_time()
    number = steps = faults = calls = 0
    violations: list[tuple[int, str]] = []
    for seed in seeds:
        number += 1
        try:
            outcome = play(seed)
        except Exception as error:  # as much of a finding as a violation
            violations.append((seed, repr(error)[:500]))
        else:
            steps, faults, calls = steps + outcome.steps, faults + outcome.faults, calls + outcome.calls
            if outcome.violation is not None:
                violations.append((seed, outcome.violation[:500]))
        if violations and not go_on:
            break
    return Part(
        revision="",
        first=seeds.start,
        schedules=number,
        steps=steps,
        faults=faults,
        calls=calls,
        seconds=round(time.process_time() - began, 3),
        violations=tuple(violations),
    )


def _prepare() -> None:
    """Have the collector look rarely, and never at what was loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
