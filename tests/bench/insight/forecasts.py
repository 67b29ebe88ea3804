"""Forecasts: how right they are beside naive ones, and how long ten thousand open requests take.

The past is made by the core with people whose waits are lognormal (`tests/past.py`). Both naive forecasts are given
the same requests: each says a median of the past for the finish, as its range the middle 80 % of it, and as its
chance to miss a deadline the share that missed theirs. Where lifelines is installed, a regression of survival analysis
is held to them as well (`regression.py`).
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from insight.forecast.calibration import brier
from insight.forecast.forecaster import TOO_FEW, Forecaster
from placet.engine.state import State
from placet.plan.calendar import working_seconds
from placet.plan.plan import Plan
from service.forecasts.learning import learn_from
from tests.bench.insight import regression
from tests.past import ran, row_of, spread, truth
from tests.unit.core import START, graph, office, plan_of

PAST, OPEN = 1_000, 10_000
DAYS = 12  # after which nearly every request has ended
_A_DAY = 4_000  # requests that begin, so that more than OPEN are open
GOAL = 60.0  # seconds
GAP = timedelta(minutes=43)
_WEEK = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
_STAGES = {"Manager": (6.0, 1.0), "Controller": (3.0, 0.6), "CFO": (16.0, 0.8)}
_DRAWN = graph(
    "start -> manager",
    "manager -> controller on approved",
    "manager -> rejected on rejected",
    "controller -> large on approved",
    "controller -> rejected on rejected",
    "cfo -> approved on approved",
    "cfo -> rejected on rejected",
    nodes={
        "manager": {"step": "Manager"},
        "controller": {"step": "Controller"},
        "cfo": {"step": "CFO"},
        "large": {"type": "decision"},
    },
)
PROCESS: dict[str, Any] = {
    "name": "Expense",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal", "required": True, "minimum": 0}],
    "settings": {"timezone": "Europe/Berlin", "calendar": {"hours": _WEEK}},
    "process_steps": [
        {"stage_name": "Manager", "sla_hours": 8},
        {"stage_name": "Controller", "approvers": ["user:cid"], "sla_hours": 4},
        {"stage_name": "CFO", "approvers": ["role:cfo"], "sla_hours": 24},
    ],
    "graph_spec": {
        **_DRAWN,
        "edges": [
            *_DRAWN["edges"],
            {"from": "large", "to": "cfo", "condition": "amount > 5000"},
            {"from": "large", "to": "approved", "default": True},
        ],
    },
}
TRUTH = truth(_STAGES, {"approve": 0.85, "reject": 0.1, "request_changes": 0.05})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An open request and what came of it, in seconds of working time from now on."""

    state: State
    ended: float
    missed: bool | None  # None: its deadline had passed, or it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How right forecasts were: share of ranges that held, their median width, median error (hours), Brier score."""

    coverage: float
    width: float
    error: float
    brier: float


