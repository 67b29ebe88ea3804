"""For how many days what is kept, as the settings of the installation say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """For how many days what is kept; `contents` None keeps them for good."""

    answers: int = 7
    refusals: int = 90
    marks: int = 180
    drafts: int = 365
    messages: int = 180
    simulations: int = 365
    event_logs: int = 730
    sla_executions: int = 90
    contents: int | None = None
