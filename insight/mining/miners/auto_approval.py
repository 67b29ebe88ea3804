"""Auto-approval: a stage, or a part of its requests by a rule, in which people approve nearly everything."""

from __future__ import annotations

from collections.abc import Iterator

from insight.mining.patches import Patch, around_stage, without_stage
from insight.mining.rules import Rule, search
from insight.mining.statistics import at_least, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import APPROVED, Past, Visits
from placet.sentences import sentence, share

LEAST_RATE = 0.95  # of approvals, which the lower bound has to exceed
WEIGHT = 3.0  # of whole stages among all tests: there are few of them, and they are what most is gained by


def auto_approvals(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each stage as a whole, and the best rule over the fields of its requests.

    The rule is looked for in the earlier half of the visits and tested in the later one, which had no part in its
    choice: so its bound is honest, also where the process changes over time. Stages that ask for more than a decision
    (a form, a signature, a variable) are left alone: no rule could give that.
    """
    for stage, visits in past.stages.items():
        if past.process.asks_for_more_than_a_decision(stage):
            continue
        if len(visits) < min_occurrences:
            continue
        yield _tested(past, visits, range(len(visits)), None)
        moment = past.history.cases.started
        split = sorted(moment[case] for case in visits.case)[len(visits) // 2]
        earlier = [n for n, case in enumerate(visits.case) if moment[case] < split]
        rule = search(past.process, visits, earlier, min_occurrences, LEAST_RATE)
        if rule is not None:
            later = [n for n, case in enumerate(visits.case) if moment[case] >= split and rule.holds(case)]
            if len(later) >= min_occurrences:
                yield _tested(past, visits, later, rule)


def _tested(past: Past, visits: Visits, chosen: range | list[int], rule: Rule | None) -> Hypothesis:
    approved = visits.count(APPROVED, None if rule is None else chosen)
    lower, _ = wilson(approved, len(chosen))
    p_value = at_least(approved, len(chosen), LEAST_RATE)
    patch = _patch(past, visits.stage, rule) if lower > LEAST_RATE else None
    weight = WEIGHT if rule is None else 1.0
    if patch is None:
        return Hypothesis(p_value, None, weight)
    values = {"stage": visits.stage, "share": share(approved / len(chosen)), "lower": share(lower)}
    if rule is None:
        title = sentence("Approve what comes to stage {stage!r} without asking", **values)
        description = sentence(
            "People approved {approved} of {count} requests in stage {stage!r} ({share}, at least {lower} with 95 % "
            "confidence). The stage can be left out.",
            approved=approved,
            count=len(chosen),
            **values,
        )
    else:
        title = sentence("Approve without asking in stage {stage!r} where {rule}", rule=rule.words, **values)
        description = sentence(
            "Where {rule}, people approved {approved} of {count} requests in stage {stage!r} ({share}, at least "
            "{lower} with 95 % confidence). The rule was found in earlier requests and counted in these later ones.",
            rule=rule.words,
            approved=approved,
            count=len(chosen),
            **values,
        )
    counts = {"approved": approved, "rule": None if rule is None else rule.condition, "p_value": p_value}
    evidence = visits.evidence(chosen, lambda n: visits.result[n] == APPROVED, **counts)
    subject = (past.process.name, visits.stage, *(() if rule is None else (rule.condition,)))
    finding = Finding(
        kind="auto_approval",
        subject=subject,
        title=title,
        description=description,
        patch=patch,
        confidence=lower,
        evidence=evidence,
    )
    return Hypothesis(p_value, finding, weight)


def _patch(past: Past, stage: str, rule: Rule | None) -> Patch | None:
    if rule is None:
        return without_stage(past.process, stage)
    return around_stage(past.process, stage, rule.condition)
