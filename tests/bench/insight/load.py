"""Load: what it adds to know how much waits for a person, about tasks of which nothing was known.

People have tasks that come at a rate which rises and falls. How long these take is learned from the first four fifths
of the time, once as forecasts do it and once without the load, and held to the tasks of the last fifth.
"""

from __future__ import annotations

import asyncio
import random
from bisect import insort
from collections.abc import Callable, Sequence
from datetime import timedelta
from math import exp, sin
from pathlib import Path
from statistics import fmean, median

from insight.forecast.delays import Delays, Pace, waits_of
from insight.forecast.load import Loads
from insight.forecast.past_task import PastTask
from tests.bench.insight.tables import table
from tests.unit.core import START, blueprint, plan_of

PEOPLE = 8
DAYS = 200
A_DAY = 48  # tasks that come on average
WEEKS_OF_A_WAVE = 3
_QUANTILES = [part / 20 for part in range(1, 20)]
_HOUR = 3600.0

Wait = Callable[[random.Random, int, float], float]
"""How many hours a task waits, by how many others wait for its person, and the hours until these are done."""
TRUTHS: dict[str, Wait] = {
    "waits grow with the power 0.6 of the load": lambda draw, n, _: 6 * (1 + n) ** 0.6 * draw.lognormvariate(0, 0.6),
    "one task after the other, in turn": lambda draw, _, busy: busy + draw.lognormvariate(0.5, 0.6),
    "the load does nothing": lambda draw, *_: 6 * draw.lognormvariate(0, 0.6),
}  # fmt: skip


def made(wait: Wait, seed: int = 1) -> list[PastTask]:
    """Return tasks of one stage, in the order in which they were opened."""
    draw = random.Random(seed)
    open_until: dict[str, list[float]] = {f"p{n}": [] for n in range(PEOPLE)}
    pace = {person: exp(draw.gauss(0, 0.3)) for person in open_until}
    found: list[PastTask] = []
    hour = 0.0
    while hour < 24 * DAYS:
        wave = 1 + 0.7 * sin(hour / (24 * 7 * WEEKS_OF_A_WAVE) * 6.2832)
        hour += draw.expovariate(A_DAY / 24 * wave)
        person = draw.choice([*open_until])
        waiting = open_until[person]
        waiting[:] = [end for end in waiting if end > hour]
        busy = waiting[-1] - hour if waiting else 0.0
        took = wait(draw, len(waiting), busy / pace[person]) * pace[person]
        insort(waiting, hour + took)
        opened = START + timedelta(hours=hour)
        found.append(
            PastTask(
                stage="Manager",
                person=person,
                opened_at=opened,
                closed_at=opened + timedelta(hours=took),
                decision="approve",
            )
        )
    return found


def _said(pace: Pace, took: float) -> tuple[bool, float, float, float]:
    """Return whether the middle 80 % held, its width, the error of the median, and the mean loss of quantiles."""
    quantiles = [pace.remaining(0.0, part) for part in _QUANTILES]
    low, high, middle = pace.remaining(0.0, 0.1), pace.remaining(0.0, 0.9), pace.remaining(0.0, 0.5)
    losses = [
        (took - said) * part if took >= said else (said - took) * (1 - part)
        for said, part in zip(quantiles, _QUANTILES, strict=True)
    ]
    return low <= took <= high, high - low, abs(middle - took), fmean(losses)


def _score(name: str, way: str, power: float, said: Sequence[tuple[bool, float, float, float]]) -> list[str]:
    held, width, error, loss = (list(column) for column in zip(*said, strict=True))
    return [
        name,
        way,
        f"{power:.2f}",
        f"{fmean(held):.1%}",
        f"{median(width) / _HOUR:.1f} h",
        f"{median(error) / _HOUR:.2f} h",
        f"{fmean(loss) / _HOUR:.3f} h",
    ]


def rows(name: str, wait: Wait) -> list[list[str]]:
    """Return the figures of one truth, with the load and without."""
    tasks, calendar = made(wait), plan_of(blueprint({"stage_name": "Manager"})).calendar
    moment = START + timedelta(days=DAYS * 4 / 5)
    known = Loads.of(tasks)
    later = [task for task in tasks if task.opened_at >= moment]
    found = []
    for way, loads in (("with the load", known), ("without", None)):
        delays = Delays.of(waits_of(tasks, moment, calendar, loads))
        effect = delays.loads.get("Manager")
        said = []
        for task in later:
            assert task.person is not None
            assert task.closed_at is not None
            load = known.at(task.person, task.opened_at) if loads is not None else None
            took = (task.closed_at - task.opened_at).total_seconds()
            said.append(_said(delays.wait_in("Manager", task.person, load), took))
        found.append(_score(name, way, effect.power if effect is not None else 0.0, said))
    return found


def _figures() -> str:
    head = ["truth", "forecast", "power", "ranges that held (80 % is exact)", "width", "error", "loss of quantiles"]
    return table(head, [row for name, wait in TRUTHS.items() for row in rows(name, wait)], texts=2)


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
