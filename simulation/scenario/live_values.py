"""The values of a running request: which way its conditions go, where that is certain already.

A value is known until something outside sets it anew: a form, an event, a sub-process, or an action that is not pure.
Conditions that read only known values go one way. The others may go either way, but not both ways on one route.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from placet.definition.variables import values_of
from placet.engine.evaluation_context import requester_facts
from placet.engine.state import State
from placet.expressions.types import NOW, REQUESTER, ZONE
from placet.plan.graph import Node
from placet.plan.plan import Plan
from simulation.scenario.route_variables import Given, is_pure, reads_of, variables_after
from simulation.scenario.witnesses import PathConstraint, holds

_Values = tuple[Given, frozenset[str]] | None  # the variables, and the names that are unknown; None: a step fails


@dataclass(kw_only=True)
class LiveValues:
    """What is known of the constraints on the routes of one request; used as WitnessSearch is.

    The steps of its constraints are all nodes that have set variables, in their order.
    """

    plan: Plan
    state: State
    undecided: bool = False  # it always answers: what is unknown may be

    def __post_init__(self) -> None:
        facts = requester_facts(self.state.directory, self.state.requester)
        self._context: dict[str, object] = {ZONE: self.plan.offsets, REQUESTER: facts}
        self._never_known = frozenset({NOW}) | _contested(self.plan)
        self._after: dict[tuple[str, ...], _Values] = {(): (self.state.input, self._never_known)}
        self._known: dict[tuple[Any, ...], bool | None] = {}

    def find(self, constraints: Sequence[PathConstraint]) -> tuple[dict[str, Any], str] | None:
        """Return the request's own input where all constraints may be satisfied; None where they cannot be."""
        chosen: dict[tuple[Any, ...], bool] = {}
        for constraint in constraints:
            key = constraint.key
            if key not in self._known:
                self._known[key] = self._satisfied(constraint)
            known = self._known[key]
            if known is False:
                return None
            if known is None and self._lasting(constraint):
                what = (constraint.expression.source if constraint.expression is not None else None, constraint.steps)
                if chosen.setdefault(what, constraint.wanted) is not constraint.wanted:
                    return None
        return {}, "live"

    def steps_after(self, steps: tuple[str, ...], node: Node, _: str, /) -> tuple[str, ...]:
        """Return the steps of what follows a node that came to a result."""
        return (*steps, node.id) if node.sources else steps

    def _lasting(self, constraint: PathConstraint) -> bool:
        """Whether the constraint has the same result each time, once these steps have run."""
        if constraint.expression is None:
            return not reads_of(self.plan, constraint.steps[-1:]) & self._never_known
        return not constraint.expression.reads & self._never_known

    def _satisfied(self, constraint: PathConstraint) -> bool | None:
        """Return whether a constraint is satisfied; None where that is not known."""
        if constraint.expression is None:
            *before, last = constraint.steps
            found = self._values(tuple(before))
            if found is None:
                return False
            given, unknown = found
            if reads_of(self.plan, (last,)) & unknown:
                return None
            after = variables_after(self.plan, given, (last,), self._context)
            return (after is not None) is constraint.wanted
        found = self._values(constraint.steps)
        if found is None:
            return False
        given, unknown = found
        if constraint.expression.reads & unknown:
            return None
        return holds(constraint.expression, self._read(given)) is constraint.wanted

    def _values(self, steps: tuple[str, ...]) -> _Values:
        if steps not in self._after:
            self._after[steps] = self._next(self._values(steps[:-1]), self.plan.nodes[steps[-1]])
        return self._after[steps]

    def _next(self, before: _Values, node: Node) -> _Values:
        if before is None:
            return None
        given, unknown = before
        if not is_pure(self.plan, node) or reads_of(self.plan, (node.id,)) & unknown:
            return given, unknown | node.sources.keys()
        after = variables_after(self.plan, given, (node.id,), self._context)
        return None if after is None else (after, (unknown - node.sources.keys()) | self._never_known)

    def _read(self, given: Given) -> Mapping[str, object]:
        return {**values_of(self.plan.variables, given), **self._context}


def _contested(plan: Plan) -> frozenset[str]:
    """Return the variables that are set in one branch of a fork and read in another, in no certain order."""
    setting = [(node.frames, node.sources.keys()) for node in plan.nodes.values() if node.sources and node.frames]
    found: set[str] = set()
    for node in plan.nodes.values():
        reads = {name for expression in node.expressions for name in expression.names}
        for frames, names in setting:
            if any(one.fork == other.fork and one.edge != other.edge for one in frames for other in node.frames):
                found |= reads & names
    return frozenset(found)
