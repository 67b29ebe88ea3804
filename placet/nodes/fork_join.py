"""Fork and join: where a request goes on in several branches at once, and where they come together again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Tag

from placet.fields import Count, Model, shape
from placet.nodes.base import BaseNode, CompilerContext, NodeType, Written
from placet.points import Join, Point


class ForkNode(BaseNode):
    """All outgoing edges are taken at once."""

    type: Literal["fork"]


class AtLeast(Model):
    """So many of a join's branches."""

    at_least: Count


Arrivals = Annotated[
    Annotated[Literal["any", "all", "every"], Tag("text")] | Annotated[AtLeast, Tag("object")], Discriminator(shape)
]


class JoinNode(BaseNode):
    """Where the branches of a fork come together: it goes on once as many as it `need`s have arrived.

    `all` are the branches that lead to it, `every` are the fork's, also those that only lead to a terminator: what
    arrives here then has ended without ending the request.
    """

    type: Literal["join"]
    need: Arrivals = "all"


class ForkType(NodeType[ForkNode]):
    """Takes every edge."""

    kind = "fork"
    has_results = False
    has_conditions = False

    def compile(self, context: CompilerContext, definition: ForkNode, here: str, written: Written) -> Point:
        """Compile it."""
        return Point(id=definition.id, type=self.kind, ways=self.compile_ways(context, written))


class JoinType(NodeType[JoinNode]):
    """Waits for branches, and ends those that it did not wait for."""

    kind = "join"
    has_results = False
    has_conditions = False

    def compile(self, context: CompilerContext, definition: JoinNode, here: str, written: Written) -> Point:
        """Compile it; which branches lead to it is known once every node is compiled, and 0 stands for all."""
        ways = self.compile_ways(context, written)
        needed = definition.need
        need = {"all": 0, "every": 0, "any": 1}[needed] if isinstance(needed, str) else needed.at_least
        join = Join(fork="", ways=(), need=need, every=needed == "every")
        return Point(id=definition.id, type=self.kind, ways=ways, join=join)
