"""The parts of a blueprint that are edited one at a time, and where each stands in the document.

A part is named by what it is called (`node:manager`), not by its place, which changes when others are added or removed.
What is read here may be unsound: it is a draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from placet.json_pointer import parts_of as parts_of_pointer
from placet.nodes.registry import NODE_TYPES

Content = Mapping[str, Any]
_LISTS: Final = {"variable": ("/variables", "name"), "stage": ("/process_steps", "stage_name")}
DUTIES: Final = "separation_of_duties"  # of every stage; said in the settings or beside them
_NODES, _EDGES = "/graph_spec/nodes", "/graph_spec/edges"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part: its pointer, the definition in the JSON Schema that it follows ("" for the whole), and what is hidden."""

    pointer: str
    shape: str
    hidden: frozenset[str] = frozenset()


def objects(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the objects of a list with their places; none of what is no list."""
    return [(n, one) for n, one in enumerate(value if isinstance(value, list) else ()) if isinstance(one, Mapping)]


def graph(content: Content) -> Mapping[str, Any]:
    """Return the graph; an empty one where there is none."""
    found = content.get("graph_spec")
    return found if isinstance(found, Mapping) else {}


def nodes(content: Content) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the nodes with their places."""
    return objects(graph(content).get("nodes"))


def edges(content: Content) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the edges with their places."""
    return objects(graph(content).get("edges"))


def steps(content: Content) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the stages with their places."""
    return objects(content.get("process_steps"))


def variables(content: Content) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the variables with their places."""
    return objects(content.get("variables"))


def settings(content: Content) -> Content:
    """Return the settings; none where there are none."""
    found = content.get("settings")
    return found if isinstance(found, Mapping) else {}


def duties(content: Content) -> Content:
    """Return the separation of duties of every stage that has none of its own."""
    found = content.get(DUTIES) or settings(content).get(DUTIES)
    return found if isinstance(found, Mapping) else {}


def node_at(content: Content, at: str) -> tuple[int, Mapping[str, Any]] | None:
    """Return the chosen node, if one is."""
    kind, _, name = at.partition(":")
    return next((one for one in nodes(content) if kind == "node" and one[1].get("id") == name), None)


def parts_of(content: Content, at: str) -> list[Part]:
    """Return what is edited where this is chosen; the whole process where there is no such part."""
    kind, _, name = at.partition(":")
    if kind == "settings":
        return [Part(pointer="/settings", shape="ProcessSettings", hidden=_said_elsewhere(content, settings(content)))]
    if kind in _LISTS:
        where, key = _LISTS[kind]
        for index, one in objects(content.get(where[1:])):
            if one.get(key) == name:
                pointer = f"{where}/{index}"
                return [
                    Part(pointer=pointer, shape="Variable", hidden=_not_held(one))
                    if kind == "variable"
                    else Part(pointer=pointer, shape="Step")
                ]
    chosen = node_at(content, at)
    if chosen is not None:
        return list(_of_node(content, *chosen))
    hidden = frozenset({"variables", "settings", "process_steps", "graph_spec", "format"})
    return [Part(pointer="", shape="", hidden=hidden | _said_elsewhere(settings(content), content))]


def _said_elsewhere(other: Content, here: Content) -> frozenset[str]:
    """Return what the settings or the process say where it is not said here: to say it in both places is a fault."""
    return frozenset({DUTIES} if DUTIES in other and DUTIES not in here else ())


def _not_held(variable: Mapping[str, Any]) -> frozenset[str]:
    """Return what a variable neither holds by its type nor has: entries of a list, or fields of an object."""
    held = {"list": "items", "object": "properties"}
    return frozenset(key for kind, key in held.items() if variable.get("type") != kind and key not in variable)


def _of_node(content: Content, index: int, node: Mapping[str, Any]) -> Iterator[Part]:
    shape = shape_of(node)
    if shape is not None:
        yield Part(pointer=f"{_NODES}/{index}", shape=shape, hidden=frozenset({"x", "y", "table"}))
    if node.get("type") == "approval":
        for number, step in steps(content):
            if step.get("stage_name") == node.get("step"):
                yield Part(pointer=f"/process_steps/{number}", shape="Step", hidden=frozenset({"stage_name"}))
    hidden = {"from"} if node.get("type") == "decision" else {"from", "condition", "default"}
    if node.get("type") in _WITHOUT_RESULTS:
        hidden.add("on")
    for number, edge in edges(content):
        if edge.get("from") == node.get("id"):
            kept = {key for key in ("condition", "default", "on") if edge.get(key)}
            yield Part(pointer=f"{_EDGES}/{number}", shape="EdgeDefinition", hidden=frozenset(hidden - kept))


def shape_of(node: Mapping[str, Any]) -> str | None:
    """Return the definition that a node follows; None for a type that there is not."""
    kind = node.get("type")
    return f"{str(kind).capitalize()}Node" if kind in NODE_TYPES else None


_WITHOUT_RESULTS: Final = frozenset(kind for kind, one in NODE_TYPES.items() if not one.has_results)
KINDS: Final = tuple(NODE_TYPES)


# How many members of a pointer lead to a part, by those that it begins with.
_DEPTHS: Final = {
    ("settings",): 1,
    ("variables",): 2,
    ("process_steps",): 2,
    ("graph_spec", "nodes"): 3,
    ("graph_spec", "edges"): 3,
}


def part_of_pointer(content: Content, pointer: str) -> str:
    """Return the name of the part that a finding's pointer is about."""
    match parts_of_pointer(pointer):
        case ["settings", *_]:
            return "settings"
        case ["variables", number, *_]:
            return _named(variables(content), number, "variable", "name")
        case ["process_steps", number, *_]:
            stage = _named(steps(content), number, "stage", "stage_name")
            name = stage.partition(":")[2]
            asked = next((one for _, one in nodes(content) if one.get("step") == name), None)
            return stage if asked is None else f"node:{asked.get('id')}"
        case ["graph_spec", "nodes", number, *_]:
            return _named(nodes(content), number, "node", "id")
        case ["graph_spec", "edges", number, *_]:
            return _named(edges(content), number, "node", "from")
    return "process"


def place_within(content: Content, pointer: str) -> list[str]:
    """Return where something stands within the part that its pointer is about: names of fields, and places in lists."""
    path = parts_of_pointer(pointer)
    depth = next((deep for start, deep in _DEPTHS.items() if tuple(path[: len(start)]) == start), 0)
    return path if part_of_pointer(content, pointer) == "process" else path[depth:]


def _named(found: list[tuple[int, Mapping[str, Any]]], number: str, kind: str, key: str) -> str:
    return next((f"{kind}:{one.get(key)}" for n, one in found if str(n) == number), "process")
