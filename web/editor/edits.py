"""What can be done to a draft besides filling in fields: to add, remove, move and rename, on a copy of its content."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from placet.errors import InputInvalid
from placet.json_pointer import parts_of, value_at
from placet.nodes.registry import NODE_TYPES
from web.editor import parts
from web.editor.parts import Content
from web.forms.reading import whole

Edited = dict[str, Any]

_NEW: Final[Mapping[str, Mapping[str, Any]]] = {
    "terminator": {"outcome": "approved"},
    "action": {"action": "…"},
    "subprocess": {"template": "…"},
    "notify": {"to": ["requester"], "message": "…"},
    "wait": {"hours": 24},
}
_MOST = 1000  # tries to find a free name


def copied(content: Content) -> Edited:
    """Return a copy that may be changed."""
    return copy.deepcopy(dict(content))


def add_node(content: Edited, kind: str, after: str | None, stage: str) -> str:
    """Add a node, after another where one is named; return its id. `stage` is what a new stage is called."""
    if kind not in NODE_TYPES:
        raise InputInvalid(f"There is no type of node {kind!r}; choose one from the list.")
    graph = _graph_of(content)
    taken = {str(one.get("id")) for _, one in parts.nodes(content)}
    node: Edited = {"id": _free(kind, taken), "type": kind, **copy.deepcopy(dict(_NEW.get(kind, {})))}
    if kind == "approval":
        names = {str(one.get("stage_name")) for _, one in parts.steps(content)}
        name = _free(stage, names, " ")
        _list_of(content, "process_steps").append({"stage_name": name, "approvers": ["manager_of(requester)"]})
        node["step"] = name
    _list_of(graph, "nodes").append(node)
    if after in taken:
        edge: Edited = {"from": after, "to": node["id"]}
        _list_of(graph, "edges").append(edge)
    return str(node["id"])


def remove(content: Edited, at: str) -> None:
    """Remove a part, and what only it needs: the edges of a node, and a stage that no other node asks."""
    kind, _, name = at.partition(":")
    if kind == "node":
        gone = parts.node_at(content, at)
        graph = content.get("graph_spec")
        if gone is None or not isinstance(graph, dict):
            return
        graph["nodes"] = [one for one in graph["nodes"] if one is not gone[1]]
        graph["edges"] = [
            one
            for one in graph.get("edges", [])
            if not isinstance(one, dict) or name not in (one.get("from"), one.get("to"))
        ]
        step = gone[1].get("step")
        if step and not any(one.get("step") == step for _, one in parts.nodes(content)):
            content["process_steps"] = [
                one
                for one in content.get("process_steps", [])
                if not isinstance(one, dict) or one.get("stage_name") != step
            ]
    elif kind in {"variable", "stage"}:
        where, key = ("variables", "name") if kind == "variable" else ("process_steps", "stage_name")
        content[where] = [one for one in content.get(where, []) if not isinstance(one, dict) or one.get(key) != name]
        if not content[where]:
            del content[where]


def add_variable(content: Edited, name: str) -> str:
    """Add a variable, and return its name."""
    taken = {str(one.get("name")) for _, one in parts.variables(content)}
    found = _free(name, taken)
    _list_of(content, "variables").append({"name": found, "type": "string"})
    return found


def add_stage(content: Edited, name: str) -> str:
    """Add a stage to a process without a graph, and return its name."""
    found = _free(name, {str(one.get("stage_name")) for _, one in parts.steps(content)}, " ")
    _list_of(content, "process_steps").append({"stage_name": found, "approvers": ["manager_of(requester)"]})
    return found


def add_edge(content: Edited, source: str, target: str) -> None:
    """Add an edge from one node to another."""
    _list_of(_graph_of(content), "edges").append({"from": source, "to": target})


def move(content: Edited, pointer: str, by: int) -> None:
    """Swap an item of a list with its neighbour; edges with the neighbour that leaves the same node."""
    where, _, last = pointer.rpartition("/")
    items, here, source = value_at(content, where), whole(last), None
    if here is None or not isinstance(items, list) or here >= len(items):
        return
    if where == "/graph_spec/edges" and isinstance(items[here], dict):
        source = items[here].get("from")
    there = here + by
    while 0 <= there < len(items) and source is not None and value_at(items[there], "/from") != source:
        there += by
    if 0 <= there < len(items):
        items[here], items[there] = items[there], items[here]


def drop(content: Edited, pointer: str) -> None:
    """Remove an item of a list, or a field of an object."""
    where, _, _last = pointer.rpartition("/")
    holder, last = value_at(content, where), parts_of(pointer)[-1:]
    if isinstance(holder, dict) and last:
        holder.pop(last[0], None)
    elif isinstance(holder, list) and last and (number := whole(last[0])) is not None and number < len(holder):
        del holder[number]


def place(content: Edited, at: Mapping[str, tuple[float, float]]) -> None:
    """Set the places of nodes in the drawing."""
    for _, node in parts.nodes(content):
        if node.get("id") in at and isinstance(node, dict):
            node["x"], node["y"] = (round(value) for value in at[str(node["id"])])


def rename(content: Edited, before: Content) -> None:
    """Let what names a node or a stage follow, where its name was changed and everything else was left."""
    ids = _renamed(parts.nodes(before), parts.nodes(content), "id")
    names = _renamed(parts.steps(before), parts.steps(content), "stage_name")
    for _, edge in parts.edges(content):
        _follow(edge, ("from", "to"), ids)
    for _, node in parts.nodes(content):
        _follow(node, ("step",), names)
        table = node.get("table")
        if isinstance(table, dict):
            _follow(table, ("default",), ids)
            for _, rule in parts.objects(table.get("rules")):
                _follow(rule, ("to",), ids)


def _rule_added(table: Edited, _: int) -> None:
    rules = table.setdefault("rules", [])
    to = rules[-1].get("to", "") if rules and isinstance(rules[-1], dict) else ""
    rules.append({"when": [None] * len(table.get("inputs", [])), "to": to})


def _rule_removed(table: Edited, number: int) -> None:
    if number < len(table.get("rules", [])):
        del table["rules"][number]


def _rule_raised(table: Edited, number: int) -> None:
    rules = table.get("rules", [])
    if 0 < number < len(rules):
        rules[number - 1], rules[number] = rules[number], rules[number - 1]


def _rule_lowered(table: Edited, number: int) -> None:
    _rule_raised(table, number + 1)


def _input_added(table: Edited, _: int) -> None:
    table.setdefault("inputs", []).append("true")
    for _n, rule in parts.objects(table.get("rules")):
        if isinstance(rule, dict):
            rule["when"] = [*rule.get("when", []), None]


def _input_removed(table: Edited, number: int) -> None:
    if number < len(table.get("inputs", [])):
        del table["inputs"][number]
        for _, rule in parts.objects(table.get("rules")):
            if number < len(rule.get("when", [])):
                del rule["when"][number]


TABLE: Final[Mapping[str, Callable[[Edited, int], None]]] = {
    "rule-add": _rule_added,
    "rule-remove": _rule_removed,
    "rule-up": _rule_raised,
    "rule-down": _rule_lowered,
    "input-add": _input_added,
    "input-remove": _input_removed,
}
"""What can be done to a decision table, by name."""


def table_of(content: Edited, at: str) -> Edited | None:
    """Return the decision table of the chosen node."""
    found = parts.node_at(content, at)
    table = found[1].get("table") if found is not None else None
    return table if isinstance(table, dict) else None


def make_table(content: Edited, at: str) -> None:
    """Let a decision be made by a table: its edges become rules, in their order."""
    found = parts.node_at(content, at)
    if found is None or not isinstance(found[1], dict):
        return
    node, graph = found[1], content["graph_spec"]
    mine = [edge for _, edge in parts.edges(content) if edge.get("from") == node["id"]]
    rest = next((edge.get("to") for edge in mine if edge.get("default")), None)
    ruled = [edge for edge in mine if not edge.get("default")]
    inputs = [edge.get("condition") or "true" for edge in ruled] or ["true"]
    rules: list[Edited] = [
        {"when": ["true" if n == number else None for n in range(len(inputs))], "to": edge.get("to", "")}
        for number, edge in enumerate(ruled)
    ]
    if not rules:
        targets = [str(one["id"]) for _, one in parts.nodes(content) if one.get("type") == "terminator"]
        rules = [{"when": [None], "to": targets[0] if targets else ""}]
    node["table"] = {"inputs": inputs, "rules": rules} | ({} if rest is None else {"default": rest})
    graph["edges"] = [edge for edge in graph.get("edges", []) if edge not in mine]


def _graph_of(content: Edited) -> Edited:
    """Return the graph to add something to, an empty one where there is none; raises InputInvalid for what is none."""
    found: Any = content.setdefault("graph_spec", {"nodes": [], "edges": []})
    if not isinstance(found, dict):
        raise InputInvalid.at("/graph_spec", "this is no graph; mend it in the file, and import that again")
    return found


def _list_of(holder: Edited, key: str) -> list[Any]:
    """Return a list to add something to, an empty one where there is none; raises InputInvalid for what is no list."""
    found: Any = holder.setdefault(key, [])
    if not isinstance(found, list):
        raise InputInvalid.at(f"/{key}", "this is no list; mend it in the file, and import that again")
    return found


def _renamed(
    before: list[tuple[int, Mapping[str, Any]]], after: list[tuple[int, Mapping[str, Any]]], key: str
) -> dict[str, str]:
    if len(before) != len(after):
        return {}
    kept = {str(one.get(key)) for _, one in after}
    pairs = zip(before, after, strict=True)
    return {
        str(was.get(key)): str(now[key])
        for (_, was), (_, now) in pairs
        if key in now and was.get(key) != now[key] and str(was.get(key)) not in kept
    }


def _follow(one: Mapping[str, Any], keys: tuple[str, ...], renamed: Mapping[str, str]) -> None:
    assert isinstance(one, dict)  # noqa: S101 - of a copy that may be changed
    for key in keys:
        name = one.get(key)
        if isinstance(name, str) and name in renamed:
            one[key] = renamed[name]


def _free(name: str, taken: set[str], gap: str = "_") -> str:
    if name not in taken:
        return name
    return next(f"{name}{gap}{n}" for n in range(2, _MOST) if f"{name}{gap}{n}" not in taken)
