"""A draft: the graph of a blueprint as far as it can be read, so that one fault does not hide others.

What a node does to a request is said by its type (placet.nodes): the analyses know entries, ends, results, pauses and
choices, not types.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from placet.definition.model import GraphSpec, ProcessDefinition
from placet.definition.steps import ChosenApprover, Step
from placet.definition.variables import scope_of
from placet.errors import ConditionInvalid, Problem
from placet.expressions import Expression, Scope, compile_condition
from placet.nodes.decision_tables import DecisionTable, table_edges
from placet.nodes.facts import Computed, FactsContext
from placet.nodes.registry import NodeDefinition, type_of
from placet.plan.assignee_expressions import choices
from placet.plan.compiler import chain


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftEdge:
    """One edge between two nodes that exist. `condition` is None also where its text does not compile (`faulty`)."""

    source: str
    target: str
    pointer: str
    on: str | None = None
    text: str | None = None
    condition: Expression | None = None
    faulty: bool = False
    default: bool = False
    rule: bool = False  # of a decision table

    @property
    def place(self) -> str:
        """Return where its condition is written."""
        return f"{self.pointer}/when" if self.rule else f"{self.pointer}/condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftNode:
    """One node. `results` are what it can come to, each a value of `on`; empty where its edges carry none.

    `plain` are the results for which an edge without `on` stands. `entry`: requests begin here. `end`: requests end
    here. `chooses`: its edges carry conditions. `splits`: all of its edges are taken. `gathers`: it waits for all that
    lead to it, or for `needs` of them. `pauses`: people or time come between, so that the input may be another
    afterwards (a request for changes). `sets`: the variables that it sets itself, but for the results `in_vain`; of
    these, an approval surely sets `asks` once it is approved. `computes`: what it evaluates besides conditions, and
    `guards`: under which its approvers are asked.
    """

    id: str
    type: str
    pointer: str
    edges: tuple[DraftEdge, ...] = ()
    step: Step | None = None
    results: tuple[str, ...] = ()
    entry: bool = False
    end: bool = False
    chooses: bool = False
    pauses: bool = False
    splits: bool = False
    gathers: bool = False
    needs: int = 0
    names: tuple[tuple[str, str], ...] = ()  # of people, each with its place, besides those of its step
    sets: frozenset[str] = frozenset()
    in_vain: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()
    computes: tuple[Computed, ...] = ()
    guards: tuple[Computed, ...] = ()
    plain: tuple[str, ...] = ()
    hit_policy: str | None = None  # of a decision table
    exhaustive: bool = False  # every condition is evaluated, and those that hold have to agree
    cut: bool = False  # an edge leads from here to a node that does not exist, which is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The nodes by id, in the order they were written, and the steps' places by stage name."""

    definition: ProcessDefinition
    nodes: dict[str, DraftNode]
    steps: dict[str, str] = field(default_factory=dict)  # stage name -> pointer of the process step

    @property
    def reads(self) -> set[str]:
        """Collect the variables that nodes read or set; faulty expressions are left out."""
        nodes = self.nodes.values()
        found = {n for v in nodes for computed in (*v.computes, *v.guards) for n in computed.expression.names}
        return found.union(*(v.sets for v in nodes))

    @property
    def expressions(self) -> list[Expression]:
        """List every expression that compiles."""
        found = [edge.condition for edge in self.edges if edge.condition is not None]
        found += [c.expression for v in self.nodes.values() for c in (*v.computes, *v.guards)]
        return found

    @property
    def entries(self) -> list[DraftNode]:
        """List where requests begin: exactly one in a sound process."""
        return [v for v in self.nodes.values() if v.entry]

    @property
    def edges(self) -> list[DraftEdge]:
        """List every edge."""
        return [a for v in self.nodes.values() for a in v.edges]

    def place(self, step: Step) -> str:
        """Return the pointer of a process step."""
        return self.steps[step.stage_name]


