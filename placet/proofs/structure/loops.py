"""Loops with a provable bound: a whole number counts the rounds, and a decision leaves the loop.

Each way round counts (an action that computes `n + 1` for `n`, whose failure leads elsewhere), nothing else in the loop
sets the number, each way round passes a decision that lets nobody round once the number has come to a bound, and the
number begins at a known one: its `minimum`, or what an action before the loop always sets it to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import z3

from placet.definition.action_spec import ActionSpec
from placet.definition.variables import Variable, scope_of
from placet.errors import ConditionInvalid
from placet.expressions import Expression, compile_expression
from placet.expressions.expression import Node
from placet.expressions.templates import expression_of, value_from
from placet.nodes.facts import NamedAction
from placet.nodes.registry import type_of
from placet.plan.pure_actions import computes
from placet.proofs.draft import Draft, DraftEdge, DraftNode
from placet.proofs.solver import Undecided
from placet.proofs.structure.graph import cycles, reached
from placet.proofs.values.reachability import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """A node that adds `step` (never 0) to a variable."""

    node: str
    variable: str
    step: int


def bounded_loops(draft: Draft, reach: Reach, actions: Mapping[str, ActionSpec] | None) -> dict[frozenset[str], int]:
    """Return the loops with a bound, each with its most rounds."""
    found: dict[frozenset[str], int] = {}
    for group in cycles(draft):
        rounds = _Loop(draft, reach, group, actions).rounds()
        if rounds is not None:
            found[frozenset(group)] = rounds
    return found


class _Loop:
    def __init__(
        self, draft: Draft, reach: Reach, group: Sequence[str], actions: Mapping[str, ActionSpec] | None
    ) -> None:
        self.draft = draft
        self.reach = reach
        self.inside = frozenset(group)
        self.nodes = (
            {node.id: node for node in draft.definition.graph_spec.nodes} if draft.definition.graph_spec else {}
        )
        self.actions = actions
        self.shapes = {v.name: v for v in draft.definition.variables if v.type == "integer"}
        self.edges = [a for name in group for a in draft.nodes[name].edges if a.target in self.inside]

    def rounds(self) -> int | None:
        """Return the most rounds, by the counter that proves the fewest; None where no counter proves a bound."""
        counts: dict[tuple[str, bool], list[_Count]] = {}
        for name in self.inside:
            for count in self._counts(name):
                counts.setdefault((count.variable, count.step > 0), []).append(count)
        proven = [rounds for (name, up), of in counts.items() if (rounds := self._by(name, up, of)) is not None]
        return min(proven, default=None)

    def _by(self, name: str, up: bool, counts: list[_Count]) -> int | None:
        counting = {count.node for count in counts}
        setters = {node.id for node in self.draft.nodes.values() if name in node.sets}
        before = setters - self.inside
        if setters & self.inside != counting or any(not self.inside & reached(self.draft, [one]) for one in before):
            return None
        uncounted = [a for a in self.edges if a.source not in counting or a.on == "failed"]
        if not _acyclic(uncounted):
            return None
        begins = self._begins(self.shapes[name], up, before)
        guards = self._guards(name, up)
        if begins is None or not guards:
            return None
        ends = max(guards.values()) if up else min(guards.values())
        counted = ceil((ends - begins if up else begins - ends) / min(abs(count.step) for count in counts))
        return max(counted + self._begins_uncounted(uncounted, guards), 1)

    def _begins_uncounted(self, uncounted: Sequence[DraftEdge], guards: Mapping[str, int]) -> bool:
        """Say whether some node is come to once more than is counted: before the first decision and the first count.

        Decisions themselves do not count: they do nothing.
        """
        outside = {edge.target for edge in self.draft.edges if edge.source not in self.inside}
        entered = self.inside & (outside | {entry.id for entry in self.draft.entries})
        doing = {name for name in _led_to(entered, uncounted) if not self.draft.nodes[name].chooses}
        return bool(_led_to(doing, uncounted) & guards.keys())

    def _counts(self, name: str) -> Iterator[_Count]:
        called = self._computing(name)
        if called is None:
            return
        for variable, source in called.output.items():
            expression = self._computed(called, source)
            step = _step(expression.ast, variable) if expression is not None and variable in self.shapes else 0
            if step:
                yield _Count(node=name, variable=variable, step=step)

    def _computing(self, name: str) -> NamedAction | None:
        """Return the pure action of a node."""
        node = self.nodes.get(name)
        called = type_of(node).named(node) if node is not None else None
        return called if isinstance(called, NamedAction) and computes(called.name, self.actions) else None

    def _computed(self, called: NamedAction, source: str) -> Expression | None:
        value = value_from(called.input, source)
        text = expression_of(value)
        try:
            if text is not None:
                return compile_expression(text, scope_of(self.draft.definition.variables))
            whole = isinstance(value, int) and not isinstance(value, bool)
            return compile_expression(str(value), {}) if whole else None
        except ConditionInvalid:
            return None

    def _begins(self, variable: Variable, up: bool, before: set[str]) -> int | None:
        """Return the least value that the number begins with (counting down: the greatest)."""
        stated = variable.lowest if up else variable.highest
        values = [self._constant(name, variable.name) for name in before]
        known = [value for value in values if value is not None]
        always = bool(before) and len(known) == len(values) and not self._entered_without(before)
        found = [*known] if always else []
        if stated is not None and not always:
            found = [int(stated)]
        return (min(found) if up else max(found)) if found else None

    def _constant(self, name: str, variable: str) -> int | None:
        called = self._computing(name)
        if called is None:
            return None
        expression = self._computed(called, called.output.get(variable, ""))
        return _whole(expression.ast) if expression is not None else None

    def _entered_without(self, before: set[str]) -> bool:
        """Say whether some path enters the loop without passing one of these nodes, or only after its failure."""
        seen: set[str] = set()
        pending = [entry.id for entry in self.draft.entries]
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            edges: Iterable[DraftEdge] = self.draft.nodes[name].edges
            pending += [edge.target for edge in edges if name not in before or edge.on == "failed"]
        return bool(seen & self.inside)

    def _guards(self, name: str, up: bool) -> dict[str, int]:
        """Return the decisions that leave the loop, each with the number at which; none where a round may pass none."""
        guards: dict[str, int] = {}
        for one in self.inside:
            node = self.draft.nodes[one]
            if node.chooses:
                bound = self._bound(node, name, up)
                if bound is not None:
                    guards[one] = bound
        return guards if _acyclic([edge for edge in self.edges if edge.source not in guards]) else {}

    def _bound(self, node: DraftNode, name: str, up: bool) -> int | None:
        """Return the first of the numbers in a decision from which on it does not lead back into the loop."""
        mentioned = sorted({n for a in node.edges if a.condition for n in _numbers(a.condition.ast)}, reverse=not up)
        tried = dict.fromkeys(n + step for n in mentioned for step in ((0, 1) if up else (0, -1)))
        return next((bound for bound in tried if self._lets_nobody(node, name, up, bound)), None)

    def _lets_nobody(self, node: DraftNode, name: str, up: bool, bound: int) -> bool:
        number = compile_expression(name, scope_of(self.draft.definition.variables))
        term, absent = self.reach.prover.value(number)
        beyond = z3.And(z3.Not(absent), term >= bound if up else term <= bound)
        for target, edge in self.reach.leaving(node):
            if target not in self.inside:
                continue

            def goes_round(values: dict[str, object], target: str = target) -> bool:
                value = values.get(name)
                there = isinstance(value, int) and (value >= bound if up else value <= bound)
                return there and target in self.reach.onward(node, values)

            terms = [beyond, *(part for part, _ in edge.parts)]
            try:
                asked = {name, *edge.names}
                if self.reach.prover.find(terms, names=asked, confirmed=goes_round, likely=False) is not None:
                    return False
            except Undecided:
                return False
        return True


def _step(ast: Node, variable: str) -> int:
    """Return the constant that an expression adds to a variable; 0 for any other expression."""
    if ast["op"] not in {"add", "sub"}:
        return 0
    left, right = ast["args"]
    if left["op"] == "name" and left["name"] == variable and (number := _whole(right)) is not None:
        return number if ast["op"] == "add" else -number
    if ast["op"] == "add" and right["op"] == "name" and right["name"] == variable:
        return _whole(left) or 0
    return 0


def _whole(ast: Node) -> int | None:
    if ast["op"] == "neg" and (inner := _whole(ast["args"][0])) is not None:
        return -inner
    return ast["value"] if ast["op"] == "literal" and ast["type"] == "int" else None


def _numbers(ast: Node) -> Iterator[int]:
    number = _whole(ast)
    if number is not None:
        yield number
        return
    for arg in ast["args"]:
        yield from _numbers(arg)


def _led_to(starts: Iterable[str], edges: Sequence[DraftEdge]) -> set[str]:
    """Return these nodes, and all that these edges lead to from them."""
    found: set[str] = set()
    pending = list(starts)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [edge.target for edge in edges if edge.source == name]
    return found


def _acyclic(edges: Sequence[DraftEdge]) -> bool:
    """Say whether these edges form no loop."""
    following: dict[str, set[str]] = {}
    leading: dict[str, int] = {}
    for source, target in {(edge.source, edge.target) for edge in edges}:
        following.setdefault(source, set()).add(target)
        leading[target] = leading.get(target, 0) + 1
        leading.setdefault(source, 0)
    pending = [name for name, count in leading.items() if not count]
    gone = 0
    while pending:
        name = pending.pop()
        gone += 1
        for target in following.get(name, ()):
            leading[target] -= 1
            if not leading[target]:
                pending.append(target)
    return gone == len(leading)
