"""Decision: a branch that conditions or a decision table choose."""

from __future__ import annotations

from typing import Literal

from placet.nodes.base import BaseNode, CompilerContext, NodeType, Written
from placet.points import Point
from placet.tables import DecisionTable, table_ways


class DecisionNode(BaseNode):
    """A branch: the first outgoing edge whose condition holds is taken, else the default; or a `table` says where."""

    type: Literal["decision"]
    table: DecisionTable | None = None


class DecisionType(NodeType[DecisionNode]):
    """Goes on at once, where its conditions or its table say."""

    kind = "decision"
    has_results = False
    has_conditions = True

    def compile(self, context: CompilerContext, definition: DecisionNode, here: str, written: Written) -> Point:
        """Compile the conditions of its edges, or its table."""
        table = definition.table
        ways = self.compile_ways(context, written, chooses=table is None)
        if table is None:
            return Point(id=definition.id, type=self.kind, ways=ways)
        for index, _ in written:
            message = "the rules of the table say where this decision leads; remove this edge"
            context.refuse(f"/graph_spec/edges/{index}", message)
        ways = table_ways(table, context.scope, f"{here}/table", context.problems)
        places = [(f"{here}/table/rules/{n}/to", rule.target) for n, rule in enumerate(table.rules)]
        places += [(f"{here}/table/default", table.default)] if table.default is not None else []
        for pointer, target in places:
            if target not in context.ids:
                context.refuse(pointer, f"there is no node {target!r}; add it or mend the id")
        return Point(id=definition.id, type=self.kind, ways=ways, hit_policy=table.hit_policy)
