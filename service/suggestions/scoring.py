"""Score what miners find by how people here have decided about the like, once they have decided often enough.

A scorer learns from the suggestions out of the past that were accepted and rejected. Where it is of use (`learn`), it
chooses among the findings of a run: those that are hardly ever accepted are held back, the others come the likeliest
first and with their chance. Of those held back, one subject in five, by its digest, is suggested all the same, by its
rule: else the scorer would never learn that people have changed their mind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from insight.scoring.features import Suggested
from insight.scoring.scorer import LEAST_OF_BOTH, MOST_LEARNED, UNLIKELY, Learned, Reviewed, learn
from service.pool.pool import ProcessPool
from storage.database import Database
from storage.queries import suggestions
from storage.tables.suggestions import WorkflowSuggestion

MODEL: Final = "model"
_ONE_IN = 5
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is suggested of what was found, the likeliest first, and how many findings were held back."""

    rows: tuple[WorkflowSuggestion, ...]
    held_back: int


async def learn_from_reviews(database: Database, pool: ProcessPool, *, background: bool) -> Learned:
    """Learn from the suggestions of this installation that were accepted and rejected; raises Busy."""
    rows = await database.read(suggestions.reviewed, limit=MOST_LEARNED)
    past = [
        Reviewed(suggested=suggested_of(row), accepted=row.status == "accepted", subject=row.subject_id)
        for row in reversed(rows)
    ]
    accepted = sum(one.accepted for one in past)
    if min(accepted, len(past) - accepted) < LEAST_OF_BOTH:
        return learn(past)  # which says no more than that they are too few
    return await pool.run(learn, past, background=background)


def score(rows: Sequence[WorkflowSuggestion], learned: Learned) -> None:
    """Note of suggestions how likely it is that they are accepted, where a scorer says so."""
    if learned.scorer is None:
        return
    for row in rows:
        row.score = {
            "chance": round(learned.scorer.chance(suggested_of(row)), 4),
            "accepted": learned.accepted,
            "rejected": learned.rejected,
            "brier": learned.brier,
            "brier_of_base_rate": learned.brier_of_base_rate,
        }


def choose(
    rows: Sequence[WorkflowSuggestion], learned: Learned, *, keep: Callable[[WorkflowSuggestion], bool]
) -> Selection:
    """Choose what is suggested; `keep` says which rows are suggested already, and only have newer evidence.

    What the scorer chose has the source `model`. Without a scorer all are suggested, by the rules alone.
    """
    if learned.scorer is None:
        return Selection(rows=tuple(rows), held_back=0)
    score(rows, learned)
    chosen, held_back = [], 0
    for row in rows:
        if keep(row):
            chosen.append(row)
        elif _chance(row) >= UNLIKELY:
            row.source = MODEL
            chosen.append(row)
        elif int(row.subject_id[:8], 16) % _ONE_IN == 0:
            chosen.append(row)
        else:
            held_back += 1
    return Selection(rows=tuple(sorted(chosen, key=_chance, reverse=True)), held_back=held_back)


def suggested_of(row: WorkflowSuggestion) -> Suggested:
    """Return what a scorer knows of a suggestion."""
    evidence = row.supporting_data
    totals: Mapping[str, Any] = (row.backtest or {}).get("totals") or {}
    known = int(totals.get("known") or 0)
    hours, overdue = totals.get("hours") or {}, totals.get("breached") or {}
    before, after = hours.get("median_before") or 0.0, hours.get("median_after") or 0.0
    return Suggested(
        kind=row.suggestion_type,
        confidence=row.confidence,
        count=int(evidence.get("count") or 0),
        age_days=_days_between((evidence.get("period") or {}).get("to"), row.updated_at),
        compared=known,
        outcome_changed=float((totals.get("outcome_changed") or {}).get("share") or 0.0),
        duration_changed=(after - before) / before if before else 0.0,
        overdue_changed=(overdue.get("after", 0) - overdue.get("before", 0)) / known if known else 0.0,
        faults=sum(one.get("severity") == "error" for one in row.findings),
        operations=len(row.patch),
    )


def _chance(row: WorkflowSuggestion) -> float:
    return float((row.score or {}).get("chance", 0.0))


def _days_between(since: Any, until: datetime) -> float:
    try:
        begin = datetime.fromisoformat(str(since))
    except ValueError:
        return 0.0
    if begin.tzinfo is None:
        begin = begin.replace(tzinfo=UTC)
    return max(0.0, (until - begin).total_seconds() / _DAY)
