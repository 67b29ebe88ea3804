"""What the approval workflow answers to updates and queries, and at its end."""

from __future__ import annotations

from dataclasses import dataclass

from placet.audit.chain import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an update answers once its effects are recorded: where the request stands."""

    seq: int
    head: str
    status: str
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The entries that this run holds (those of earlier runs are in the store), and the chain's head."""

    entries: tuple[Entry, ...]
    head: str