def made() -> tuple[Plan, list[State], list[Asked], datetime]:
    """Return a process, finished requests, and requests that are open at a later moment with what came of them."""
    plan, people = plan_of(PROCESS), office()
    starts = spread(PAST * 5 // 4, START, GAP)
    now = starts[-1][1]
    past = ran(plan, people, TRUTH, starts, now)
    # Of other requests than those that were learned from: all that are open, of those that began in the last days.
    drawn = spread(DAYS * _A_DAY, START, GAP, seed=1)
    began = [
        (f"o{n}", now - timedelta(days=DAYS) + n * timedelta(days=1) / _A_DAY, given)
        for n, (_, _, given) in enumerate(drawn)
    ]
    pending = [one for one in ran(plan, people, TRUTH, began, now) if one.status == "pending"]
    states = random.Random(2).sample(pending, OPEN)
    starts_of = {one[0]: one for one in began}
    later = ran(plan, people, TRUTH, [starts_of[one.request_id] for one in states], now + timedelta(days=400))
    asked: list[Asked] = []
    for state, end in zip(states, later, strict=True):
        task = next(iter(state.open_tasks), None)
        done = end.task(task.id) if task is not None else None
        missed = None
        if task is not None and task.due_at is not None and task.due_at > now and done is not None:
            missed = done.decided_at is None or done.decided_at > task.due_at
        assert end.ended_at is not None
        ended = working_seconds(plan.calendar, now, end.ended_at)
        asked.append(Asked(state=state, ended=ended, missed=missed))
    return plan, past, asked, now


def _score(said: Sequence[tuple[float, float, float, float]], asked: Sequence[Asked]) -> Score:
    """Score what was said of each: low, expected, high, and the chance to miss."""
    pairs = list(zip(said, asked, strict=True))
    known = [(one[3], a.missed) for one, a in pairs if a.missed is not None]
    return Score(
        coverage=sum(low <= a.ended <= high for (low, _, high, _), a in pairs) / len(pairs),
        width=median(high - low for low, _, high, _ in said) / 3600,
        error=median(abs(middle - a.ended) for (_, middle, _, _), a in pairs) / 3600,
        brier=brier([chance for chance, _ in known], [missed for _, missed in known]),
    )


def forecast(forecaster: Forecaster, plan: Plan, asked: Sequence[Asked], now: datetime) -> list[tuple[float, ...]]:
    """Forecast each request."""
    found: list[tuple[float, ...]] = []
    for one in asked:
        said = forecaster.of(plan, one.state, now)
        assert said.finish is not None
        high = said.finish.high
        moments = (said.finish.low, said.finish.expected, high if high is not None else now + timedelta(days=9_999))
        seconds = [working_seconds(plan.calendar, now, at) for at in moments]
        found.append((*seconds, said.miss_probability if said.miss_probability is not None else 0.0))
    return found


def naive(plan: Plan, past: Sequence[State], asked: Sequence[Asked], by: Callable[[State, int], str]) -> Score:
    """Score forecasts by what was left after the opening of a task, for all tasks alike or for those of a stage."""
    left: dict[str, list[float]] = defaultdict(list)
    missed: dict[str, list[bool]] = defaultdict(list)
    for state in past:
        if state.ended_at is None:
            continue
        for number, task in enumerate(state.tasks):
            key = by(state, number)
            left[key].append(working_seconds(plan.calendar, task.opened_at, state.ended_at))
            missed[key].append(task.decided_at is None or (task.due_at is not None and task.decided_at > task.due_at))
    said: list[tuple[float, float, float, float]] = []
    every: Mapping[str, list[float]] = {key: sorted(some) for key, some in left.items()}
    whole = sorted(one for some in left.values() for one in some)
    for one in asked:
        key = by(one.state, len(one.state.tasks) - 1)
        took = every.get(key, whole)
        chance = sum(missed[key]) / len(missed[key]) if missed[key] else 0.5
        low, middle, high = (took[int(part * (len(took) - 1))] for part in (0.1, 0.5, 0.9))
        said.append((low, middle, high, chance))
    return _score(said, asked)


def _line(name: str, score: Score) -> str:
    return f"| {name} | {score.coverage:.1%} | {score.width:.1f} h | {score.error:.1f} h | {score.brier:.3f} |"


def _regression(plan: Plan, past: Sequence[State], asked: Sequence[Asked], now: datetime) -> str:
    if not regression.installed():
        hint = f"`{regression.INSTALL}` installs it"
        sys.stderr.write(f"the regression is not measured, since lifelines is not installed: {hint}\n")
        return f"| log-normal regression (lifelines) | not measured: {hint} | | | |"
    said = regression.regression(plan, past, [one.state for one in asked], now)
    return _line(regression.name(), _score(said, asked))


def _figures() -> str:
    plan, past, asked, now = made()
    begun = process_time()
    forecaster = learn_from(plan, [row_of(state) for state in past], office())
    learned = process_time() - begun
    assert forecaster != TOO_FEW
    begun = process_time()
    said = forecast(forecaster, plan, asked, now)
    took = process_time() - begun
    ours = _score([(one[0], one[1], one[2], one[3]) for one in said], asked)
    held = forecaster.held_out
    lines = [
        "| forecast | ranges that held (80 % is exact) | width | typical error | Brier score of missed deadlines |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines.append(_line("Placet", ours))
    lines.append(_line("median of the stage", naive(plan, past, asked, lambda state, n: state.tasks[n].stage)))
    lines.append(_line("median of all", naive(plan, past, asked, lambda *_: "")))
    lines.append(_regression(plan, past, asked, now))
    told = f"{held.coverage:.1%} of {held.cases} ranges, Brier {held.brier:.3f} of {held.deadlines}"
    lines.append("")
    lines.append(
        f"What stands beside the forecasts as held out: {told}. Learned from {forecaster.cases} finished requests."
    )
    lines.append("")
    lines.append(
        f"**{len(asked):,} open requests were forecast in {took:.1f} s** of processor time "
        f"({1000 * took / len(asked):.1f} ms for each); learning took {learned:.1f} s. The aim is {GOAL:.0f} s."
    )
    return "\n".join(lines)


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
