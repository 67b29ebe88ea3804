"""The types of nodes: the one place that names them all.

A new type is a module beside this one, and here its shape in `NodeDefinition` and its case in `type_of`. mypy fails
where a shape has no case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, assert_never, get_args

from pydantic import Field

from placet.nodes.action import ActionNode, ActionType
from placet.nodes.approval import ApprovalNode, ApprovalType
from placet.nodes.base import NodeType
from placet.nodes.decision import DecisionNode, DecisionType
from placet.nodes.fork_join import ForkNode, ForkType, JoinNode, JoinType
from placet.nodes.notify import NotifyNode, NotifyType
from placet.nodes.start_end import TerminatorNode, TerminatorType, TriggerNode, TriggerType
from placet.nodes.subprocess import SubprocessNode, SubprocessType
from placet.nodes.wait import WaitNode, WaitType
from placet.plan.graph import Node

NodeDefinition = Annotated[
    TriggerNode
    | ApprovalNode
    | DecisionNode
    | ActionNode
    | ForkNode
    | JoinNode
    | WaitNode
    | SubprocessNode
    | NotifyNode
    | TerminatorNode,
    Field(discriminator="type"),
]


def type_of(definition: NodeDefinition) -> NodeType[Any]:
    """Return the type of a node as it is written in a blueprint."""
    match definition:
        case TriggerNode():
            return TriggerType()
        case ApprovalNode():
            return ApprovalType()
        case DecisionNode():
            return DecisionType()
        case ActionNode():
            return ActionType()
        case ForkNode():
            return ForkType()
        case JoinNode():
            return JoinType()
        case WaitNode():
            return WaitType()
        case SubprocessNode():
            return SubprocessType()
        case NotifyNode():
            return NotifyType()
        case TerminatorNode():
            return TerminatorType()
        case _:
            assert_never(definition)


SHAPES: Final[tuple[type[Any], ...]] = get_args(get_args(NodeDefinition)[0])
NODE_TYPES: Final[Mapping[str, NodeType[Any]]] = {
    node_type.kind: node_type for node_type in (type_of(shape.model_construct()) for shape in SHAPES)
}


def type_at(node: Node) -> NodeType[Any]:
    """Return the type of a node of a plan."""
    return NODE_TYPES[node.type]
