"""The graph of a process: its nodes, and the edges that lead from one to the next.

docs/blueprint.md shows each kind of node with an example. What spans several nodes (branches that do not come together,
ids that lead nowhere) is said when the blueprint is compiled.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from placet.definition.fields import Model
from placet.nodes.base import EdgeDefinition
from placet.nodes.registry import NodeDefinition


class GraphSpec(Model):
    """Nodes and edges; layout x and y are kept."""

    nodes: Annotated[tuple[NodeDefinition, ...], Field(min_length=1, max_length=500)]
    edges: Annotated[tuple[EdgeDefinition, ...], Field(max_length=2000)]
