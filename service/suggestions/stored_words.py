"""What the texts of a suggestion are made of, as it is stored beside them, so that readers have them in their language.

`words` has `title` and `description` as `placet.sentences.described` gives them, `findings` with the same of each
message by its text, and `backtest`, that of why there is none. A step for each older form says what it left unsaid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from placet.proofs.findings import Finding
from placet.sentences import described, read_sentence, sentences_in
from service.suggestions.evaluation import Evaluation
from storage.tables.suggestions import STORED, WorkflowSuggestion

Words = dict[str, Any]
# The first form had title and description alone: its findings are told in English, as they were written.
_STEPS: Final[Mapping[int, Callable[[Words], Words]]] = {1: lambda words: {**words, "findings": {}, "backtest": None}}
_FACTS: Final = ("code", "severity", "pointer", "witness", "opening")


def words_of(title: str, description: str, evaluation: Evaluation) -> Words:
    """Return what is stored beside a suggestion's texts."""
    return {
        "title": described(title),
        "description": described(description),
        "findings": sentences_in(evaluation.messages),
        "backtest": described(evaluation.failure) if evaluation.failure is not None else None,
    }


def read_words(row: WorkflowSuggestion) -> Words:
    """Return what is stored beside a suggestion's texts, in today's form; of a newer form nothing is read."""
    words: Words = dict(row.words or {})
    if row.stored_format > STORED:
        return {}
    for number in range(row.stored_format, STORED):
        words = _STEPS[number](words)
    return words


def findings_of(row: WorkflowSuggestion) -> list[Finding]:
    """Return what the proofs find in a suggestion, with messages that can be said in another language."""
    made = read_words(row).get("findings") or {}
    return [
        Finding(
            message=read_sentence(made.get(one.get("message")), str(one.get("message"))),
            **{name: one.get(name) for name in _FACTS},  # type: ignore[arg-type]  # as Finding.described wrote them
        )
        for one in row.findings
    ]


def no_backtest(row: WorkflowSuggestion) -> str | None:
    """Return why a suggestion has no backtest, as it can be said in another language; None where it has one."""
    error = (row.backtest or {}).get("error")
    return None if not error else read_sentence(read_words(row).get("backtest"), str(error))
