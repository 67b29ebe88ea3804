"""Workload: people on whom the tasks of a stage pile up, and queues that grow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from insight.mining.patches import Patch, remove, set_value
from insight.mining.statistics import at_least, drawn_at_least, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import Past, Visits
from placet.definition.assignees import parse_assignee
from placet.sentences import figure, sentence, share

MORE = 1.5  # times the fair share of the tasks
SLOWER = 1.5  # times the median of the others
_POOLS = {"role", "group"}


def workloads(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each person of each stage, and each queue.

    A person is overloaded where both are significant: they decide more than one and a half times their share of the
    stage's tasks (binomial), and their tasks wait longer than the median of all (median test, exact by the
    hypergeometric distribution). The larger p-value counts. A queue is overloaded where its tasks of the later half
    wait longer than those of the earlier one, by the same test.
    """
    for stage, visits in past.stages.items():
        yield from _people(past, visits, min_occurrences)
        if past.process.steps[stage][1].claim:
            yield from _queue(past, visits, min_occurrences)


def _people(past: Past, visits: Visits, min_occurrences: int) -> Iterator[Hypothesis]:
    tasks = past.history.tasks
    undecided = tasks.decisions.find(None)
    of_person: dict[int, list[int]] = defaultdict(list)  # the visits
    waited: dict[int, list[float]] = defaultdict(list)
    for n in visits.current:
        for row in visits.tasks(n):
            if tasks.decision[row] != undecided:
                of_person[tasks.person[row]].append(n)
                waited[tasks.person[row]].append(tasks.waited[row])
    of_person.pop(tasks.people.find(None), None)
    regular = {person for person, seen in of_person.items() if 2 * len(seen) >= min_occurrences}
    if len(regular) < 2:
        return
    everything = sorted(seconds for person in regular for seconds in waited[person])
    middle = everything[len(everything) // 2]
    above = sum(1 for seconds in everything if seconds > middle)
    for person in regular:
        seen = of_person[person]
        if len(seen) < min_occurrences:
            continue
        late = sum(1 for seconds in waited[person] if seconds > middle)
        p_value = max(
            at_least(len(seen), len(everything), min(1.0, MORE / len(regular))),
            drawn_at_least(late, len(seen), above, len(everything)),
        )
        others = (
            sorted(seconds for other in regular - {person} for seconds in waited[other]) if p_value < 1 / 20 else []
        )
        own = sorted(waited[person])[len(seen) // 2]
        if not others or own < SLOWER * others[len(others) // 2]:
            yield Hypothesis(p_value, None)
        else:
            facts = {"late": late, "share": len(seen) / len(everything), "p_value": p_value}
            hours = (own / 3600, others[len(others) // 2] / 3600)
            yield _overloaded(
                past, visits, tasks.people.known[person], seen, hours=hours, people=len(regular), facts=facts
            )


def _overloaded(
    past: Past,
    visits: Visits,
    person: str,
    seen: Sequence[int],
    *,
    hours: tuple[float, float],
    people: int,
    facts: dict[str, Any],
) -> Hypothesis:
    patch = _shared(past, visits.stage, hours[1])
    if patch is None:
        return Hypothesis(facts["p_value"], None)
    own, others = (round(one, 1) for one in hours)
    values = {"stage": visits.stage, "person": person}
    finding = Finding(
        kind="workload",
        subject=(past.process.name, visits.stage, f"user:{person}"),
        title=sentence("Tasks of stage {stage!r} pile up with {person}", **values),
        description=sentence(
            "{person} decided {count} tasks of stage {stage!r}, {share} of all among {people} people; they waited "
            "{own} hours at the median, those of the others {others}.",
            count=len(seen),
            share=share(facts["share"], exact=False),
            people=people,
            own=figure(own),
            others=figure(others),
            **values,
        ),
        patch=patch,
        confidence=wilson(facts["late"], len(seen))[0],
        evidence=visits.evidence(
            seen, lambda _: True, people=people, median_hours=own, median_hours_of_others=others, **facts
        ),
    )
    return Hypothesis(facts["p_value"], finding)


def _queue(past: Past, visits: Visits, min_occurrences: int) -> Iterator[Hypothesis]:
    chosen = sorted(visits.current, key=visits.opened.__getitem__)
    half = len(chosen) // 2
    earlier, later = chosen[:half], chosen[half:]
    if half < min_occurrences:
        return
    waits = visits.waits(chosen)
    middle = waits[half]
    above = sum(1 for seconds in waits if seconds > middle)
    late = sum(1 for n in later if visits.waited[n] > middle)
    p_value = drawn_at_least(late, len(later), above, len(chosen))
    before, now = (visits.waits(part)[len(part) // 2] / 3600 for part in (earlier, later))
    patch = _least_loaded(past, visits.stage) if now >= SLOWER * before else None
    if patch is None:
        yield Hypothesis(p_value, None)
        return
    values = {"stage": visits.stage, "before": figure(before), "now": figure(now)}
    finding = Finding(
        kind="workload",
        subject=(past.process.name, visits.stage, "queue"),
        title=sentence("The queue of stage {stage!r} grows", **values),
        description=sentence(
            "Tasks waited in the queue of stage {stage!r} {now} hours at the median in the later half of the period, "
            "and {before} in the earlier one. Give each to the person with the fewest open tasks, so none is left.",
            **values,
        ),
        patch=patch,
        confidence=wilson(late, len(later))[0],
        evidence=visits.evidence(
            later,
            lambda n: visits.waited[n] > middle,
            late=late,
            median_hours=round(now, 1),
            median_hours_before=round(before, 1),
            p_value=p_value,
        ),
    )
    yield Hypothesis(p_value, finding)


def _shared(past: Past, stage: str, usual_hours: float) -> Patch | None:
    """Share the tasks among the people of a role or group; else let late ones escalate, where none do."""
    balanced = _least_loaded(past, stage)
    if balanced is not None:
        return balanced
    place, step = past.process.steps[stage]
    if step.escalation_to is not None or step.escalation is not None:
        return None
    target = set_value(past.process.document, ["process_steps", place, "escalation_to"], "manager_of(assignee)")
    switched_off = () if step.escalation_enabled is None else (remove(["process_steps", place, "escalation_enabled"]),)
    if past.process.target_hours(stage) is not None:
        return (*switched_off, target)
    hours = max(1.0, round(2 * usual_hours))
    return (*switched_off, set_value(past.process.document, ["process_steps", place, "sla_hours"], hours), target)


def _least_loaded(past: Past, stage: str) -> Patch | None:
    """Ask of a role or group whoever has the fewest open tasks; None where that is so, or the quorum needs more."""
    place, step = past.process.steps[stage]
    pooled = any(parse_assignee(name).kind in _POOLS for name in _names(past, stage))
    if not pooled or step.quorum != "any" or (step.assign == "least_loaded" and not step.claim):
        return None
    path: list[str | int] = ["process_steps", place]
    claim = (remove([*path, "claim"]),) if step.claim else ()
    return (*claim, set_value(past.process.document, [*path, "assign"], "least_loaded"))


def _names(past: Past, stage: str) -> Iterator[str]:
    """Generate the names of the approvers of a stage, without those that an expression chooses."""
    for entry, approver in zip(past.process.entries(stage), past.process.steps[stage][1].approvers, strict=True):
        if isinstance(approver, str) or hasattr(approver, "who"):
            yield entry
