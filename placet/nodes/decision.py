"""Decision: choose the next node by conditions or by a decision table."""

from __future__ import annotations

from typing import Literal

from placet.audit.reasons import because
from placet.engine.evaluation_context import values_at
from placet.engine.run import Run
from placet.errors import EvaluationFailed
from placet.expressions import evaluate
from placet.nodes.base import (
    BaseNode,
    CompilerContext,
    Continuation,
    Entered,
    PassingType,
    RequestFails,
    Value,
    Written,
)
from placet.nodes.decision_tables import DecisionTable, table_edges
from placet.nodes.facts import FactsContext, NodeFacts
from placet.plan.graph import Edge, Node
from placet.sentences import sentence


class DecisionNode(BaseNode):
    """A branch: the first outgoing edge whose condition holds is taken, else the default; or a `table` says where."""

    type: Literal["decision"]
    table: DecisionTable | None = None


class DecisionType(PassingType[DecisionNode]):
    """Goes on at once along the edge that its conditions or its table choose."""

    kind = "decision"
    has_conditions = True

    def compile(self, context: CompilerContext, definition: DecisionNode, here: str, written: Written) -> Node:
        """Compile the conditions of its edges, or its table."""
        table = definition.table
        edges = self.compile_edges(context, written, chooses=table is None)
        if table is None:
            return Node(id=definition.id, type=self.kind, edges=edges)
        for index, _ in written:
            message = "the rules of the table say where this decision leads; remove this edge"
            context.refuse(f"/graph_spec/edges/{index}", message)
        edges = table_edges(table, context.scope, f"{here}/table", context.problems)
        places = [(f"{here}/table/rules/{n}/to", rule.target) for n, rule in enumerate(table.rules)]
        places += [(f"{here}/table/default", table.default)] if table.default is not None else []
        for pointer, target in places:
            if target not in context.ids:
                context.refuse(
                    pointer, sentence("there is no node {target!r}; add it, or correct the id", target=target)
                )
        return Node(id=definition.id, type=self.kind, edges=edges, hit_policy=table.hit_policy)

    def facts(self, definition: DecisionNode, context: FactsContext) -> NodeFacts:
        """Tell the table by which it chooses."""
        return NodeFacts(table=definition.table)

    def enter(self, run: Run, node: Node) -> Entered:
        """Take the edge that is chosen, and put on record why."""
        values = values_at(run)
        fitting: list[Edge] = []
        try:
            for edge in node.edges:
                if edge.condition is not None and evaluate(edge.condition, values, run.allowance) is True:
                    fitting.append(edge)
                    if node.hit_policy == "first":
                        break
        except EvaluationFailed as error:
            return RequestFails(because("decision_failed", node=node.id, cause=error.reason))
        if len(fitting) > 1 and (node.hit_policy == "unique" or len({edge.target for edge in fitting}) > 1):
            conditions = [edge.condition.source for edge in fitting if edge.condition]
            return RequestFails(because("several_rules", node=node.id, count=len(fitting), conditions=conditions))
        chosen = fitting[0] if fitting else next((w for w in node.edges if w.default), None)
        if chosen is None:
            return RequestFails(because("no_rule", node=node.id))
        run.record(
            "routed",
            node=node.id,
            to=chosen.target,
            condition=chosen.condition.source if chosen.condition else "default",
        )
        return Continuation(((chosen.target, node.frames),))

    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """Lead where a condition holds or may hold, and to the default where none surely does."""
        possible: list[str] = []
        sure = False
        for edge in node.edges:
            holds = value(edge.condition) if edge.condition is not None else False
            if holds is not False:
                possible.append(edge.target)
            sure = sure or holds is True
            if holds is True and node.hit_policy == "first":
                break
        return possible if sure else [*possible, *(edge.target for edge in node.edges if edge.default)]
