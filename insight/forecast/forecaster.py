"""The forecaster of a process: learned from its past, calibrated on later requests, and held to still later ones.

Past requests are taken in the order in which they ended. The figures that stand beside each forecast come from a
forecaster that knew what had happened when the first 60 % had ended, was calibrated on the next 20 %, and forecast the
last 20 %, of which it knew nothing. The forecaster that is used is made in the same way with everything moved on: it
knows what had happened when 80 % had ended, and is calibrated on the last 20 %. What was open at that moment counts as
a wait that lasted at least so long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Literal

from insight.forecast.calibration import Calibration, brier
from insight.forecast.delays import Delays, Wait, waits_of
from insight.forecast.distribution import Distribution
from insight.forecast.futures import DRAWS, NOTHING_AROUND, Around, Futures, Outlook, Run
from insight.forecast.load import Loads
from insight.forecast.past_task import PastTask
from placet.engine.state import State
from placet.errors import InputInvalid
from placet.plan.calendar import Calendar, add_hours, working_seconds
from placet.plan.plan import Plan

# Finished requests of a process below which nothing is said.
LEAST_CASES = 100
COVERAGE = 0.8  # of the interval in which the finish lies
LEAST_RANKS = 15  # later requests that a calibration needs; fewer are known where many were moved or withdrawn
_LEARN, _LATER = 0.6, 0.8

TOO_FEW: Literal["too_few"] = "too_few"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCase:
    """A request as the past has it, with the moments at which it was returned and sent in again.

    `finished_at` is when the process came to its end; None while it runs, and where it was withdrawn or cancelled.
    """

    id: str
    finished_at: datetime | None
    tasks: tuple[PastTask, ...]
    resubmissions: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A finished request as it stood at an earlier moment, and what came of it, in working time from then on.

    `closed` is when the task that was to fall due first was decided, None where that is not known; `allowed` is how
    long that task had until its deadline, None without one. `around` says how those stood who were asked then.
    """

    plan: Plan
    state: State
    now: datetime
    ended: float
    closed: float | None
    allowed: float | None
    around: Around = NOTHING_AROUND


Examine = Callable[[PastCase], Sequence[Example]]
"""Return how a past request stood at moments that do not depend on what came later, as often as it was open at one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """How right forecasts were about requests of which nothing was known.

    How many requests, each forecast at several moments, and what share of the intervals held; of the chances to miss a
    deadline, the number and the Brier score (None without deadlines).
    """

    cases: int
    coverage: float
    deadlines: int
    brier: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """When a request is finished: as likely before `expected` as after it, and from `low` to `high` with a chance of
    `coverage`. `high` is None where it lies beyond all calendars.
    """

    expected: datetime
    low: datetime
    high: datetime | None
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is said of an open request.

    `finish` is None where its end depends on what nobody knows. `deadline` is that of the open task which falls due
    first, `task_id` its id, and `miss_probability` the chance that it is open then; None without a deadline.
    """

    finish: Finish | None
    task_id: str | None
    deadline: datetime | None
    miss_probability: float | None
    draws: int
    cases: int
    held_out: HeldOut


@dataclass(kw_only=True)
class Calibrated:
    """Futures, and what the ranks in them are worth: those of ends, and those of the closing of tasks."""

    futures: Futures
    ends: Calibration
    closings: Calibration

    def finish(self, outlook: Outlook, calendar: Calendar, now: datetime) -> Finish | None:
        """Return when a request is finished."""
        if not outlook.ending or len(self.ends.ranks) < LEAST_RANKS:
            return None
        likely = Distribution.of(outlook.ending)
        low, high = self.ends.bounds(COVERAGE)
        moments = [_moment(calendar, now, likely.time(rank)) for rank in (low, self.ends.middle, high)]
        first, middle, last = moments
        if first is None or middle is None:
            return None
        return Finish(expected=middle, low=first, high=last, coverage=COVERAGE)

    def chance_to_miss(self, outlook: Outlook, allowed: float) -> float | None:
        """Return the chance that the task which falls due first is open after so much working time."""
        if not outlook.closing or len(self.closings.ranks) < LEAST_RANKS:
            return None
        if allowed <= 0:
            return 1.0
        return 1 - self.closings.chance_below(Distribution.of(outlook.closing).rank(allowed))


