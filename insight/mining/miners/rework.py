"""Rework: stages that often return requests, with the field that is usually changed then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from insight.mining.patches import Patch, set_value
from insight.mining.statistics import at_least, wilson
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import RETURNED, Past, Visits
from placet.sentences import sentence

OFTEN = 0.1  # share of visits that return the request
USUALLY = 0.5  # share of the returns after which the field is changed
HINT = "Often corrected after a return; check it before you submit."
_LONGEST = 1_000  # characters of a description that is not made longer


def rework(past: Past, min_occurrences: int) -> Iterator[Hypothesis]:
    """Test each stage for returns in more than one of ten visits, with a field that changes in most of them.

    Both have to be significant. The field is the one that is changed most often of several, so its p-value is
    multiplied by their number.
    """
    tasks = past.history.tasks
    for visits in past.stages.values():
        returned = [n for n in visits.current if visits.result[n] == RETURNED]
        changed = {
            n: frozenset(name for row in visits.tasks(n) for name in tasks.changes.known[tasks.changed[row]])
            for n in returned
        }
        known = [n for n in returned if changed[n]]
        if len(known) >= min_occurrences:
            fields = Counter(name for n in known for name in changed[n])
            yield _tested(past, visits, returned, known, fields=fields, changed=changed)


def _tested(
    past: Past,
    visits: Visits,
    returned: list[int],
    known: list[int],
    *,
    fields: Counter[str],
    changed: dict[int, frozenset[str]],
) -> Hypothesis:
    field, times = min(fields.items(), key=lambda item: (-item[1], item[0]))
    p_value = max(
        at_least(len(returned), len(visits.current), OFTEN),
        min(1.0, at_least(times, len(known), USUALLY) * len(fields)),
    )
    lower, _ = wilson(times, len(known))
    often = wilson(len(returned), len(visits.current))[0] > OFTEN
    patch = _patch(past, field) if often and lower > USUALLY else None
    if patch is None:
        return Hypothesis(p_value, None)
    values = {"stage": visits.stage, "field": field}
    finding = Finding(
        kind="rework",
        subject=(past.process.name, visits.stage, field),
        title=sentence("Stage {stage!r} often returns requests because of {field!r}", **values),
        description=sentence(
            "Stage {stage!r} returned {returned} of {count} requests, and {field!r} was changed in {times} of the "
            "{known} after which something was. Ask for it better at the start.",
            returned=len(returned),
            count=len(visits.current),
            times=times,
            known=len(known),
            **values,
        ),
        patch=patch,
        confidence=lower,
        evidence=visits.evidence(
            known,
            lambda n: field in changed[n],
            field=field,
            changed=times,
            returned=len(returned),
            decided=len(visits.current),
            fields=dict(fields.most_common(10)),
            p_value=p_value,
        ),
    )
    return Hypothesis(p_value, finding)


def _patch(past: Past, field: str) -> Patch | None:
    """Require the field where it may be left out; else say beside it that it is often corrected."""
    names = [variable.name for variable in past.process.definition.variables]
    if field not in names:
        return None
    place = names.index(field)
    variable = past.process.definition.variables[place]
    path: list[str | int] = ["variables", place]
    if variable.optional and variable in past.process.inputs:
        return (set_value(past.process.document, [*path, "required"], True),)
    said = variable.description or ""
    if HINT in said or len(said) > _LONGEST:
        return None
    return (set_value(past.process.document, [*path, "description"], f"{said} {HINT}".strip()),)
