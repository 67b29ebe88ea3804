"""Mine: run every miner over a history, and keep what is significant once it is known how much was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from insight.mining.history import History
from insight.mining.miners.auto_approval import auto_approvals
from insight.mining.miners.escalation import escalations
from insight.mining.miners.parallel_approval import parallel_approvals
from insight.mining.miners.performance import slow_stages
from insight.mining.miners.quorum import idle_approvers
from insight.mining.miners.rework import rework
from insight.mining.miners.sla_target import sla_targets
from insight.mining.miners.workload import workloads
from insight.mining.patches import applied
from insight.mining.process import Process
from insight.mining.statistics import significant
from insight.mining.suggestion import Finding, Hypothesis
from insight.mining.visits import Past, past_of
from placet.definition.model import parse_or_none

Miner: TypeAlias = Callable[[Past, int], Iterable[Hypothesis]]
MINERS: tuple[Miner, ...] = (
    auto_approvals, parallel_approvals, slow_stages, sla_targets, idle_approvers, workloads, rework, escalations,
)  # fmt: skip


def mine(blueprint: Mapping[str, Any], history: History, min_occurrences: int) -> list[Finding]:
    """Return what the past of a process suggests to change in it, the most certain first.

    Only cases of the template that the blueprint is called are looked at; what is about a setting of the blueprint is
    asked of cases of its version alone. `min_occurrences` is the least number of occurrences that anything is
    concluded from; a test may need more. Among all findings of a run at most one in twenty is expected to be false
    (`statistics.significant`). Raises BlueprintInvalid.
    """
    process = Process.of(blueprint)
    past = past_of(process, history)
    tested = [one for miner in MINERS for one in miner(past, max(1, min_occurrences))]
    certain = significant([one.p_value for one in tested], [one.weight for one in tested])
    found = [one.finding for one, sure in zip(tested, certain, strict=True) if one.finding is not None and sure]
    left_out = {one.subject[1] for one in found if one.kind == "auto_approval" and len(one.subject) == 2}
    return sorted(
        (one for one in found if not _says_less(one, left_out) and _fits(blueprint, one)),
        key=lambda one: (-one.confidence, one.kind, one.subject),
    )


def _says_less(one: Finding, left_out: set[str]) -> bool:
    """Whether it is a rule for a stage that can be left out as a whole."""
    return one.kind == "auto_approval" and len(one.subject) > 2 and one.subject[1] in left_out


def _fits(blueprint: Mapping[str, Any], one: Finding) -> bool:
    """Whether the blueprint is one with the patch too; the proofs ask for more."""
    return parse_or_none(applied(blueprint, one.patch)) is not None
