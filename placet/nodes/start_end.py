"""Trigger and terminator: where a request begins, and where it ends with an outcome."""

from __future__ import annotations

from typing import Literal

from placet.definition.fields import Outcome
from placet.engine.run import Run
from placet.nodes.base import BaseNode, CompilerContext, Entered, PassingType, Written
from placet.plan.graph import Node


class TriggerNode(BaseNode):
    """Where a request begins; exactly one."""

    type: Literal["trigger"]


class TerminatorNode(BaseNode):
    """An end, with the outcome of the request; in a fork it ends every branch."""

    type: Literal["terminator"]
    outcome: Outcome


class TriggerType(PassingType[TriggerNode]):
    """Goes on at once."""

    kind = "trigger"
    begins = True

    def compile(self, context: CompilerContext, definition: TriggerNode, here: str, written: Written) -> Node:
        """Compile it."""
        return Node(id=definition.id, type=self.kind, edges=self.compile_edges(context, written))

    def enter(self, run: Run, node: Node) -> Entered:
        """Go on."""
        return self.pass_on(node)


class TerminatorType(PassingType[TerminatorNode]):
    """Ends the request."""

    kind = "terminator"
    ends = True

    def compile(self, context: CompilerContext, definition: TerminatorNode, here: str, written: Written) -> Node:
        """Compile it."""
        edges = self.compile_edges(context, written)
        return Node(id=definition.id, type=self.kind, edges=edges, outcome=definition.outcome)

    def enter(self, run: Run, node: Node) -> Entered:
        """End the request."""
        run.finish("completed", node.outcome, kind="completed")
        return None

    def outcome(self, definition: TerminatorNode) -> str | None:
        """Return the outcome that it gives the request."""
        return definition.outcome
