"""Finding: one change that the past of a process suggests, with its evidence and the patch that would make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "auto_approval", "parallel_approval", "performance", "sla_target", "quorum", "workload", "rework", "escalation"
]
"""The API's suggestion_type: one for each miner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a miner suggests.

    `subject` names what is to change (template, stage, and what of it): it is the same in each run, whatever the
    figures are. `title` and `description` are sentences. `patch` is a JSON Patch (RFC 6902) of the blueprint's
    document. `confidence` is the lower end of the 95 % interval (Wilson) of how often the past bore the suggestion
    out: of so many occurrences at least this share did. `evidence` has JSON values: `count` of occurrences, `period`
    (`from` and `to`, ISO 8601), `examples` (ids of requests, the newest first), `p_value`, and counts of the kind.
    """

    kind: Kind
    subject: tuple[str, ...]
    title: str
    description: str
    patch: tuple[Mapping[str, Any], ...]
    confidence: float
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a miner looked at: how probable the like would be if there were nothing, and what to suggest if there is.

    Every one counts towards how much was looked at, also one whose effect is too small to suggest anything (None), and
    the more the greater its weight is, which is the same in every run.
    """

    p_value: float
    finding: Finding | None
    weight: float = 1.0