def draft_of(definition: ProcessDefinition) -> Draft:
    """Read the graph of a blueprint; dangling edges and the later of two nodes with one id are left out."""
    given = definition.graph_spec
    graph = given or chain(definition)
    steps = {step.stage_name: step for step in definition.process_steps}
    places = {step.stage_name: f"/process_steps/{index}" for index, step in enumerate(definition.process_steps)}
    nodes: dict[str, tuple[int, NodeDefinition]] = {}
    for index, node in enumerate(graph.nodes):
        nodes.setdefault(node.id, (index, node))
    scope = scope_of(definition.variables)
    outgoing = _outgoing(graph, {name: type_of(node).has_conditions for name, (_, node) in nodes.items()}, scope)
    cut = {edge.source for edge in graph.edges if edge.target not in nodes}
    draft_nodes: dict[str, DraftNode] = {}
    for name, (index, node) in nodes.items():
        node_type = type_of(node)
        step = steps.get(node_type.step_name(node) or "")
        pointer = f"/graph_spec/nodes/{index}"
        if given is None:
            pointer = places[step.stage_name] if step else "/process_steps"
        facts = node_type.facts(node, FactsContext(pointer=pointer, scope=scope, step=step))
        edges = outgoing.get(name, [])
        if facts.table is not None:
            edges = _rules(name, facts.table, nodes, scope, f"{pointer}/table")
        draft_nodes[name] = DraftNode(
            id=name,
            type=node_type.kind,
            pointer=pointer,
            edges=tuple(edges),
            step=step,
            results=facts.results,
            plain=tuple(result for result in facts.results if result in node_type.plain),
            hit_policy=facts.table.hit_policy if facts.table is not None else None,
            exhaustive=facts.table is not None and facts.table.hit_policy != "first",
            entry=node_type.begins,
            end=node_type.ends,
            chooses=node_type.has_conditions,
            pauses=node_type.pauses,
            splits=node_type.splits,
            gathers=facts.gathers,
            needs=facts.needs,
            sets=facts.sets,
            in_vain=node_type.in_vain,
            asks=facts.asks,
            computes=facts.computes,
            names=facts.names,
            guards=_guards(step, places[step.stage_name], scope) if step is not None else (),
            cut=name in cut or (facts.table is not None and not _targets(facts.table) <= nodes.keys()),
        )
    return Draft(definition=definition, nodes=draft_nodes, steps=places)


def _outgoing(graph: GraphSpec, conditional: dict[str, bool], scope: Scope) -> dict[str, list[DraftEdge]]:
    outgoing: dict[str, list[DraftEdge]] = {}
    for index, edge in enumerate(graph.edges):
        if edge.source not in conditional or edge.target not in conditional:
            continue
        compiled: Expression | None = None
        faulty = False
        if edge.condition is not None and conditional[edge.source]:
            try:
                compiled = compile_condition(edge.condition, scope)
            except ConditionInvalid:  # compile_plan reports it, with its place
                faulty = True
        draft_edge = DraftEdge(
            source=edge.source,
            target=edge.target,
            pointer=f"/graph_spec/edges/{index}",
            on=edge.on,
            text=edge.condition,
            condition=compiled,
            faulty=faulty,
            default=edge.default,
        )
        outgoing.setdefault(edge.source, []).append(draft_edge)
    return outgoing


def _targets(table: DecisionTable) -> set[str]:
    return {rule.target for rule in table.rules} | ({table.default} if table.default is not None else set())


def _guards(step: Step, pointer: str, scope: Scope) -> tuple[Computed, ...]:
    """Compile the conditions under which somebody is chosen as an approver."""
    found: list[Computed] = []
    for index, approver in enumerate(step.approvers):
        if isinstance(approver, ChosenApprover):
            try:
                chosen = choices(approver.expr, scope)
            except ConditionInvalid:  # compile_plan reports it
                continue
            place = f"{pointer}/approvers/{index}/expr"
            found += [Computed(pointer=place, expression=when) for _, when in chosen if when is not None]
    return tuple(found)


def _rules(name: str, table: DecisionTable, nodes: Container[str], scope: Scope, pointer: str) -> list[DraftEdge]:
    faults: list[Problem] = []
    edges: list[DraftEdge] = []
    for number, edge in enumerate(table_edges(table, scope, pointer, faults)):
        if edge.target not in nodes:
            continue
        draft_edge = DraftEdge(
            source=name,
            target=edge.target,
            pointer=f"{pointer}/default" if edge.default else f"{pointer}/rules/{number}",
            text=edge.condition.source if edge.condition else None,
            condition=edge.condition,
            faulty=edge.condition is None and not edge.default,
            default=edge.default,
            rule=True,
        )
        edges.append(draft_edge)
    return edges
