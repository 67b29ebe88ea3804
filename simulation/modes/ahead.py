"""What may still come of a running request: the branches that lead on from its live state, and the nodes they pass.

The branches are those of an exploration that begins where the request is: with its variables as they are, and with what
was decided. That its requester changes the request, or that it is withdrawn or moved, is none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from placet.engine.state import State
from placet.plan.plan import Plan
from simulation.modes.consequences import SLOW, Bound, TooSlow, Unavailable
from simulation.scenario.live_position import position_of
from simulation.scenario.live_values import LiveValues
from simulation.scenario.routes import RouteSearch

RETURNED = "Its requester is asked to change it, and may lead it elsewhere by that."
MANY = "There are too many ways on to follow all of them."
STUCK = "No way on was found."
MOST_BRANCHES = 1_000
MOST_STEPS = 20_000  # of all branches together


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """How many of the explored `branches` pass each node; those that none passes are not in `passing`.

    `whole` is false where loops or very long branches were cut, so that more may come than was explored.
    """

    branches: int
    passing: Mapping[str, int]
    whole: bool


def ahead_of(plan: Plan, state: State, bound: Bound) -> Ahead | Unavailable:
    """Return what may still come of a request that has not ended; why not, where `bound` leaves no room for it."""
    if state.returned_at is not None or any(run.returned_at is not None for run in state.stages):
        return Unavailable(reason=RETURNED)
    search = RouteSearch(
        plan=plan,
        witnesses=LiveValues(plan=plan, state=state),
        most=MOST_BRANCHES,
        begin=position_of(plan, state),
        spend=lambda: bound.spend(1),
    )
    passing: Counter[str] = Counter()
    branches = 0
    try:
        for route in search.routes():
            branches += 1
            passed = Counter(route.nodes)
            passed.subtract(route.standing)
            passing.update(node for node, times in passed.items() if times > 0 and node in plan.nodes)
    except TooSlow:
        return Unavailable(reason=SLOW)
    if search.stopped_at is not None:
        return Unavailable(reason=MANY)
    if not branches:
        return Unavailable(reason=STUCK)
    return Ahead(branches=branches, passing=passing, whole=not search.cut_loops and not search.cut_long)
