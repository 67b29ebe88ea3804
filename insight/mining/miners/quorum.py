"""Quorum: approvers of stages with several seats whose decision never made a difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from insight.mining.patches import Patch, remove
from insight.mining.statistics import at_most, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import Past, Visits
from placet.definition.steps import Quorum
from placet.sentences import sentence

SELDOM = 0.05  # share of visits in which an approver who matters is decisive at least
_OF_A_FAIR_SHARE = 0.5  # in stages of many seats: at least so much of one seat's share


def idle_approvers(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each entry of the approvers of a stage with several seats: its seat was never decisive.

    A seat is decisive where the stage would have gone another way without it: its approval was among those that the
    quorum needed while others were spare; or it alone rejected or asked for changes. Where all have to approve, an
    approval as such changes nothing. Abstentions count as decisive. It says nothing about how carefully people decide.
    """
    for visits in past.stages.values():
        seats: dict[str, list[int]] = defaultdict(list)  # by entry: the visits
        decisive: dict[str, int] = defaultdict(int)
        seated = asked = 0
        for n in visits.current:
            rows = visits.tasks(n)
            if len(rows) < 2:
                continue
            asked += 1
            seated += len(rows)
            for entry, mattered in _votes(past, visits, rows):
                seats[entry].append(n)
                decisive[entry] += mattered
        for entry, seen in seats.items():
            if len(seen) >= min_occurrences:
                fair = _OF_A_FAIR_SHARE * asked / seated
                yield _tested(past, visits, entry, seen, decisive=decisive[entry], share=min(SELDOM, fair))


def _votes(past: Past, visits: Visits, rows: Sequence[int]) -> Iterator[tuple[str, bool]]:
    """Generate the entry of the approvers of each task in its first hands, and whether it was decisive."""
    tasks = past.history.tasks
    said = [tasks.decisions.known[tasks.decision[row]] for row in rows]
    approvals = said.count("approve")
    objections = said.count("reject") + said.count("request_changes")
    spare = past.process.needed(visits.stage, len(rows)) < len(rows)
    entries = past.process.entries(visits.stage)
    for row, decision in zip(rows, said, strict=True):
        via = tasks.ways.known[tasks.via[row]]
        entry = f"user:{tasks.people.known[tasks.person[row]]}" if via == "approver" else via
        if entry not in entries:
            continue
        if decision == "approve":
            yield entry, spare and approvals > 0 and objections == 0
        elif decision in {"reject", "request_changes"}:
            yield entry, objections == 1
        else:
            yield entry, decision is not None


def _tested(past: Past, visits: Visits, entry: str, seen: list[int], *, decisive: int, share: float) -> Hypothesis:
    p_value = at_most(decisive, len(seen), share)
    lower, _ = wilson(len(seen) - decisive, len(seen))
    patch = _patch(past, visits.stage, entry) if decisive == 0 else None
    if patch is None:
        return Hypothesis(p_value, None)
    values = {"stage": visits.stage, "approver": entry, "count": len(seen)}
    finding = Finding(
        kind="quorum",
        subject=(past.process.name, visits.stage, entry),
        title=sentence("Stage {stage!r} comes to the same results without {approver}", **values),
        description=sentence(
            "In none of {count} requests would stage {stage!r} have come to another result without the seat of "
            "{approver}. Keep it where a rule asks for more people than the result needs.",
            **values,
        ),
        patch=patch,
        confidence=lower,
        evidence=visits.evidence(seen, lambda _: True, decisive=decisive, p_value=p_value),
    )
    return Hypothesis(p_value, finding)


def _patch(past: Past, stage: str, entry: str) -> Patch | None:
    """Take an approver out of the stage, where enough are left for its quorum."""
    place, step = past.process.steps[stage]
    entries = past.process.entries(stage)
    left = len(entries) - 1
    if isinstance(step.quorum, Quorum) and (step.quorum.weight or (step.quorum.at_least or 0) > left):
        return None
    return (remove(["process_steps", place, "approvers", entries.index(entry)]),) if left else None
