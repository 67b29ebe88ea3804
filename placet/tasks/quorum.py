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
    count = max(intended, len(_counted(seats)))
    if need.kind == "any":
        return 1
    if need.kind == "all":
        return max(1, count)
    if need.kind == "percent":
        return max(1, math.ceil(round(need.value * count / 100, 9)))
    return need.value


def reachable(need: QuorumRule, seats: Sequence[Seat], intended: int = 0) -> bool:
    """Say whether the quorum is met when every seat approves."""
    counted = _counted(seats)
    total = sum(s.weight for s in counted) if need.kind == "weight" else len(counted)
    return total >= amount_needed(need, seats, intended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The votes of a stage so far, in seats or in weight; `needed` must be in favour, and everybody who was `added`.

    A rejection and an abstention count wherever they come from, an approval of a seat beyond the stage's own does not.
    """

    approved: int
    rejected: int
    abstained: int
    undecided: int
    needed: float
    added: tuple[Side | None, ...]  # the votes of those who were added to the stage

    @property
    def lost(self) -> bool:
        """Say whether the stage can no longer be approved, even if all who have not voted yet approve."""
        return self.approved + self.undecided < self.needed or any(side in {"against", "nobody"} for side in self.added)

    @property
    def won(self) -> bool:
        """Say whether the quorum is met, and everybody who was added has approved."""
        return self.approved >= self.needed and all(side == "for" for side in self.added)


def stage_result(run: Run, stage_run: StageRun, stage: Stage) -> Literal["approved", "rejected"] | None:
    """Return the result of the votes so far; None while the stage is undecided.

    A stage whose quorum abstentions have put out of reach is rejected: it would wait for ever.
    """
    tally = _tally(run, stage_run, stage)
    if tally.won:
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
    if "nobody" in tally.added:
        return because("added_abstained")
    abstained = list(_votes(run, stage_run).values()).count("nobody")
    return because("quorum_unreachable", abstained=abstained, seats=len(_counted(stage_run.seats)))


def _votes(run: Run, stage_run: StageRun) -> dict[int, Side | None]:
    """Return what each seat has voted for, as far as the decisions stand."""
    decided = (task for task in run.tasks_of(stage_run) if not task.provisional)
    return {task.seat: counts(task.decision) for task in decided if task.decision is not None}


def _tally(run: Run, stage_run: StageRun, stage: Stage) -> Tally:
    weighted = stage.need.kind == "weight"
    votes = _votes(run, stage_run)
    total: dict[Side | None, int] = {"for": 0, "against": 0, "nobody": 0, None: 0}
    for index, seat in enumerate(stage_run.seats):
        side = votes.get(index)
        if not seat.extra or side in {"against", "nobody"}:
            total[side] += seat.weight if weighted else 1
    return Tally(
        approved=total["for"],
        rejected=total["against"],
        abstained=total["nobody"],
        undecided=total[None],
        needed=amount_needed(stage.need, stage_run.seats, stage_run.intended),
        added=tuple(votes.get(index) for index, seat in enumerate(stage_run.seats) if seat.added_by is not None),
    )


def _counted(seats: Sequence[Seat]) -> list[Seat]:
    """Return the seats that the stage itself has."""
    return [seat for seat in seats if not seat.extra]
