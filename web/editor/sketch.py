"""The graph of a draft as far as it can be read: an unsound draft is drawn as well, for it is what is being mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placet.definition.model import parse_or_none
from placet.nodes.registry import NODE_TYPES
from web.editor import parts
from web.editor.parts import Content
from web.graph.process_graph import ProcessEdge, ProcessGraph, ProcessNode, graph_of
from web.views.words import Named, Translate, result


def sketch_of(content: Content, say: Translate, named: Named) -> ProcessGraph:
    """Return the graph of a draft; edges that lead nowhere are left out."""
    definition = parse_or_none(content)
    if definition is not None:
        return graph_of(definition, say, named)
    found = {str(one.get("id")): _node(one) for _, one in parts.nodes(content) if one.get("id")}
    edges = [*_edges(content, say)]
    return ProcessGraph(
        nodes=tuple(found.values()),
        edges=tuple(edge for edge in edges if edge.source in found and edge.target in found),
    )


def _node(node: Mapping[str, Any]) -> ProcessNode:
    kind, name = str(node.get("type")), str(node["id"])
    title = next((str(node[key]) for key in ("name", "step", "action", "template", "outcome") if node.get(key)), name)
    return ProcessNode(
        id=name,
        kind=kind if kind in NODE_TYPES else "action",
        title=title,
        note="",
        stage=None,
        x=_place(node.get("x")),
        y=_place(node.get("y")),
    )


def _edges(content: Content, say: Translate) -> list[ProcessEdge]:
    found = [
        ProcessEdge(
            source=str(one.get("from")),
            target=str(one.get("to")),
            label=result(say, str(one["on"])) if one.get("on") else str(one.get("condition") or ""),
        )
        for _, one in parts.edges(content)
    ]
    for _, node in parts.nodes(content):
        table = node.get("table")
        if isinstance(table, Mapping):
            targets = [one.get("to") for _, one in parts.objects(table.get("rules"))] + [table.get("default")]
            found += [
                ProcessEdge(source=str(node.get("id")), target=str(to), label="") for to in dict.fromkeys(targets) if to
            ]
    return found


def _place(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e5 else None
