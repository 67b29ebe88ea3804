"""Decision: a branch that conditions or a decision table choose."""

from __future__ import annotations

from typing import Literal

from placet.conditions import evaluate
from placet.errors import EvaluationFailed
from placet.facts import values_at
from placet.nodes.base import BaseNode, CompilerContext, Entered, Fails, GoesOn, PassingType, Value, Written
from placet.points import Point, Way
from placet.reasons import because
from placet.run import Run
from placet.tables import DecisionTable, table_ways


class DecisionNode(BaseNode):
    """A branch: the first outgoing edge whose condition holds is taken, else the default; or a `table` says where."""

    type: Literal["decision"]
    table: DecisionTable | None = None


class DecisionType(PassingType[DecisionNode]):
    """Goes on at once, where its conditions or its table say."""

    kind = "decision"
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

    def enter(self, run: Run, point: Point) -> Entered:
        """Take the edge that is chosen, and put on record why."""
        values = values_at(run)
        fitting: list[Way] = []
        try:
            for way in point.ways:
                if way.condition is not None and evaluate(way.condition, values, run.allowance) is True:
                    fitting.append(way)
                    if point.hit_policy == "first":
                        break
        except EvaluationFailed as error:
            return Fails(because("decision_failed", node=point.id, cause=error.reason))
        if len(fitting) > 1 and (point.hit_policy == "unique" or len({way.target for way in fitting}) > 1):
            conditions = [way.condition.source for way in fitting if way.condition]
            return Fails(because("several_rules", node=point.id, count=len(fitting), conditions=conditions))
        chosen = fitting[0] if fitting else next((w for w in point.ways if w.default), None)
        if chosen is None:
            return Fails(because("no_rule", node=point.id))
        run.record(
            "routed",
            node=point.id,
            to=chosen.target,
            condition=chosen.condition.source if chosen.condition else "default",
        )
        return GoesOn(((chosen.target, point.frames),))

    def foresee(self, point: Point, value: Value) -> list[str]:
        """Lead where a condition holds or may hold, and to the default where none surely does."""
        possible: list[str] = []
        sure = False
        for way in point.ways:
            holds = value(way.condition) if way.condition is not None else False
            if holds is not False:
                possible.append(way.target)
            sure = sure or holds is True
            if holds is True and point.hit_policy == "first":
                break
        return possible if sure else [*possible, *(way.target for way in point.ways if way.default)]
