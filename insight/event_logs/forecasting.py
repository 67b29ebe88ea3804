"""Forecasts on a log: how right they are about its latest cases, each replayed through the blueprint of the log.

A case is looked at from time to time, as it stood; what it came to is known. What nothing in the log explains, whether
a stage is asked, is drawn in the share of the earlier cases, whatever the case itself came to.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from insight.event_logs.course import Course
from insight.event_logs.discovery import ProcessFound
from insight.event_logs.fit import Deviates, Replay, moment_of
from insight.event_logs.suggesting import Discovered
from insight.forecast.evaluation import evaluate
from insight.forecast.forecaster import TOO_FEW, Example, PastCase
from insight.forecast.futures import Draw, Future, Run, due_first
from insight.forecast.past_task import PastTask
from placet.definition.model import parse_definition
from placet.engine.state import State
from placet.plan.plan import Plan

MOST_CASES: Final = 500
"""Cases of a log that are looked at, evenly spread over its time."""
MOST_LOOKS: Final = 4
"""Moments at which one case is looked at."""
_DRAWS = 40  # of how a case may go on


def evaluate_log(log: Discovered, run: Run) -> dict[str, Any]:
    """Return how right forecasts are on the cases of a log, as JSON values; `run` lets a request go on."""
    past = _Past(log)
    cases = [past.case(course) for course in log.courses if course.visits]
    calendar = past.replay.plan(moment_of(log.courses[0].began)).calendar
    found = evaluate(cases, calendar, past.examine, _Choosing(found=log.found, run=run), draws=_DRAWS)
    told: dict[str, Any] = {"state": "too_few"}
    if found != TOO_FEW:
        told = {
            "state": "ok",
            "learned_from": found.learned,
            "calibrated_on": found.calibrated,
            "held_out": found.held_out,
            "moments": found.moments,
            "deadlines": found.deadlines,
            "scores": [
                {
                    "forecast": name,
                    "coverage": round(one.coverage, 4),
                    "width_hours": None if one.width_hours is None else round(one.width_hours, 3),
                    "error_hours": round(one.error_hours, 3),
                    "brier": None if one.brier is None else round(one.brier, 4),
                }
                for name, one in (
                    ("placet", found.forecasts),
                    ("median_of_stage", found.median_of_stage),
                    ("median_of_all", found.median_of_all),
                )
            ],
        }
    left_out = [{"kind": kind, "count": count} for kind, count in past.deviations.most_common()]
    return told | {"cases": len(cases), "every": log.step, "left_out": left_out}


@dataclass(kw_only=True)
class _Choosing:
    """Lets a request go on, whose choices that nothing explains are drawn."""

    found: ProcessFound
    run: Run

    def __call__(self, plan: Plan, state: State, now: datetime, draw: Draw, /) -> Future:
        chance = random.Random(f"{draw.seed}|choices")  # noqa: S311 - a simulation, the same one for the same seed
        chosen = {
            variable: stage.branch is not None and chance.random() * stage.branch.of < stage.branch.asked
            for variable, stage in sorted(self.found.choices.items())
        }
        return self.run(plan, replace(state, input={**state.input, **chosen}), now, draw)


@dataclass
class _Past:
    """The cases of a log, each replayed when it is looked at."""

    log: Discovered
    deviations: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.replay = Replay(parse_definition(self.log.document), self.log.found)
        self._courses: Mapping[str, Course] = {course.case: course for course in self.log.courses}
        took = [(_end(one) - moment_of(one.began)).total_seconds() for one in self.log.courses if one.visits]
        self._step = timedelta(seconds=max(median(took) / 2, 1.0) if took else 1.0)
        self._frequent = {
            variable: stage.branch is not None and stage.branch.frequent
            for variable, stage in self.log.found.choices.items()
        }
        self._closed = {course.case for course in (*self.log.earlier, *self.log.later)}

    def case(self, course: Course) -> PastCase:
        """Return a case as forecasts learn from it."""
        ended = course.outcome is not None and course.case in self._closed
        return PastCase(
            id=course.case,
            finished_at=_end(course) if ended else None,
            tasks=tuple(
                # People have no names here: the blueprint asks a role of its own in each stage.
                PastTask(
                    stage=visit.stage,
                    person=None,
                    opened_at=moment_of(visit.opened),
                    closed_at=moment_of(visit.at),
                    decision=visit.decision,
                )
                for visit in course.visits
            ),
            resubmissions=tuple(_resubmissions(course)),
        )

    def examine(self, case: PastCase) -> Sequence[Example]:
        """Return a case as it stood from time to time, while somebody was asked; none where the blueprint differs."""
        course = self._courses[case.id]
        if case.finished_at is None:
            return ()
        began = moment_of(course.began)
        first = random.Random(case.id).random()  # noqa: S311 - the same moments each time
        looks = [began + self._step * (first + number) for number in range(MOST_LOOKS)]
        try:
            replayed = self.replay.run(course, [look for look in looks if look < case.finished_at])
        except Deviates as deviation:
            self.deviations[deviation.kind] += 1
            return ()
        return [
            self._example(course, replayed.plan, state, now, case.finished_at)
            for now, state in replayed.seen
            if state.status == "pending" and state.open_tasks
        ]

    def _example(self, course: Course, plan: Plan, state: State, now: datetime, ended: datetime) -> Example:
        task = due_first(state)
        decided = next(
            (
                at
                for visit in course.visits
                if task is not None and visit.stage == task.stage and (at := moment_of(visit.at)) > now
            ),
            None,
        )
        due = task.due_at if task is not None else None
        return Example(
            plan=plan,
            state=replace(state, input={**state.input, **self._frequent}),
            now=now,
            ended=(ended - now).total_seconds(),
            closed=(decided - now).total_seconds() if decided is not None else None,
            allowed=(due - now).total_seconds() if due is not None else None,
        )


def _end(course: Course) -> datetime:
    return moment_of(course.visits[-1].at)


def _resubmissions(course: Course) -> list[tuple[datetime, datetime]]:
    returned = {visit.round: moment_of(visit.at) for visit in course.visits if visit.decision == "request_changes"}
    pairs = ((returned.get(number), moment_of(again)) for number, again in enumerate(course.resubmitted, 1))
    return [(back, again) for back, again in pairs if back is not None and again >= back]
