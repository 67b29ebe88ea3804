"""Forecasts by a regression of survival analysis: log-normal accelerated failure time, of the library lifelines.

It is fitted to requests of the same past, each as it stood at moments that do not depend on what came later, by what a
forecast may use: the stage that is asked, for how long, the age of the request, and its amount. What was not over when
the past ends counts as censored. One model says when a request ends, one when the task that is open is decided.
lifelines brings a dozen packages (pandas, SciPy and Matplotlib among them), so it is not among Placet's.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from math import exp, log, log1p
from statistics import NormalDist, median
from typing import Any, Self

from placet.engine.state import State, Task
from placet.plan.calendar import add_hours, working_seconds
from placet.plan.plan import Plan

INSTALL = "uv pip install lifelines==0.30.3"
NOBODY = "nobody"  # the stage of a request that its requester changes
_MOST_LOOKS = 12  # at one request, as Placet looks
_SHORTEST = 60.0  # seconds: the regression is of logarithms
_FORMULA = "stage * (waited + age + amount)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """What a request shows at a moment: logarithms of the hours that it and its task have lasted, and of its amount."""

    stage: str
    waited: float
    age: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A request as it stood and how long something took from then on, in seconds; where it is not `over`, at least."""

    stood: Stood
    took: float
    over: bool


def stood(plan: Plan, state: State, tasks: Sequence[Task], now: datetime) -> Stood:
    """Return how a request stands whose tasks were these when it was looked at, the last one open or decided."""
    last = tasks[-1] if tasks else None
    closed = _closed(state, last) if last is not None else None
    waits = last is not None and (closed is None or closed > now)
    since = state.started_at if last is None else last.opened_at if waits or closed is None else closed
    return Stood(
        stage=last.stage if last is not None and waits else NOBODY,
        waited=log1p(working_seconds(plan.calendar, since, now) / 3600),
        age=log1p(working_seconds(plan.calendar, state.started_at, now) / 3600),
        amount=log1p(float(state.given["amount"])),
    )


def looks(plan: Plan, past: Sequence[State], now: datetime) -> Iterator[tuple[State, datetime]]:
    """Look at each request of the past from time to time while it goes on, so that long ones are seen more often."""
    ended = [working_seconds(plan.calendar, one.started_at, one.ended_at) for one in past if one.ended_at is not None]
    step = median(ended) / 2
    for state in past:
        begin = random.Random(state.request_id).random()
        for number in range(_MOST_LOOKS):
            at = add_hours(plan.calendar, state.started_at, (begin + number) * step)
            if at >= (state.ended_at or now):
                break
            yield state, at


def known(plan: Plan, past: Sequence[State], now: datetime) -> tuple[list[Known], list[Known]]:
    """Return what the past knows of the ends of requests, and of the decisions of tasks that were open."""
    ends: list[Known] = []
    decisions: list[Known] = []
    for state, at in looks(plan, past, now):
        tasks = [task for task in state.tasks if task.opened_at <= at]
        seen = stood(plan, state, tasks, at)
        ends.append(_known(plan, seen, at, state.ended_at, now))
        if seen.stage != NOBODY:
            decisions.append(_known(plan, seen, at, _closed(state, tasks[-1]), now))
    return ends, decisions


def _known(plan: Plan, seen: Stood, at: datetime, over: datetime | None, now: datetime) -> Known:
    took = working_seconds(plan.calendar, at, over if over is not None else now)
    return Known(stood=seen, took=max(took, _SHORTEST), over=over is not None)


def _closed(state: State, task: Task) -> datetime | None:
    """Return when a task was closed: by its decision, or where it had none by what came after it."""
    if task.decided_at is not None or task.status == "open":
        return task.decided_at
    later = (one.opened_at for one in state.tasks if one.opened_at > task.opened_at)
    return min(later, default=state.ended_at)


@dataclass(kw_only=True)
class Regression:
    """A fitted model: the logarithm of what is left is normal, with a mean for each request and one spread."""

    fitter: Any
    spread: float

    @classmethod
    def of(cls, rows: Sequence[Known]) -> Self:
        """Fit it; raises ImportError without lifelines."""
        fitter = import_module("lifelines").LogNormalAFTFitter(penalizer=0.01)
        table = _table([row.stood for row in rows])
        table["took"] = [row.took / 3600 for row in rows]
        table["over"] = [row.over for row in rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries below it about each other
            fitter.fit(table, "took", "over", formula=_FORMULA)
        return cls(fitter=fitter, spread=exp(float(fitter.params_["sigma_"]["Intercept"])))

    def of_each(self, some: Sequence[Stood]) -> list[NormalDist]:
        """Return the distribution of the logarithm of the hours that are left of each."""
        return [NormalDist(log(hours), self.spread) for hours in self.fitter.predict_median(_table(some))]


def regression(
    plan: Plan, past: Sequence[State], opened: Sequence[State], now: datetime
) -> list[tuple[float, float, float, float]]:
    """Say of each open request: low, expected, high (seconds of working time), and the chance to miss its deadline."""
    ends, decisions = (Regression.of(rows) for rows in known(plan, past, now))
    stand = [stood(plan, state, state.tasks, now) for state in opened]
    decided = iter(decisions.of_each([one for one in stand if one.stage != NOBODY]))
    said: list[tuple[float, float, float, float]] = []
    for state, one, end in zip(opened, stand, ends.of_each(stand), strict=True):
        low, middle, high = (3600 * exp(end.inv_cdf(part)) for part in (0.1, 0.5, 0.9))
        said.append((low, middle, high, 0.0 if one.stage == NOBODY else _late(plan, state, next(decided), now)))
    return said


def _late(plan: Plan, state: State, decision: NormalDist, now: datetime) -> float:
    due = next(task.due_at for task in state.open_tasks)
    allowed = working_seconds(plan.calendar, now, due) if due is not None else 0.0
    return 1 - decision.cdf(log(allowed / 3600)) if allowed > 0 else 1.0


def installed() -> bool:
    """Say whether lifelines is."""
    return find_spec("lifelines") is not None


def name() -> str:
    """Name the regression as figures do."""
    return f"log-normal regression (lifelines {version('lifelines')})"


def _table(some: Sequence[Stood]) -> Any:
    return import_module("pandas").DataFrame([asdict(one) for one in some])
