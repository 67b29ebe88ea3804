"""Performance: stages that take much longer than the others of the same requests."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Any

from insight.mining.history import MISSING
from insight.mining.patches import Patch, set_value
from insight.mining.statistics import at_least, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import Past, Visits
from placet.sentences import figure, sentence

SLOWER = 2.0  # times the median of the other stages
SHORTEST = 3600.0  # seconds at the median below which nobody minds
MOST_VISITS = 20_000  # of a stage, the newest


def slow_stages(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each stage: in most requests it takes at least twice the median of the request's other stages.

    It is a sign test within requests, so neither busy weeks nor difficult requests speak for or against a stage. Stages
    of the same speed pass it in fewer than half of the requests.
    """
    took = {stage: _by_case(past, visits) for stage, visits in past.stages.items()}
    for stage, visits in past.stages.items():
        others = [column for other, column in took.items() if other != stage]
        own = took[stage]
        compared: list[int] = []
        waits: list[float] = []
        slow: set[int] = set()
        once = {visits.case[n]: n for n in visits.current[-MOST_VISITS:]}  # a request counts once, with all its rounds
        for case, n in once.items():
            rest = sorted(column[case] for column in others if column[case] >= 0)
            if rest:
                compared.append(n)
                waits.append(own[case])
                if own[case] > SLOWER * rest[len(rest) // 2]:
                    slow.add(n)
        if len(compared) >= min_occurrences:
            yield _tested(past, visits, compared, slow, sorted(waits))


def _by_case(past: Past, visits: Visits) -> array[float]:
    """Return for each case how long the stage took in all its visits; NaN where it has none."""
    column = array("d", [MISSING]) * len(past.history.cases)
    for case, seconds in zip(visits.case, visits.waited, strict=True):
        before = column[case]
        column[case] = seconds if math.isnan(before) else before + seconds
    return column


def _tested(past: Past, visits: Visits, compared: list[int], slow: set[int], waits: list[float]) -> Hypothesis:
    p_value = at_least(len(slow), len(compared), 0.5)
    lower, _ = wilson(len(slow), len(compared))
    median = waits[len(waits) // 2]
    if lower <= 0.5 or median < SHORTEST:
        return Hypothesis(p_value, None)
    values: dict[str, Any] = {"stage": visits.stage, "hours": figure(median / 3600)}
    finding = Finding(
        kind="performance",
        subject=(past.process.name, visits.stage),
        title=sentence("Stage {stage!r} takes much longer than the others", **values),
        description=sentence(
            "In {slow} of {count} requests stage {stage!r} took more than twice as long as the other stages of the "
            "same request; its median is {hours} hours. Reminders shorten what is only forgotten.",
            slow=len(slow),
            count=len(compared),
            **values,
        ),
        patch=_patch(past, visits.stage, median),
        confidence=lower,
        evidence=visits.evidence(
            compared, slow.__contains__, slower=len(slow), median_hours=round(median / 3600, 1), p_value=p_value
        ),
    )
    return Hypothesis(p_value, finding)


def _patch(past: Past, stage: str, median: float) -> Patch:
    """Remind people once half of the median has passed, or twice as often as now."""
    place, step = past.process.steps[stage]
    path: list[str | int] = ["process_steps", place, "reminders"]
    every = max(1.0, round(median / 7200))
    if step.reminders is None:
        return (set_value(past.process.document, path, {"every_hours": every}),)
    if step.reminders.every_hours is not None:
        every = min(every, step.reminders.every_hours / 2)
    return (set_value(past.process.document, [*path, "every_hours"], every),)
