"""A draft: the graph of a blueprint as far as it can be read, so that one fault does not hide the others.

Node types are told apart in this module only, by what they do to a request: the analyses know entries, ends, results,
pauses and choices, not types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from placet.blueprint import ApprovalNode, Blueprint, GraphSpec, Node, Step
from placet.conditions import Expression, Scope, compile_condition
from placet.errors import ConditionInvalid
from placet.plan import chain
from placet.variables import scope_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """One edge between two nodes that exist. `condition` is None also where its text does not compile (`faulty`)."""

    source: str
    target: str
    pointer: str
    on: str | None = None
    text: str | None = None
    condition: Expression | None = None
    faulty: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """One node. `results` are what it can come to, each a value of `on`; empty where its edges carry none.

    `entry`: requests begin here. `end`: requests end here. `chooses`: its edges carry conditions. `pauses`: people or
    time come between, so that the input may be another afterwards (a request for changes).
    """

    id: str
    type: str
    pointer: str
    arrows: tuple[Arrow, ...] = ()
    step: Step | None = None
    results: tuple[str, ...] = ()
    entry: bool = False
    end: bool = False
    chooses: bool = False
    pauses: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The nodes by id, in the order they were written, and the steps' places by stage name."""

    blueprint: Blueprint
    vertices: dict[str, Vertex]
    steps: dict[str, str] = field(default_factory=dict)  # stage name -> pointer of the process step

    @property
    def entries(self) -> list[Vertex]:
        """List where requests begin: exactly one in a sound process."""
        return [v for v in self.vertices.values() if v.entry]

    @property
    def arrows(self) -> list[Arrow]:
        """List every edge."""
        return [a for v in self.vertices.values() for a in v.arrows]

    def place(self, step: Step) -> str:
        """Return the pointer of a process step."""
        return self.steps[step.stage_name]


def draft_of(blueprint: Blueprint) -> Draft:
    """Read the graph of a blueprint; dangling edges and the later of two nodes with one id are left out."""
    given = blueprint.graph_spec
    graph = given or chain(blueprint)
    steps = {step.stage_name: step for step in blueprint.process_steps}
    places = {step.stage_name: f"/process_steps/{index}" for index, step in enumerate(blueprint.process_steps)}
    nodes: dict[str, tuple[int, Node]] = {}
    for index, node in enumerate(graph.nodes):
        nodes.setdefault(node.id, (index, node))
    outgoing = _outgoing(graph, {name: node.type for name, (_, node) in nodes.items()}, scope_of(blueprint.variables))
    cut = {edge.source for edge in graph.edges if edge.target not in nodes}
    vertices: dict[str, Vertex] = {}
    for name, (index, node) in nodes.items():
        step = steps.get(node.step) if isinstance(node, ApprovalNode) else None
        pointer = f"/graph_spec/nodes/{index}"
        if given is None:
            pointer = places[step.stage_name] if step else "/process_steps"
        vertices[name] = Vertex(
            id=name,
            type=node.type,
            pointer=pointer,
            arrows=tuple(outgoing.get(name, ())),
            step=step,
            results=_results(step) if node.type == "approval" else (),
            entry=node.type == "trigger",
            end=node.type == "terminator",
            chooses=node.type == "decision",
            pauses=node.type == "approval",
            cut=name in cut,
        )
    return Draft(blueprint=blueprint, vertices=vertices, steps=places)


def _outgoing(graph: GraphSpec, types: dict[str, str], scope: Scope) -> dict[str, list[Arrow]]:
    outgoing: dict[str, list[Arrow]] = {}
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
        arrow = Arrow(
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


def _results(step: Step | None) -> tuple[str, ...]:
    timed = step is not None and (step.sla_hours is not None or step.sla is not None)
    expires = step is not None and timed and step.final == "expire"
    return ("approved", "rejected", "expired") if expires else ("approved", "rejected")
