"""An evaluation of forecasts on the latest part of a past, beside forecasts that anybody could make.

The naive ones say what was left after the opening of a task, as the earlier cases had it: its median, as range its
middle, and as chance to miss a deadline the share that missed theirs; for all tasks alike, or for those of a stage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from statistics import median
from typing import Literal

from insight.forecast.calibration import brier
from insight.forecast.distribution import Distribution
from insight.forecast.forecaster import COVERAGE, TOO_FEW, Calibrated, Examine, Example, PastCase, Split
from insight.forecast.futures import DRAWS, Run, due_first
from placet.plan.calendar import Calendar, working_seconds
from placet.quantile import quantile

_EVERY = ""  # the stage that stands for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of a case: when it ends, in seconds of working time from then on, and its chance to be late.

    `high` may be infinite; `chance` is None where no deadline is ahead.
    """

    low: float
    middle: float
    high: float
    chance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How right forecasts were: the share of the ranges that held, their median width and the median error of what was
    expected (hours of working time), and the Brier score of the chances (None without any).

    `width_hours` is None where most ranges have no end.
    """

    coverage: float
    width_hours: float | None
    error_hours: float
    brier: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How right forecasts of `held_out` cases were, each at several of `moments`, of which `deadlines` had one ahead.

    They were learned from `learned` earlier cases and calibrated on `calibrated` ones between.
    """

    learned: int
    calibrated: int
    held_out: int
    moments: int
    deadlines: int
    forecasts: Score
    median_of_stage: Score
    median_of_all: Score


def evaluate(
    cases: Sequence[PastCase], calendar: Calendar, examine: Examine, run: Run, *, draws: int = DRAWS, seed: int = 0
) -> Evaluation | Literal["too_few"]:
    """Evaluate forecasts on past cases; TOO_FEW where they do not suffice."""
    split = Split.of(cases, examine)
    trial = split.trial(calendar, run, draws=draws, seed=seed) if split is not None else None
    if split is None or trial is None:
        return TOO_FEW
    pairs = [
        (said, example) for example in chain.from_iterable(split.last) if (said := _said(trial, example)) is not None
    ]
    if not pairs:
        return TOO_FEW
    held = [example for _, example in pairs]
    return Evaluation(
        learned=split.first,
        calibrated=sum(bool(examples) for examples in split.middle),
        held_out=sum(bool(examples) for examples in split.last),
        moments=len(held),
        deadlines=len(_ahead(pairs)),
        forecasts=score(pairs),
        median_of_stage=score(_naive(split, calendar, held, _stage_of)),
        median_of_all=score(_naive(split, calendar, held, lambda _: _EVERY)),
    )


def score(pairs: Sequence[tuple[Said, Example]]) -> Score:
    """Score what was said of cases as they stood; there has to be one."""
    known = _ahead(pairs)
    width = median(said.high - said.low for said, _ in pairs)
    return Score(
        coverage=sum(said.low <= example.ended <= said.high for said, example in pairs) / len(pairs),
        width_hours=width / 3600 if isfinite(width) else None,
        error_hours=median(abs(said.middle - example.ended) for said, example in pairs) / 3600,
        brier=brier([chance for chance, _ in known], [missed for _, missed in known]) if known else None,
    )


def _said(calibrated: Calibrated, example: Example) -> Said | None:
    outlook = calibrated.futures.of(example.plan, example.state, example.now, example.around)
    if not outlook.ending:
        return None
    likely = Distribution.of(outlook.ending)
    low, high = calibrated.ends.bounds(COVERAGE)
    ahead = example.closed is not None and example.allowed is not None and example.allowed > 0
    return Said(
        low=likely.time(low),
        middle=likely.time(calibrated.ends.middle),
        high=likely.time(high),
        chance=calibrated.chance_to_miss(outlook, example.allowed) if ahead and example.allowed is not None else None,
    )


def _ahead(pairs: Iterable[tuple[Said, Example]]) -> list[tuple[float, bool]]:
    """Return what was said of deadlines, each with whether it was missed."""
    return [
        (said.chance, example.closed > example.allowed)
        for said, example in pairs
        if said.chance is not None and example.closed is not None and example.allowed is not None
    ]


def _naive(
    split: Split, calendar: Calendar, held: Sequence[Example], key_of: Callable[[str], str]
) -> list[tuple[Said, Example]]:
    """Say of each what earlier cases came to, by the stage that is asked as `key_of` calls it."""
    ended = {ident for _, ident in split.ends[: split.second]}
    left: dict[str, list[float]] = defaultdict(list)
    for case in split.cases:
        if case.id not in ended or case.finished_at is None:
            continue
        for task in case.tasks:
            seconds = working_seconds(calendar, task.opened_at, case.finished_at)
            left[key_of(task.stage)].append(seconds)
            left[_EVERY].append(seconds)
    missed: dict[str, list[bool]] = defaultdict(list)
    for example in chain.from_iterable(split.middle):
        if example.closed is not None and example.allowed is not None and example.allowed > 0:
            for key in {key_of(_stage_of_example(example)), _EVERY}:
                missed[key].append(example.closed > example.allowed)
    rising = {key: sorted(some) for key, some in left.items()}
    outside = (1 - COVERAGE) / 2
    pairs: list[tuple[Said, Example]] = []
    for example in held:
        key = key_of(_stage_of_example(example))
        took, late = rising.get(key) or rising[_EVERY], missed.get(key) or missed[_EVERY]
        low, middle, high = (quantile(took, part) for part in (outside, 0.5, 1 - outside))
        ahead = example.closed is not None and example.allowed is not None and example.allowed > 0
        chance = (sum(late) / len(late) if late else 0.5) if ahead else None
        pairs.append((Said(low=low, middle=middle, high=high, chance=chance), example))
    return pairs


def _stage_of(stage: str) -> str:
    return stage


def _stage_of_example(example: Example) -> str:
    task = due_first(example.state)
    return task.stage if task is not None else _EVERY
