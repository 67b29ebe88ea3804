"""What kinds, origins and states of suggestions are called, and what their figures mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from babel.numbers import format_percent

from placet.sentences import Sentence, read_sentence, sentence
from storage.tables.suggestions import WorkflowSuggestion
from web.languages import Wording
from web.views.people import Names
from web.views.words import marked

TYPES: Final = {
    "auto_approval": marked("Approve without asking"),
    "parallel_approval": marked("Ask side by side"),
    "performance": marked("Slow stage"),
    "sla_target": marked("Deadline that does not fit"),
    "quorum": marked("Approver who never decides it"),
    "workload": marked("Too much with one person or queue"),
    "rework": marked("Field that is often corrected"),
    "escalation": marked("Escalation that ends with one person"),
    "other": marked("Other change"),
}
"""The kinds of suggestions: one for each miner, and what people suggest; others are shown by their names."""
SOURCES: Final = {
    "rule": marked("Mined from past requests"),
    "model": marked("Mined, and chosen by a trained model"),
    "llm": marked("Drafted by a language model"),
    "person": marked("Made by a person"),
}
STATUSES: Final = {
    "pending": marked("To be decided"),
    "accepted": marked("Accepted"),
    "rejected": marked("Rejected"),
}
TONES: Final = {"pending": "open", "accepted": "good", "rejected": "bad"}
_FACTS: Final = {
    "approved": marked("Approved"),
    "rule": marked("Where"),
    "late": marked("Late"),
    "soon": marked("Within a quarter of the time"),
    "slower": marked("Slower than the other stages"),
    "target_hours": marked("Hours that are suggested"),
    "median_hours": marked("Median wait, in hours"),
    "median_hours_before": marked("Median wait before, in hours"),
    "median_hours_of_others": marked("Median wait with the others, in hours"),
    "median_hours_gained": marked("Median gain, in hours"),
    "people": marked("People who decide there"),
    "decisive": marked("Times when it made a difference"),
    "field": marked("Field"),
    "changed": marked("Times when the field was corrected"),
    "returned": marked("Sent back"),
    "decided": marked("Decisions in all"),
    "same_person": marked("Decided by the same person in the end"),
    "median_levels": marked("Median number of escalations"),
    "first_approved": marked("Approved in the first stage"),
    "first_count": marked("Decisions in the first stage"),
    "second_approved": marked("Approved in the second stage"),
    "second_count": marked("Decisions in the second stage"),
    "p_value": marked("Chance of the like where there is nothing"),
}
"""Counts of the evidence by their names; the others are only in the API."""
_PEOPLE: Final = ("person", "approver")
"""Values of sentences that may name people."""


def share(value: float, wording: Wording) -> str:
    """Write a lower bound as a percentage, rounded down, so that it stays one."""
    return str(format_percent(math.floor(value * 1000) / 1000, format="#,##0.0 %", locale=wording.locale))


def least(row: WorkflowSuggestion, wording: Wording) -> str:
    """Say how sure a suggestion is; of one that no past request could be compared with, that nothing is known yet."""
    if not _is_mined(row) and not _compared(row):
        return wording.say("nothing to compare it with")
    return wording.say("at least {share}").format(share=share(row.confidence, wording))


def chance(row: WorkflowSuggestion, wording: Wording) -> str:
    """Say how likely it is that a suggestion is accepted, and where that is known from; nothing without a model."""
    score = row.score
    if not score:
        return ""
    return wording.say(
        "The like is accepted here with a chance of about {share}. A model says so that has learned from {accepted} "
        "accepted and {rejected} rejected suggestions; its Brier score on those held out was {brier}, that of the mere "
        "rate {base} (0 is best)."
    ).format(
        share=str(format_percent(score["chance"], format="#,##0 %", locale=wording.locale)),
        accepted=wording.number(score["accepted"]),
        rejected=wording.number(score["rejected"]),
        brier=wording.number(Decimal(str(score["brier"]))),
        base=wording.number(Decimal(str(score["brier_of_base_rate"]))),
    )


def _is_mined(row: WorkflowSuggestion) -> bool:
    return row.source in {"rule", "model"}


def _compared(row: WorkflowSuggestion) -> int:
    return int(((row.backtest or {}).get("totals") or {}).get("known") or 0)


def bound(row: WorkflowSuggestion, wording: Wording) -> str:
    """Say what the confidence of a suggestion is a bound of."""
    say = wording.say
    if _is_mined(row):
        return say(
            "The lower end of the 95 % interval (Wilson): of {count} occurrences, at least this share bears it out."
        ).format(count=wording.number(int(row.supporting_data.get("count") or 0)))
    known = _compared(row)
    if not known:
        return say("No past request could be compared, so nothing is known yet about what it would change.")
    return say(
        "The lower end of the 95 % interval (Wilson): of {count} past requests that were compared, at least this share "
        "would have ended as it did."
    ).format(count=wording.number(known))


def facts(evidence: Mapping[str, Any], wording: Wording) -> list[tuple[str, str]]:
    """Return the counts of the evidence with what they count."""
    found = []
    for name, word in _FACTS.items():
        value = evidence.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            decimal = wording.as_decimal(f"{value:.3g}" if name == "p_value" else round(value, 2))
            found.append((wording.say(word), "" if decimal is None else wording.number(decimal)))
        elif isinstance(value, str) and value:
            found.append((wording.say(word), value))
    return [(word, value) for word, value in found if value]


def told(row: WorkflowSuggestion, part: str, names: Names, wording: Wording) -> str:
    """Return the title or the description, in the reader's language and with people by name where that is known."""
    text = str(getattr(row, part))
    made = read_sentence((row.words or {}).get(part), text)
    if not isinstance(made, Sentence):
        return text
    values = {
        name: names(value) if name in _PEOPLE and isinstance(value, str) else value
        for name, value in made.values.items()
    }
    return wording.tell(sentence(made.source, **values))


def people_of(row: WorkflowSuggestion) -> list[str | None]:
    """Return whom a suggestion names: who made it, who decided about it, and whom its words are about."""
    named: list[str | None] = [row.created_by, row.reviewed_by]
    for given in (row.words or {}).values():
        values = given.get("values") if isinstance(given, Mapping) else None
        if isinstance(values, Mapping):
            named += [value for name, value in values.items() if name in _PEOPLE and isinstance(value, str)]
    return named
