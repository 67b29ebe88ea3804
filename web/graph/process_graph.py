"""The graph of a process as people read it: its nodes with their titles, and its edges with what leads along them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from placet.definition.assignees import parse_assignee
from placet.definition.model import ProcessDefinition
from placet.definition.steps import Step
from placet.errors import PlacetError
from placet.nodes.action import ActionNode
from placet.nodes.approval import ApprovalNode
from placet.nodes.decision import DecisionNode
from placet.nodes.notify import NotifyNode
from placet.nodes.registry import NodeDefinition, type_of
from placet.nodes.subprocess import SubprocessNode
from placet.nodes.wait import WaitNode
from placet.plan.compiler import chain
from web.views import words
from web.views.words import Named, Translate


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessNode:
    """A node: `kind` as in the blueprint, a title, and in a second line whom it asks or what it does."""

    id: str
    kind: str
    title: str
    note: str
    stage: str | None  # the stage that it asks
    x: float | None
    y: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEdge:
    """An edge: `on` is the result that it is taken on; a condition is shown as it is written."""

    source: str
    target: str
    label: str
    on: str | None = None
    otherwise: bool = False  # taken where no condition holds


@dataclass(frozen=True, kw_only=True)
class ProcessGraph:
    """The nodes and edges of one version of a process."""

    nodes: tuple[ProcessNode, ...]
    edges: tuple[ProcessEdge, ...]

    @cached_property
    def node(self) -> dict[str, ProcessNode]:
        """The nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def leaving(self) -> dict[str, tuple[int, ...]]:
        """The numbers of the edges that leave each node."""
        found: dict[str, list[int]] = {node.id: [] for node in self.nodes}
        for number, edge in enumerate(self.edges):
            found[edge.source].append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}


def graph_of(definition: ProcessDefinition, say: Translate, named: Named) -> ProcessGraph:
    """Return the graph of a blueprint; edges that lead to a node that there is not are left out."""
    written = definition.graph_spec or chain(definition)
    steps = {step.stage_name: step for step in definition.process_steps}
    ids = {node.id for node in written.nodes}
    edges = [
        ProcessEdge(
            source=edge.source,
            target=edge.target,
            label=_label(say, edge.on, edge.condition, otherwise=edge.default),
            on=edge.on,
            otherwise=edge.default,
        )
        for edge in written.edges
    ]
    for node in written.nodes:
        edges += _of_table(node, say)
    return ProcessGraph(
        nodes=tuple(_node(node, steps, say, named) for node in written.nodes),
        edges=tuple(edge for edge in edges if edge.source in ids and edge.target in ids),
    )


def _node(node: NodeDefinition, steps: dict[str, Step], say: Translate, named: Named) -> ProcessNode:
    title, note, stage = _texts(node, steps, say, named)
    return ProcessNode(id=node.id, kind=node.type, title=node.name or title, note=note, stage=stage, x=node.x, y=node.y)


def _texts(node: NodeDefinition, steps: dict[str, Step], say: Translate, named: Named) -> tuple[str, str, str | None]:
    match node:
        case ApprovalNode():
            step = steps.get(node.step)
            return node.step, ", ".join(_people(approver_names(step), say, named)) if step else "", node.step
        case ActionNode():
            return node.action, say("Action"), None
        case SubprocessNode():
            return node.template, say("Sub-process"), None
        case NotifyNode():
            return say("Tell people"), ", ".join(_people(node.to, say, named)), None
        case WaitNode():
            what = (
                node.event or node.until or (say("{hours} hours").format(hours=f"{node.hours:g}") if node.hours else "")
            )
            return say("Wait"), what, None
        case DecisionNode():
            return node.id.replace("_", " ").replace("-", " "), "", None
    outcome = type_of(node).outcome(node)
    if outcome is not None:
        return words.outcome(say, "completed", outcome), "", None
    return {"trigger": say("Start"), "fork": say("All of these"), "join": say("Together again")}[node.type], "", None


def approver_names(step: Step) -> list[str]:
    """Return the names (see placet.definition.assignees) of whom a step asks, without those that expressions choose."""
    names = [one if isinstance(one, str) else getattr(one, "who", None) for one in step.approvers]
    return [name for name in names if name]


def _people(names: list[str] | tuple[str, ...], say: Translate, named: Named) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(words.assignee(say, parse_assignee(name), named))
        except PlacetError:
            found.append(name)
    return found


def _label(say: Translate, on: str | None, condition: str | None, *, otherwise: bool) -> str:
    if on is not None:
        return words.result(say, on)
    return condition or (say("otherwise") if otherwise else "")


def _of_table(node: NodeDefinition, say: Translate) -> Iterator[ProcessEdge]:
    table = node.table if isinstance(node, DecisionNode) else None
    if table is None:
        return
    rules: dict[str, list[int]] = {}
    for number, rule in enumerate(table.rules, 1):
        rules.setdefault(rule.target, []).append(number)
    for target, numbers in rules.items():
        label = say("rule {numbers}").format(numbers=", ".join(map(str, numbers[:4])) + ("…" if numbers[4:] else ""))
        yield ProcessEdge(source=node.id, target=target, label=label)
    if table.default is not None:
        yield ProcessEdge(source=node.id, target=table.default, label=say("otherwise"), otherwise=True)
