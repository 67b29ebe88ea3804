"""Patches: the smallest JSON Patches (RFC 6902) of a blueprint that say what is suggested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jsonpatch

from insight.mining.process import Process
from placet.json_pointer import pointer_of
from placet.nodes.registry import NODE_TYPES

Patch: TypeAlias = tuple[dict[str, Any], ...]


def applied(document: Mapping[str, Any], patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document with a patch."""
    changed: dict[str, Any] = jsonpatch.apply_patch(document, list(patch))
    return changed


def set_value(document: Mapping[str, Any], path: Sequence[str | int], value: Any) -> dict[str, Any]:
    """Give a member of the document a value, which it may have or not."""
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    return {"op": "replace" if path[-1] in holder else "add", "path": pointer_of(path), "value": value}


def remove(path: Sequence[str | int]) -> dict[str, Any]:
    """Take a member out of the document."""
    return {"op": "remove", "path": pointer_of(path)}


def without_stage(process: Process, stage: str) -> Patch | None:
    """Leave a stage out as if it had approved; what nothing leads to any more goes too. None where it cannot be."""
    place, _ = process.steps[stage]
    if process.is_chain and len(process.steps) > 1:
        return (remove(["process_steps", place]),)
    node = process.node_of(stage)
    target = process.after_approval(node) if node is not None else None
    if node is None or target in {None, node} or _in_a_table(process, node):
        return None
    patch = [_lead(edge, str(target)) for edge in process.into(node)]
    edges = [
        {**edge, "to": target if edge["to"] == node else edge["to"]}
        for edge in process.graph["edges"]
        if edge["from"] != node
    ]
    kept = _reached(process, edges)
    gone = [n for n, one in enumerate(process.graph["nodes"]) if one["id"] not in kept]
    patch += [remove(["edges", n]) for n, e in _backwards(process.graph["edges"]) if e["from"] not in kept]
    patch += [remove(["nodes", n]) for n in reversed(gone)]
    steps = {process.graph["nodes"][n].get("step") for n in gone} - {
        one.get("step") for one in process.graph["nodes"] if one["id"] in kept
    }
    places = sorted((process.steps[name][0] for name in steps if name in process.steps), reverse=True)
    return (*_of_graph(process, patch), *(remove(["process_steps", n]) for n in places))


def around_stage(process: Process, stage: str, condition: str) -> Patch | None:
    """Put a decision before a stage, which leads around it where a condition holds; None where it cannot be."""
    node = process.node_of(stage)
    target = process.after_approval(node) if node is not None else None
    if node is None or target in {None, node} or _in_a_table(process, node):
        return None
    rule = _new_id(process, f"{node}-rule")
    patch = [_lead(edge, rule) for edge in process.into(node)]
    patch.append({"op": "add", "path": "/nodes/-", "value": {"id": rule, "type": "decision"}})
    edges: tuple[dict[str, Any], ...] = ({"to": target, "condition": condition}, {"to": node, "default": True})
    patch += [{"op": "add", "path": "/edges/-", "value": {"from": rule, **edge}} for edge in edges]
    return _of_graph(process, patch)


def side_by_side(process: Process, first: str, second: str) -> Patch | None:
    """Ask a stage and the one that follows it at the same time; None where they are not in such a sequence."""
    one, other = process.node_of(first), process.node_of(second)
    if one is None or other is None or process.after_approval(one) != other:
        return None
    if _in_a_table(process, one) or _in_a_table(process, other):
        return None
    into, target = process.into(other), process.after_approval(other)
    between = [n for n in into if process.graph["edges"][n]["from"] == one]
    if len(into) != 1 or between != into or target in {None, one, other}:
        return None
    if not (process.ends_unless_approved(one) and process.ends_unless_approved(other)):
        return None
    fork, join = _new_id(process, f"{one}-{other}-fork"), _new_id(process, f"{one}-{other}-join")
    patch = [_lead(edge, fork) for edge in process.into(one)]
    patch.append(_lead(between[0], join))
    leaves = [n for n, e in enumerate(process.graph["edges"]) if e["from"] == other and e["to"] == target]
    approved = [n for n in leaves if process.graph["edges"][n].get("on") in {None, "approved"}]
    patch += [_lead(edge, join) for edge in approved]
    for kind, name in (("fork", fork), ("join", join)):
        patch.append({"op": "add", "path": "/nodes/-", "value": {"id": name, "type": kind}})
    added: list[dict[str, Any]] = [{"from": fork, "to": one}, {"from": fork, "to": other}]
    if not approved:
        added.append({"from": other, "to": join, "on": "approved"})
    added.append({"from": join, "to": target})
    patch += [{"op": "add", "path": "/edges/-", "value": edge} for edge in added]
    return _of_graph(process, patch)


def _lead(edge: int, target: str) -> dict[str, Any]:
    return {"op": "replace", "path": f"/edges/{edge}/to", "value": target}


def _backwards(items: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(items))[::-1]


def _led_to(node: Mapping[str, Any]) -> list[str]:
    """Return where the decision table of a node leads."""
    table = node.get("table") or {}
    return [str(rule["to"]) for rule in table.get("rules", ())] + ([table["default"]] if table.get("default") else [])


def _in_a_table(process: Process, name: str) -> bool:
    """Whether a decision table leads to a node; no patch here rewrites tables."""
    return any(name in _led_to(node) for node in process.graph["nodes"])


def _reached(process: Process, edges: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the nodes to which these edges lead from the trigger, and those that tables of decisions name."""
    ways: dict[str, list[str]] = {}
    for edge in edges:
        ways.setdefault(edge["from"], []).append(edge["to"])
    for node in process.graph["nodes"]:
        ways.setdefault(node["id"], []).extend(_led_to(node))
    pending = [node["id"] for node in process.graph["nodes"] if NODE_TYPES[node["type"]].begins]
    reached: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += ways.get(name, [])
    return reached


def _new_id(process: Process, name: str) -> str:
    """Return an id that no node has."""
    taken = {node["id"] for node in process.graph["nodes"]}
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _of_graph(process: Process, patch: list[dict[str, Any]]) -> Patch:
    """Return a patch of the graph as one of the document, which is given its graph where it had none."""
    if not process.is_chain:
        return tuple({**change, "path": f"/graph_spec{change['path']}"} for change in patch)
    return ({"op": "add", "path": "/graph_spec", "value": applied(process.graph, patch)},)
