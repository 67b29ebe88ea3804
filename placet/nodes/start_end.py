"""Trigger and terminator: where a request begins, and where it ends with an outcome."""

from __future__ import annotations

from typing import Literal

from placet.fields import Outcome
from placet.nodes.base import BaseNode, CompilerContext, Entered, PassingType, Written
from placet.points import Point
from placet.run import Run


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

    def compile(self, context: CompilerContext, definition: TriggerNode, here: str, written: Written) -> Point:
        """Compile it."""
        return Point(id=definition.id, type=self.kind, ways=self.compile_ways(context, written))

    def enter(self, run: Run, point: Point) -> Entered:
        """Go on."""
        return self.pass_on(point)


class TerminatorType(PassingType[TerminatorNode]):
    """Ends the request."""

    kind = "terminator"
    ends = True

    def compile(self, context: CompilerContext, definition: TerminatorNode, here: str, written: Written) -> Point:
        """Compile it."""
        ways = self.compile_ways(context, written)
        return Point(id=definition.id, type=self.kind, ways=ways, outcome=definition.outcome)

    def enter(self, run: Run, point: Point) -> Entered:
        """End the request."""
        run.finish("completed", point.outcome, kind="completed")
        return None
