"""Calls: what the nodes have in common that have something else run, an action or another process."""

from __future__ import annotations

from abc import abstractmethod

from placet.errands import errand_of
from placet.errors import ValueAbsent
from placet.nodes.base import D, Move, NodeType, Value
from placet.plan import Plan
from placet.pointer import pointer_to
from placet.points import Point
from placet.run import Run


class CallType(NodeType[D]):
    """A type of node that has something run, and waits for what it comes to."""

    has_results = True
    has_conditions = False

    @property
    @abstractmethod
    def runs(self) -> str:
        """What it runs, in words."""

    def visits(self, run: Run, point: Point) -> int:
        """Count the times that it was to run."""
        return run.state.visits.get(point.id, 0)

    def migrate(self, run: Run, point: Point, move: Move) -> None:
        """Have the same run there, and the same taken from it."""
        after, errand = move.plan.points.get(point.id), errand_of(point)
        why = None
        if after is None or after.type != point.type:
            why = f"node {point.id!r} is gone there, and its {self.runs} is under way"
        elif errand_of(after).name != errand.name:
            why = f"node {point.id!r} runs another {self.runs} there, and this one is under way"
        elif errand_of(after).output != errand.output:
            why = f"node {point.id!r} takes something else from its {self.runs} there, which is under way"
        if why is not None:
            move.refuse(pointer_to("/nodes", point.id), f"{why}; move it when that has ended")

    def follow(self, run: Run, before: Point, old: Plan) -> None:
        """Change nothing: what runs is as it was started."""

    def sets(self, point: Point) -> frozenset[str]:
        """Set what it takes from what comes back."""
        return frozenset(errand_of(point).output)

    def foresee(self, point: Point, value: Value) -> list[str]:
        """Lead on from its failure alone where its input lacks a value; a name alone is left out."""
        failing = [way.target for way in point.ways if way.on == "failed"]
        try:
            for expression in errand_of(point).input.expressions.values():
                if expression.ast["op"] != "name":
                    value(expression)
        except ValueAbsent:
            if not failing:
                raise
            return failing
        return [way.target for way in point.ways]