@dataclass(kw_only=True)
class Forecaster:
    """Forecasts for the open requests of a version of a process; `cases` is from how many finished ones it learned."""

    calibrated: Calibrated
    held_out: HeldOut
    cases: int

    def of(self, plan: Plan, state: State, now: datetime, around: Around = NOTHING_AROUND) -> Forecast:
        """Return the forecast for a pending request; `around` says how those stand who are asked now."""
        outlook = self.calibrated.futures.of(plan, state, now, around)
        task = outlook.task
        deadline = task.due_at if task is not None else None
        allowed = working_seconds(plan.calendar, now, deadline) if deadline is not None else None
        return Forecast(
            finish=self.calibrated.finish(outlook, plan.calendar, now),
            task_id=task.id if task is not None else None,
            deadline=deadline,
            miss_probability=self.calibrated.chance_to_miss(outlook, allowed) if allowed is not None else None,
            draws=self.calibrated.futures.draws,
            cases=self.cases,
            held_out=self.held_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Past cases parted by time: `first` ended before those of `middle`, and these before those of `last`.

    `first` is their number, `ends` when each of all ended, in order. Of the others there is how they stood at moments.
    """

    cases: Sequence[PastCase]
    ends: Sequence[tuple[datetime, str]]
    first: int
    middle: Sequence[Sequence[Example]]
    last: Sequence[Sequence[Example]]
    loads: Loads

    @classmethod
    def of(cls, cases: Sequence[PastCase], examine: Examine) -> Split | None:
        """Part them; None where too few have ended."""
        ends = sorted((case.finished_at, case.id) for case in cases if case.finished_at is not None)
        if len(ends) < LEAST_CASES:
            return None
        by_id = {case.id: case for case in cases}
        first, second = int(len(ends) * _LEARN), int(len(ends) * _LATER)
        loads = Loads.of(task for case in cases for task in case.tasks)
        middle, last = (
            [[_with_loads(one, loads) for one in examine(by_id[ident])] for _, ident in part]
            for part in (ends[first:second], ends[second:])
        )
        return cls(cases=cases, ends=ends, first=first, middle=middle, last=last, loads=loads)

    @property
    def second(self) -> int:
        """How many ended before those of `last`."""
        return self.first + len(self.middle)

    def trial(self, calendar: Calendar, run: Run, *, draws: int = DRAWS, seed: int = 0) -> Calibrated | None:
        """Return what was known when the first had ended, calibrated on the middle; None where that is too little."""
        return self._calibrated(self.first, self.middle, calendar, run, draws=draws, seed=seed)

    def latest(self, calendar: Calendar, run: Run, *, draws: int = DRAWS, seed: int = 0) -> Calibrated | None:
        """Return the same with everything moved on: calibrated on the last."""
        return self._calibrated(self.second, self.last, calendar, run, draws=draws, seed=seed)

    def _calibrated(
        self, learned: int, later: Sequence[Sequence[Example]], calendar: Calendar, run: Run, *, draws: int, seed: int
    ) -> Calibrated | None:
        delays = delays_at(self.cases, self.ends[learned - 1][0], calendar, self.loads)
        if delays is None:
            return None
        return _calibrated(Futures(delays=delays, run=run, draws=draws, seed=seed), later)


def learn(
    cases: Sequence[PastCase], calendar: Calendar, examine: Examine, run: Run, *, draws: int = DRAWS, seed: int = 0
) -> Forecaster | Literal["too_few"]:
    """Learn from past cases, open ones among them; TOO_FEW where they do not suffice."""
    split = Split.of(cases, examine)
    if split is None:
        return TOO_FEW
    trial = split.trial(calendar, run, draws=draws, seed=seed)
    used = split.latest(calendar, run, draws=draws, seed=seed)
    held_out = held_to(trial, split.last) if trial is not None else None
    if held_out is None or used is None:
        return TOO_FEW
    return Forecaster(calibrated=used, held_out=held_out, cases=len(split.ends))


def delays_at(
    cases: Iterable[PastCase], moment: datetime, calendar: Calendar, loads: Loads | None = None
) -> Delays | None:
    """Return how long tasks wait, as was known at a moment; None where nothing had been decided."""
    waits: list[Wait] = []
    again: list[float] = []
    for case in cases:
        waits += waits_of(case.tasks, moment, calendar, loads)
        again += [working_seconds(calendar, back, sent) for back, sent in case.resubmissions if sent <= moment]
    return Delays.of(waits, again) if any(wait.decision is not None for wait in waits) else None


def held_to(calibrated: Calibrated, cases: Iterable[Sequence[Example]]) -> HeldOut | None:
    """Return how right forecasts are about requests whose end is known; None without any."""
    known = [examples for examples in cases if examples]
    low, high = calibrated.ends.bounds(COVERAGE)
    inside: list[bool] = []
    chances: list[float] = []
    missed: list[bool] = []
    for example in chain.from_iterable(known):
        outlook = calibrated.futures.of(example.plan, example.state, example.now, example.around)
        if outlook.ending:
            inside.append(low <= Distribution.of(outlook.ending).rank(example.ended) <= high)
        if example.closed is None or example.allowed is None or example.allowed <= 0:
            continue
        chance = calibrated.chance_to_miss(outlook, example.allowed)
        if chance is not None:
            chances.append(chance)
            missed.append(example.closed > example.allowed)
    if not inside:
        return None
    score = brier(chances, missed) if chances else None
    return HeldOut(cases=len(known), coverage=sum(inside) / len(inside), deadlines=len(chances), brier=score)


def _with_loads(example: Example, loads: Loads) -> Example:
    """Return a request as it stood, with how much waited for those who were asked."""
    asked = {task.assignee for task in example.state.open_tasks if task.assignee is not None}
    waiting = {person: loads.at(person, example.now) for person in asked}
    return replace(example, around=Around(waiting=waiting))


def _calibrated(futures: Futures, later: Iterable[Sequence[Example]]) -> Calibrated | None:
    ends: list[list[float]] = []
    closings: list[list[float]] = []
    for examples in later:
        ends.append([])
        closings.append([])
        for example in examples:
            outlook = futures.of(example.plan, example.state, example.now, example.around)
            if outlook.ending:
                ends[-1].append(Distribution.of(outlook.ending).rank(example.ended))
            if outlook.closing and example.closed is not None:
                closings[-1].append(Distribution.of(outlook.closing).rank(example.closed))
    found = Calibrated(futures=futures, ends=Calibration.of(ends), closings=Calibration.of(closings))
    return found if max(len(found.ends.ranks), len(found.closings.ranks)) >= LEAST_RANKS else None


def _moment(calendar: Calendar, now: datetime, seconds: float) -> datetime | None:
    try:
        return add_hours(calendar, now, seconds)
    except InputInvalid:
        return None  # beyond 50 years
