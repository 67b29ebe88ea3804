"""Parallel approval: two stages in sequence of which the second gains nothing by waiting for the first."""

from __future__ import annotations

from collections.abc import Iterator

from insight.mining.patches import side_by_side
from insight.mining.statistics import at_least, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import APPROVED, Past, Visits
from placet.sentences import figure, sentence

LEAST_AGREEMENT = 0.9  # share of approvals in either stage
LEAST_GAIN = 3600.0  # seconds that at least half of the requests would be sooner
MOST_REQUESTS = 50_000  # the newest, of which the gain is computed


def parallel_approvals(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each pair of stages of which one leads straight to the other.

    All three have to be significant: the first approves in more than nine of ten requests, so that the second is
    seldom asked in vain; the second approves in more than nine of ten, so that it does not correct the first; and more
    than half of the requests would be an hour sooner, which is the shorter of both waits. The largest of the three
    p-values is that of the pair. The first must set nothing that the second could read.
    """
    process = past.process
    for first, before in past.stages.items():
        node = process.node_of(first)
        follows = process.after_approval(node) if node is not None else None
        for second, after in past.stages.items():
            if follows is None or process.node_of(second) != follows or min(len(before), len(after)) < min_occurrences:
                continue
            if process.asks_for_more_than_a_decision(first) or _carried(past, second):
                continue
            yield _tested(past, before, after)


def _carried(past: Past, stage: str) -> bool:
    """Whether approvals of earlier stages count in this one, which needs the order."""
    _, step = past.process.steps[stage]
    return (step.separation_of_duties or past.process.definition.duties).repeat == "carry"


def _tested(past: Past, before: Visits, after: Visits) -> Hypothesis:
    first, second = before.count(APPROVED), after.count(APPROVED)
    took = {before.case[n]: before.waited[n] for n in range(max(0, len(before) - MOST_REQUESTS), len(before))}
    both = [n for n in range(len(after)) if after.case[n] in took]
    gains = sorted(min(after.waited[n], took[after.case[n]]) for n in both)
    gained = sum(1 for gain in gains if gain > LEAST_GAIN)
    p_value = max(
        at_least(first, len(before), LEAST_AGREEMENT),
        at_least(second, len(after), LEAST_AGREEMENT),
        at_least(gained, len(gains), 0.5),
    )
    lower = min(wilson(first, len(before))[0], wilson(second, len(after))[0])
    patch = side_by_side(past.process, before.stage, after.stage) if lower > LEAST_AGREEMENT and gains else None
    if patch is None:
        return Hypothesis(p_value, None)
    hours = round(gains[len(gains) // 2] / 3600, 1)
    names = {"first": before.stage, "second": after.stage}
    evidence = after.evidence(
        both,
        lambda n: after.result[n] == APPROVED and min(after.waited[n], took[after.case[n]]) > LEAST_GAIN,
        first_approved=first,
        first_count=len(before),
        second_approved=second,
        second_count=len(after),
        median_hours_gained=hours,
        p_value=p_value,
    )
    finding = Finding(
        kind="parallel_approval",
        subject=(past.process.name, before.stage, after.stage),
        title=sentence("Ask stages {first!r} and {second!r} at the same time", **names),
        description=sentence(
            "{first!r} approved {first_approved} of {first_count} requests, and {second!r} then approved "
            "{second_approved} of {second_count}. Asked at the same time, half of the requests would have been "
            "at least {hours} hours sooner.",
            first_approved=first,
            first_count=len(before),
            second_approved=second,
            second_count=len(after),
            hours=figure(hours),
            **names,
        ),
        patch=patch,
        confidence=lower,
        evidence=evidence,
    )
    return Hypothesis(p_value, finding)
