"""Escalation: late tasks that always end with the same person, by way of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from insight.mining.patches import Patch, set_value
from insight.mining.statistics import at_least, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import Past, Visits
from placet.definition.steps import Step
from placet.sentences import sentence

NEARLY_ALWAYS = 0.8  # share of the escalated tasks that the same person decides in the end
OFTEN = 0.1  # share of a stage's tasks that escalate, for one level to be worth a change


def escalations(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each stage whose tasks escalate: one person decides more than four of five of them."""
    tasks = past.history.tasks
    nobody, undecided = tasks.people.find(None), tasks.decisions.find(None)
    for visits in past.stages.values():
        ends: Counter[int] = Counter()
        levels: list[int] = []
        seen: list[int] = []
        who: dict[int, int] = {}
        for n in visits.current:
            for row in visits.tasks(n):
                if tasks.escalations[row] and tasks.decision[row] != undecided and tasks.person[row] != nobody:
                    ends[tasks.person[row]] += 1
                    levels.append(tasks.escalations[row])
                    who[n] = tasks.person[row]
                    seen.append(n)
        if len(seen) >= min_occurrences:
            person, times = min(ends.items(), key=lambda item: (-item[1], item[0]))
            yield _tested(past, visits, seen, sorted(levels), end=(person, times), who=who)


def _tested(
    past: Past, visits: Visits, seen: list[int], levels: list[int], *, end: tuple[int, int], who: dict[int, int]
) -> Hypothesis:
    number, times = end
    p_value = at_least(times, len(seen), NEARLY_ALWAYS)
    lower, _ = wilson(times, len(seen))
    person, usual = str(past.history.tasks.people.known[number]), levels[len(levels) // 2]
    often = wilson(len(seen), len(visits.current))[0] > OFTEN
    patch = _patch(past, visits.stage, person, usual, often) if lower > NEARLY_ALWAYS else None
    if patch is None:
        return Hypothesis(p_value, None)
    values = {"stage": visits.stage, "person": person}
    finding = Finding(
        kind="escalation",
        subject=(past.process.name, visits.stage, f"user:{person}"),
        title=sentence("Escalations of stage {stage!r} end with {person}", **values),
        description=sentence(
            "{person} decided {times} of {count} tasks of stage {stage!r} that escalated, after {levels} levels at the "
            "median. Ask {person} at once where it is late, or from the beginning.",
            times=times,
            count=len(seen),
            levels=usual,
            **values,
        ),
        patch=patch,
        confidence=lower,
        evidence=visits.evidence(
            seen,
            lambda n: who[n] == number,
            same_person=times,
            median_levels=usual,
            decided=len(visits.current),
            p_value=p_value,
        ),
    )
    return Hypothesis(p_value, finding)


def _patch(past: Past, stage: str, person: str, levels: int, often: bool) -> Patch | None:
    """Escalate to the person at once; where that is what happens, and often, ask them from the beginning."""
    place, step = past.process.steps[stage]
    path: list[str | int] = ["process_steps", place]
    name = f"user:{person}"
    if levels > 1 and _first_target(step) != name:
        if step.escalation is None:
            return (set_value(past.process.document, [*path, "escalation_to"], name),)
        return (set_value(past.process.document, [*path, "escalation", 0, "to"], name),)
    if levels > 1 or not often or step.quorum != "any" or name in past.process.entries(stage):
        return None
    if step.order == "sequential":
        return None
    approvers = [*past.process.document["process_steps"][place].get("approvers", step.approvers), name]
    return (set_value(past.process.document, [*path, "approvers"], approvers),)


def _first_target(step: Step) -> str | None:
    return step.escalation_to if step.escalation is None else step.escalation[0].to
