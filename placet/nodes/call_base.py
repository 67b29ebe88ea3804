"""The common part of node types that call something: an action or another process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from placet.engine.run import Run
from placet.errors import ValueAbsent
from placet.json_pointer import pointer_to
from placet.nodes.base import D, MigrationContext, NodeType, Value
from placet.nodes.facts import FactsContext, Named, NodeFacts
from placet.plan.graph import CallSpec, Node
from placet.plan.plan import Plan
from placet.sentences import sentence


class CallType(NodeType[D]):
    """A type of node that calls something and waits for its result."""

    has_results = True
    has_conditions = False
    pauses = True
    waits_outside = True

    @property
    @abstractmethod
    def noun(self) -> str:
        """Return what it calls, in words."""

    @abstractmethod
    def named(self, definition: D) -> Named:
        """Return what it calls."""

    def facts(self, definition: D, context: FactsContext) -> NodeFacts:
        """Return what it computes for the call, and which variables it sets."""
        named = self.named(definition)
        return NodeFacts(sets=frozenset(named.output), computes=context.computed_input(named.input))

    def output(self, definition: D) -> Mapping[str, str]:
        """Take from what comes back."""
        return self.named(definition).output

    def step_name(self, definition: D) -> str | None:
        """Ask nobody as a process step does."""
        return None

    def visits(self, run: Run, node: Node) -> int:
        """Count the times that it was to run."""
        return run.state.visits.get(node.id, 0)

    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """Require the same call and the same output in the other version."""
        after, call_spec = move.plan.nodes.get(node.id), call_spec_of(node)
        why = None
        if after is None or after.type != node.type:
            why = sentence(
                "node {node_id!r} does not exist in that version, and its {noun} is running",
                node_id=node.id,
                noun=self.noun,
            )
        elif call_spec_of(after).name != call_spec.name:
            why = sentence(
                "node {node_id!r} runs another {noun} in that version, and this one is running",
                node_id=node.id,
                noun=self.noun,
            )
        elif call_spec_of(after).output != call_spec.output:
            why = sentence(
                "node {node_id!r} takes other values from its {noun} in that version, which is running",
                node_id=node.id,
                noun=self.noun,
            )
        if why is not None:
            move.refuse(pointer_to("/nodes", node.id), sentence("{why}; move it when that has ended", why=why))

    def follow(self, run: Run, before: Node, old: Plan) -> None:
        """Change nothing: what runs is as it was started."""

    def sets(self, node: Node) -> frozenset[str]:
        """Set what it takes from what comes back."""
        return frozenset(call_spec_of(node).output)

    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """Lead only to what follows a failure where its input lacks a value that it cannot leave out."""
        failing = [edge.target for edge in node.edges if edge.on == "failed"]
        try:
            for expression in call_spec_of(node).input.expressions.values():
                if expression.ast["op"] != "name":
                    value(expression)
        except ValueAbsent:
            if not failing:
                raise
            return failing
        return [edge.target for edge in node.edges]


def call_spec_of(node: Node) -> CallSpec:
    """Return what an action or sub-process node calls."""
    assert node.call_spec is not None, f"{node.id} is an action or a sub-process"  # noqa: S101
    return node.call_spec
