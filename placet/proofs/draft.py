"""A draft: the graph of a blueprint as far as it can be read, so that one fault does not hide the others.

Types of nodes are told apart in this module only, by what they do to a request: the analyses know entries, ends,
results, pauses and choices, not types.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from placet.definition.decision_tables import DecisionTable, table_edges
from placet.definition.graph import GraphSpec
from placet.definition.model import ProcessDefinition
from placet.definition.steps import ChosenApprover, Step
from placet.definition.variables import scope_of
from placet.errors import ConditionInvalid, Problem
from placet.expressions import Expression, Scope, compile_condition, compile_expression
from placet.expressions.templates import computed_in, expression_of
from placet.json_pointer import pointer_to
from placet.nodes.action import ActionNode
from placet.nodes.approval import ApprovalNode
from placet.nodes.decision import DecisionNode
from placet.nodes.registry import NodeDefinition
from placet.nodes.subprocess import SubprocessNode
from placet.nodes.wait import WaitNode
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
class Computed:
    """An expression that a node evaluates for more than a choice. `member`: the parameter that it is a value of.

    `whole`: it is all of that parameter, which is then left out where the expression is only a name without a value.
    """

    pointer: str
    expression: Expression
    member: str | None = None
    whole: bool = False

    @property
    def left_out(self) -> bool:
        """Whether its parameter is left out where it has no value."""
        return self.whole and bool(self.expression.ast["op"] == "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftNode:
    """One node. `results` are what it can come to, each a value of `on`; empty where its edges carry none.

    `plain` are the results for which an edge without `on` stands. `entry`: requests begin here. `end`: requests end
    here. `chooses`: its edges carry conditions. `splits`: all of its edges are taken. `gathers`: it waits for all that
    lead to it. `pauses`: people or time come between, so that the input may be another afterwards (a request for
    changes). `sets`: the variables that it sets itself; of these, an approval surely sets `asks` once it is approved.
    `computes`: what it evaluates besides conditions, and `guards`: under which its approvers are asked.
    """

    id: str
    type: str
    pointer: str
    arrows: tuple[DraftEdge, ...] = ()
    step: Step | None = None
    results: tuple[str, ...] = ()
    entry: bool = False
    end: bool = False
    chooses: bool = False
    pauses: bool = False
    splits: bool = False
    gathers: bool = False
    sets: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()
    computes: tuple[Computed, ...] = ()
    guards: tuple[Computed, ...] = ()
    plain: tuple[str, ...] = ()
    hit_policy: str | None = None  # of a decision table
    exhaustive: bool = False  # every condition is evaluated, and those that hold have to agree
    cut: bool = False  # something leads from here to a node that is not there, which is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The nodes by id, in the order they were written, and the steps' places by stage name."""

    blueprint: ProcessDefinition
    vertices: dict[str, DraftNode]
    steps: dict[str, str] = field(default_factory=dict)  # stage name -> pointer of the process step

    @property
    def reads(self) -> set[str]:
        """Collect the variables that nodes compute with, and those that they set; what is faulty counts as nothing."""
        vertices = self.vertices.values()
        found = {n for v in vertices for computed in (*v.computes, *v.guards) for n in computed.expression.names}
        return found.union(*(v.sets for v in vertices))

    @property
    def expressions(self) -> list[Expression]:
        """List every expression that compiles."""
        found = [arrow.condition for arrow in self.arrows if arrow.condition is not None]
        found += [c.expression for v in self.vertices.values() for c in (*v.computes, *v.guards)]
        return found

    @property
    def entries(self) -> list[DraftNode]:
        """List where requests begin: exactly one in a sound process."""
        return [v for v in self.vertices.values() if v.entry]

    @property
    def arrows(self) -> list[DraftEdge]:
        """List every edge."""
        return [a for v in self.vertices.values() for a in v.arrows]

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
    outgoing = _outgoing(graph, {name: node.type for name, (_, node) in nodes.items()}, scope)
    cut = {edge.source for edge in graph.edges if edge.target not in nodes}
    cut |= {
        name
        for name, (_, node) in nodes.items()
        if isinstance(node, DecisionNode) and node.table is not None and not _targets(node.table) <= nodes.keys()
    }
    vertices: dict[str, DraftNode] = {}
    for name, (index, node) in nodes.items():
        step = steps.get(node.step) if isinstance(node, ApprovalNode) else None
        pointer = f"/graph_spec/nodes/{index}"
        if given is None:
            pointer = places[step.stage_name] if step else "/process_steps"
        table = node.table if isinstance(node, DecisionNode) else None
        arrows = outgoing.get(name, [])
        if table is not None:
            arrows = _rules(name, table, nodes, scope_of(definition.variables), f"{pointer}/table")
        results, plain = _results(node, step)
        vertices[name] = DraftNode(
            id=name,
            type=node.type,
            pointer=pointer,
            arrows=tuple(arrows),
            step=step,
            results=results,
            plain=plain,
            hit_policy=table.hit_policy if table is not None else None,
            exhaustive=table is not None and table.hit_policy != "first",
            entry=node.type == "trigger",
            end=node.type == "terminator",
            chooses=node.type == "decision",
            pauses=node.type in {"approval", "action", "wait", "subprocess"},
            splits=node.type == "fork",
            gathers=node.type == "join" and node.need in {"all", "every"},
            sets=frozenset(getattr(node, "output", ())),
            asks=_asks(node, step) if isinstance(node, ApprovalNode) else frozenset(),
            computes=_computes(node, pointer, scope),
            guards=_guards(step, places[step.stage_name], scope) if step is not None else (),
            cut=name in cut,
        )
    return Draft(blueprint=definition, vertices=vertices, steps=places)


