"""Quorum: how many votes a stage needs, whether it can still get them, and the result of those that were cast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from placet.audit.reasons import Reason, because
from placet.engine.run import Run
from placet.engine.state import Seat, Side, StageRun, counts
from placet.plan.graph import QuorumRule, Stage


def amount_needed(need: QuorumRule, seats: Sequence[Seat], intended: int = 0) -> float:
    """Return how many seats (or how much weight) must approve; never lowered because seats are missing.

    `intended` is how many seats the stage was to have, where some of them are filled by nobody.
    """
    count = max(intended, len(seats))
    if need.kind == "any":
        return 1
    if need.kind == "all":
        return max(1, count)
    if need.kind == "percent":
        return max(1, math.ceil(round(need.value * count / 100, 9)))
    return need.value


def reachable(need: QuorumRule, seats: Sequence[Seat], intended: int = 0) -> bool:
    """Say whether the quorum is met when every seat approves."""
    total = sum(s.weight for s in seats) if need.kind == "weight" else len(seats)
    return total >= amount_needed(need, seats, intended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The votes of a stage so far, in seats or in weight; `needed` must be in favour."""

    approved: int
    rejected: int
    abstained: int
    undecided: int
    needed: float

    @property
    def lost(self) -> bool:
        """Say whether the quorum can no longer be met, even if all who have not voted yet approve."""
        return self.approved + self.undecided < self.needed


def stage_result(run: Run, stage_run: StageRun, stage: Stage) -> Literal["approved", "rejected"] | None:
    """Return the result of the votes so far; None while the stage is undecided.

    A stage whose quorum abstentions have put out of reach is rejected: it would wait for ever.
    """
    tally = _tally(run, stage_run, stage)
    if tally.approved >= tally.needed:
        return "approved"
    if tally.rejected and stage.rejection == "any":
        return "rejected"
    if (tally.rejected or tally.abstained) and tally.lost:
        return "rejected"
    return None


def lost_by_abstention(run: Run, stage_run: StageRun, stage: Stage) -> Reason | None:
    """Return the reason where abstentions have made a stage's quorum unreachable; None where a rejection decides."""
    tally = _tally(run, stage_run, stage)
    if not tally.abstained or not tally.lost or (tally.rejected and stage.rejection == "any"):
        return None
    abstained = list(_votes(run, stage_run).values()).count("nobody")
    return because("quorum_unreachable", abstained=abstained, seats=len(stage_run.seats))


def _votes(run: Run, stage_run: StageRun) -> dict[int, Side | None]:
    """Return what each seat has voted for, as far as the decisions stand."""
    decided = (task for task in run.tasks_of(stage_run) if not task.provisional)
    return {task.seat: counts(task.decision) for task in decided if task.decision is not None}


def _tally(run: Run, stage_run: StageRun, stage: Stage) -> Tally:
    weighted = stage.need.kind == "weight"
    votes = _votes(run, stage_run)
    total: dict[Side | None, int] = {"for": 0, "against": 0, "nobody": 0, None: 0}
    for index, seat in enumerate(stage_run.seats):
        total[votes.get(index)] += seat.weight if weighted else 1
    return Tally(
        approved=total["for"],
        rejected=total["against"],
        abstained=total["nobody"],
        undecided=total[None],
        needed=amount_needed(stage.need, stage_run.seats, stage_run.intended),
    )
