"""SLA target: a deadline that people miss as a rule, or one that says nothing because nobody comes near it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from insight.mining.patches import Patch, set_value
from insight.mining.statistics import at_least, quantile_above, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import Past, Visits
from placet.sentences import sentence

MOST_LATE = 0.2  # a deadline that is missed more often is too tight
IN_TIME = 0.9  # of the decisions meet a deadline that is new because the old one was too tight
LITTLE = 0.25  # of the time until the deadline
NEARLY_ALL = 0.95  # of the decisions take no more than that little where a deadline is too loose
SPARE = 1.5  # times what nearly all need, for a deadline that is new because the old one was too loose


def sla_targets(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each stage that has an SLA for a target that is too tight, and for one that is too loose.

    What counts is the share of the time until the deadline, so working hours need no conversion. Only requests of the
    blueprint's own version are looked at. The new target comes from a bound of a quantile, not from the quantile.
    """
    for stage, visits in past.stages.items():
        if past.process.target_hours(stage) is None:
            continue
        known = [n for n in visits.current if not math.isnan(visits.used[n])]
        if len(known) >= min_occurrences:
            yield _tight(past, visits, known)
            yield _loose(past, visits, known)


def _tight(past: Past, visits: Visits, known: list[int]) -> Hypothesis:
    used = visits.used
    late = sum(1 for n in known if used[n] > 1)
    p_value = at_least(late, len(known), MOST_LATE)
    lower, _ = wilson(late, len(known))
    target = _target(past, visits, known, IN_TIME, 1.0)
    patch = _patch(past, visits.stage, target) if lower > MOST_LATE and target is not None else None
    if patch is None or target is None:
        return Hypothesis(p_value, None)
    values = {"stage": visits.stage, "hours": past.process.target_hours(visits.stage), "target": target}
    finding = Finding(
        kind="sla_target",
        subject=(past.process.name, visits.stage, "too tight"),
        title=sentence("The SLA of stage {stage!r} is too tight: {target:g} hours instead of {hours:g}", **values),
        description=sentence(
            "{late} of {count} decisions in stage {stage!r} came after its {hours:g} hours. {target:g} hours would "
            "have been enough for nine of ten.",
            late=late,
            count=len(known),
            **values,
        ),
        patch=patch,
        confidence=lower,
        evidence=visits.evidence(known, lambda n: used[n] > 1, late=late, target_hours=target, p_value=p_value),
    )
    return Hypothesis(p_value, finding)


def _loose(past: Past, visits: Visits, known: list[int]) -> Hypothesis:
    used = visits.used
    soon = sum(1 for n in known if used[n] <= LITTLE)
    p_value = at_least(soon, len(known), NEARLY_ALL)
    lower, _ = wilson(soon, len(known))
    target = _target(past, visits, known, NEARLY_ALL, SPARE)
    patch = _patch(past, visits.stage, target) if lower > NEARLY_ALL and target is not None else None
    hours = past.process.target_hours(visits.stage) or 0.0
    if patch is None or target is None or target >= hours:
        return Hypothesis(p_value, None)
    values = {"stage": visits.stage, "hours": hours, "target": target}
    finding = Finding(
        kind="sla_target",
        subject=(past.process.name, visits.stage, "too loose"),
        title=sentence("The SLA of stage {stage!r} is too loose: {target:g} hours instead of {hours:g}", **values),
        description=sentence(
            "{soon} of {count} decisions in stage {stage!r} took no more than a quarter of its {hours:g} hours. With "
            "{target:g} hours a request that is forgotten is found sooner.",
            soon=soon,
            count=len(known),
            **values,
        ),
        patch=patch,
        confidence=lower,
        evidence=visits.evidence(known, lambda n: used[n] <= LITTLE, soon=soon, target_hours=target, p_value=p_value),
    )
    return Hypothesis(p_value, finding)


def _target(past: Past, visits: Visits, known: list[int], share: float, times: float) -> float | None:
    """Return the hours that this share of the decisions certainly met, in round figures; None where too few say so."""
    bound = quantile_above(sorted(visits.used[n] for n in known), share)
    if bound is None:
        return None
    hours = bound * times * (past.process.target_hours(visits.stage) or 0.0)
    unit = 1.0 if hours > 4 else 0.25
    return max(unit, math.ceil(hours / unit) * unit)


def _patch(past: Past, stage: str, target: float) -> Patch:
    place, step = past.process.steps[stage]
    path: list[str | int] = ["process_steps", place, *(["sla_hours"] if step.sla is None else ["sla", "target_hours"])]
    return (set_value(past.process.document, path, target),)