def _asks(node: ApprovalNode, step: Step | None) -> frozenset[str]:
    """Return the variables that an approval cannot do without: its form requires them, and no clock approves."""
    if step is None or step.form is None or step.final == "approve":
        return frozenset()
    required = step.form.get("required", ())
    return frozenset(name for name, source in node.output.items() if source in required)


def _outgoing(graph: GraphSpec, types: dict[str, str], scope: Scope) -> dict[str, list[DraftEdge]]:
    outgoing: dict[str, list[DraftEdge]] = {}
    for index, edge in enumerate(graph.edges):
        if edge.source not in types or edge.target not in types:
            continue
        compiled: Expression | None = None
        faulty = False
        if edge.condition is not None and types[edge.source] == "decision":
            try:
                compiled = compile_condition(edge.condition, scope)
            except ConditionInvalid:  # compile_plan reports it, with its place
                faulty = True
        arrow = DraftEdge(
            source=edge.source,
            target=edge.target,
            pointer=f"/graph_spec/edges/{index}",
            on=edge.on,
            text=edge.condition,
            condition=compiled,
            faulty=faulty,
            default=edge.default,
        )
        outgoing.setdefault(edge.source, []).append(arrow)
    return outgoing


def _targets(table: DecisionTable) -> set[str]:
    return {rule.target for rule in table.rules} | ({table.default} if table.default is not None else set())


def _computes(node: NodeDefinition, pointer: str, scope: Scope) -> tuple[Computed, ...]:
    """Compile what a node computes; what does not compile is left out, for compile_plan reports it."""
    found: list[Computed] = []
    if isinstance(node, WaitNode) and node.until is not None:
        found += _compiled(f"{pointer}/until", node.until, scope)
    if isinstance(node, ActionNode | SubprocessNode):
        for name, value in node.input.items():
            place = pointer_to(f"{pointer}/input", name)
            whole = expression_of(value) is not None
            for here, text in computed_in({name: value}, f"{pointer}/input"):
                found += _compiled(here, text, scope, member=name, whole=whole and here == f"{place}/expr")
    return tuple(found)


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


def _compiled(pointer: str, text: str, scope: Scope, **more: Any) -> list[Computed]:
    try:
        return [Computed(pointer=pointer, expression=compile_expression(text, scope), **more)]
    except ConditionInvalid:
        return []


def _rules(name: str, table: DecisionTable, nodes: Container[str], scope: Scope, pointer: str) -> list[DraftEdge]:
    faults: list[Problem] = []
    arrows: list[DraftEdge] = []
    for number, edge in enumerate(table_edges(table, scope, pointer, faults)):
        if edge.target not in nodes:
            continue
        arrow = DraftEdge(
            source=name,
            target=edge.target,
            pointer=f"{pointer}/default" if edge.default else f"{pointer}/rules/{number}",
            text=edge.condition.source if edge.condition else None,
            condition=edge.condition,
            faulty=edge.condition is None and not edge.default,
            default=edge.default,
            rule=True,
        )
        arrows.append(arrow)
    return arrows


def _results(node: NodeDefinition, step: Step | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a node can come to, and which of that an edge without `on` stands for."""
    if isinstance(node, ApprovalNode):
        timed = step is not None and (step.sla_hours is not None or step.sla is not None)
        expires = step is not None and timed and step.final == "expire"
        return (("approved", "rejected", "expired") if expires else ("approved", "rejected")), ("approved",)
    if isinstance(node, ActionNode):
        return ("done", "failed"), ("done",)
    if isinstance(node, WaitNode) and node.event is not None:
        return (("event", "timeout") if node.timeout_hours is not None else ("event",)), ("event",)
    if isinstance(node, WaitNode):
        return ("elapsed",), ("elapsed",)
    return (), ()  # the outcomes of a sub-process are its own
