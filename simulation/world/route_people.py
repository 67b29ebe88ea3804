"""The people of an explored route, who decide each stage as the route needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from placet.engine.state import Decision, State
from placet.plan.plan import Plan
from simulation.run.driver import PlannedEvent
from simulation.scenario.approver_model import ApproverModel
from simulation.world.scripted_people import decision_events


@dataclass(kw_only=True)
class RoutePeople:
    """An event source: people who give each stage the result that the route needs, by visit, and approve the others."""

    plan: Plan
    results: Sequence[tuple[str, str]]
    approver_model: ApproverModel
    blocked: frozenset[str] = frozenset()  # nodes at which nobody decides
    in_turn: bool = False  # whether people decide in the order of `results`, one after the other
    required_values: Mapping[str, Any] = field(default_factory=dict)  # for assumed values, see Answers
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._wanted: dict[str, list[str]] = {}
        for node, result in self.results:
            self._wanted.setdefault(node, []).append(result)
        self._visits: dict[str, list[tuple[int, int]]] = {}
        self._active: set[tuple[str, int, int]] = set()
        self._over: Counter[str] = Counter()  # the number of ended visits of each node

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event."""
        return min(self._planned_events(state, now), key=lambda m: m.at, default=None)

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        self.done[planned.mark] = 1

    def _turn(self, state: State) -> str | None:
        """Return the first open node in the order of `results`; None where none of them is open."""
        active = {(run.node, run.round, run.first) for run in state.stages}
        active |= {(on.node, on.visit, 0) for ons in (state.waits, state.actions, state.children) for on in ons}
        self._over.update(node for node, _, _ in self._active - active)
        self._active = active
        waited_for = {node for node, _, _ in active}
        before: Counter[str] = Counter()
        for node, _ in self.results:
            before[node] += 1
            if node in waited_for and before[node] > self._over[node]:
                return node
        return None

    def _planned_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        turn = self._turn(state) if self.in_turn else None
        for run in state.stages:
            if turn is not None and run.node != turn:
                continue
            result = self._result(run.node, (run.round, run.first))
            stage = self.plan.nodes[run.node].asked
            if stage is None or result not in {"approved", "rejected"} or run.node in self.blocked:
                continue
            for task in state.tasks_of(run):
                person = next(iter(task.people), None)
                if task.status == "open" and task.node == run.node and person is not None:
                    at = max(self.approver_model.decision_time(self.plan, stage, task), now)
                    decision: Decision = "approve" if result == "approved" else "reject"
                    yield from decision_events(
                        self.plan,
                        self.done,
                        task,
                        person=person,
                        decision=decision,
                        at=at,
                        required_values=self.required_values,
                    )

    def _result(self, node: str, visit: tuple[int, int]) -> str:
        visits = self._visits.setdefault(node, [])
        if visit not in visits:
            visits.append(visit)
        wanted = self._wanted.get(node, [])
        number = visits.index(visit)
        return wanted[number] if number < len(wanted) else "approved"
