"""Finish the blueprint after the walk: cut edges that lead back, write forms and variables, complete decisions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from placet.definition.bpmn.build import Build, ImportedStage
from placet.definition.bpmn.elements.form_fields import form_schema
from placet.definition.bpmn.elements.stage_properties import take_properties
from placet.nodes.registry import NODE_TYPES
from placet.proofs import Report, check
from placet.sentences import sentence

_RETURNED = "returned"
_UNDECIDED = "undecided"  # of a request for which no condition holds, where another engine would stop with an error
_MOST_ROUNDS = 3
_MOST_CELLS = 400  # of all tables: those of larger ones are not looked at for rows that no request takes
_MOST_PROVEN = 30  # decisions; those beyond are made whole without looking whether they need it


def finish(build: Build, name: str, version: str) -> dict[str, Any]:
    """Return the blueprint as JSON values."""
    _stand_in(build)
    for fork in build.forks.values():
        if fork.stop is not None and fork.join is not None:
            build.nodes[fork.join]["need"] = "every"  # beside the join that one branch alone passes
    _cut_loops(build)
    _prune(build)
    _write_forms(build)
    take_properties(build)
    variables = _variables(build)
    _make_whole(build, variables)
    _stand_in(build)  # for decisions that need not be asked
    _prune(build)
    for node in build.nodes.values():
        for key in ("input", "output"):
            if key in node and not node[key]:
                del node[key]
    return _without_dead_edges(build, {"name": name[:200], "version": version, "variables": variables})


def _without_dead_edges(build: Build, head: dict[str, Any]) -> dict[str, Any]:
    """Return the blueprint without edges that no request takes because of earlier decisions."""
    for _ in range(_MOST_ROUNDS):
        found = _written(build, head)
        decisions = sum(1 for node in build.nodes.values() if NODE_TYPES[node["type"]].has_conditions)
        small = 0 < decisions <= _MOST_PROVEN and sum(len(row["when"]) for row in _rows(build)) <= _MOST_CELLS
        report = check(found, actions=build.actions or None) if small else None
        dead = _dead(build, report) if report is not None else []
        for edge in dead:
            if edge.get("via"):
                build.account.lost(edge["via"], "no request takes it: its condition never holds where it is asked")
        build.edges = [edge for edge in build.edges if all(edge is not one for one in dead)]
        for node in build.nodes.values():
            rows = node.get("table", {}).get("rules", [])
            rows[:] = [row for row in rows if all(row is not one for one in dead)]
        _prune(build)
        if not dead:
            break
    return found


def _dead(build: Build, report: Report) -> list[dict[str, Any]]:
    """Return the edges and rows of which is proven that no request takes them; a table keeps one row."""
    found: list[dict[str, Any]] = []
    nodes = list(build.nodes.values())
    for finding in report.findings:
        edge = re.match(r"/graph_spec/edges/(\d+)/condition", finding.pointer)
        row = re.match(r"/graph_spec/nodes/(\d+)/table/rules/(\d+)/", finding.pointer)
        if finding.code != "dead_branch" or finding.severity != "error":
            continue
        if edge is not None:
            found.append(build.edges[int(edge[1])])
        elif row is not None and len(nodes[int(row[1])]["table"]["rules"]) > 1:
            found.append(nodes[int(row[1])]["table"]["rules"][int(row[2])])
    return found


def _written(build: Build, head: dict[str, Any]) -> dict[str, Any]:
    return {
        **head,
        "process_steps": build.steps,
        "graph_spec": {
            "nodes": [_node(node) for node in build.nodes.values()],
            "edges": [_without_via(edge) for edge in build.edges],
        },
    }


def _node(node: dict[str, Any]) -> dict[str, Any]:
    if "table" not in node:
        return node
    table = node["table"]
    return {**node, "table": {**table, "rules": [_without_via(row) for row in table["rules"]]}}


def _without_via(edge: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in edge.items() if key != "via"}


def _stand_in(build: Build) -> None:
    """Lead to what stands for stubs, and through what comes before a fork."""
    tables = [(node["table"], "default") for node in build.nodes.values() if "table" in node]
    for one, key in [*((edge, "to") for edge in [*build.edges, *_rows(build)]), *tables]:
        target = one[key]
        while target in build.instead:
            target = build.instead[target]
        if target in build.ahead and one.get("from") != build.ahead[target]:
            target = build.ahead[target]
        one[key] = target
    unique = {tuple(sorted((k, str(v)) for k, v in edge.items() if k != "via")): edge for edge in reversed(build.edges)}
    build.edges = list(reversed(unique.values()))


def _rows(build: Build) -> list[dict[str, Any]]:
    """Return the rows of all tables, each of which leads somewhere."""
    return [row for node in build.nodes.values() for row in node.get("table", {}).get("rules", ())]


def _leaving(build: Build) -> dict[str, list[dict[str, Any]]]:
    """Return the edges out of each node, and the rows of its table."""
    leaving: dict[str, list[dict[str, Any]]] = {}
    for edge in build.edges:
        leaving.setdefault(edge["from"], []).append(edge)
    for ident, node in build.nodes.items():
        if "table" in node:
            table = node["table"]
            leaving.setdefault(ident, []).extend([*table["rules"], {"to": table["default"]}])
    return leaving


def _cut_loops(build: Build) -> None:
    """Lead edges that go back to an end: a process has no loops without a bound, and for rework approvers request
    changes.
    """
    leaving = _leaving(build)
    start = next(iter(build.nodes))
    path: set[str] = {start}
    done: set[str] = set()
    stack = [(start, iter(list(leaving.get(start, ()))))]
    while stack:
        node, edges = stack[-1]
        edge: dict[str, Any] | None = next(edges, None)
        if edge is None:
            path.discard(node)
            done.add(node)
            stack.pop()
        elif edge["to"] in path:
            _cut(build, edge)
        elif edge["to"] not in done:
            path.add(edge["to"])
            stack.append((edge["to"], iter(list(leaving.get(edge["to"], ())))))


def _cut(build: Build, edge: dict[str, Any]) -> None:
    back = build.nodes[edge["to"]]
    shown = back.get("step") or back.get("name") or back["id"]
    rejected = edge.get("on") == "rejected"
    edge["to"] = build.end("rejected" if rejected else _RETURNED)
    if edge.get("via") is None:
        return
    if rejected:
        build.account.assumed(
            edge["via"],
            sentence(
                "a rejection ends the request; to have it go back to {shown!r}, approvers request changes instead",
                shown=shown,
            ),
        )
    else:
        build.account.lost(
            edge["via"],
            sentence(
                "a process has no loops without a bound, so it does not go back to {shown!r}: "
                "the request ends as {returned} here",
                shown=shown,
                returned=_RETURNED,
            ),
        )


def _prune(build: Build) -> None:
    """Remove nodes that no edge leads to any more."""
    start = next(iter(build.nodes))
    leaving = _leaving(build)
    seen = {start}
    pending = [start]
    while pending:
        for target in [edge["to"] for edge in leaving.get(pending.pop(), ())]:
            if target not in seen:
                seen.add(target)
                pending.append(target)
    build.nodes = {ident: node for ident, node in build.nodes.items() if ident in seen}
    build.edges = [edge for edge in build.edges if edge["from"] in seen]
    build.stages = [stage for stage in build.stages if stage.node in seen]
    kept = [stage.step for stage in build.stages]
    build.steps = [step for step in build.steps if any(step is one for one in kept)]


# What people fill in


def _write_forms(build: Build) -> None:
    for name in list(build.read):
        _supply(build, name)
    for stage in build.stages:
        for name in stage.wanted:
            shape = build.scope.shape(name)
            if not stage.fields[name].enum:
                stage.fields[name] = replace(stage.fields[name], shape=shape)
        if stage.fields:
            stage.step["form"] = form_schema(stage.fields.values(), stage.wanted)
        if stage.wanted:
            build.nodes[stage.node]["output"] = {name: name for name in stage.wanted}


def _supply(build: Build, name: str) -> None:
    """Let an approver, else the requester, fill in a variable that is read."""
    if name in build.filled or name in build.asked:
        return
    filling: list[ImportedStage] = [stage for stage in build.stages if name in stage.fields]
    for stage in filling:
        stage.wanted[name] = None
    reader = build.readers.get(name)
    before = {reader, *build.flat.before(reader)} if reader is not None else set()
    if filling and (reader is None or any(stage.part.id in before for stage in filling)):
        build.filled.add(name)
    elif name in build.readers and name not in build.declared:
        build.account.assumed(
            build.readers[name], sentence("the file does not say who fills in {name!r}: the requester does", name=name)
        )


def _variables(build: Build) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys([*build.asked, *build.read]):
        facts = dict(build.declared.get(name, {}))
        shape = build.scope.shape(name)
        shape = {key: value for key, value in shape.items() if not ("type" in facts and key == "items")}
        required = shape.pop("required", False) and name not in build.filled
        if name in build.asked and name not in build.read:
            required = build.asked[name]
        variable = {"name": name, **shape, **facts}
        found.append(variable | ({"required": True} if required else {}))
    return found


# Decisions


def _make_whole(build: Build, variables: list[dict[str, Any]]) -> None:
    """Give each decision exactly one edge for every request; the file's engine takes the first that holds."""
    decisions = [
        node for node in build.nodes.values() if NODE_TYPES[node["type"]].has_conditions and "table" not in node
    ]
    # What the process sets is there by then, whoever sets it.
    variables = [
        one | {"required": True} if build.scope.shape(one["name"]).get("required") else one for one in variables
    ]
    for number, node in enumerate(decisions):
        edges = [edge for edge in build.edges if edge["from"] == node["id"]]
        codes = _faults(variables, edges) if number < _MOST_PROVEN else {"overlap": set(), "gap": set()}
        if "overlap" in codes:
            before: list[str] = []
            for edge in edges:
                if "condition" in edge:
                    text = edge["condition"]
                    if before:
                        edge["condition"] = " && ".join([f"({text})", *(f"!({one})" for one in before)])
                    before.append(text)
            codes = _faults(variables, edges) if number < _MOST_PROVEN else codes
        for index in sorted(codes.get("dead_branch", ()), reverse=True):
            edge = edges.pop(index)
            build.edges = [one for one in build.edges if one is not edge]
            if edge["via"]:
                build.account.lost(edge["via"], "no request takes it: its condition never holds where it is asked")
        if (codes.keys() & {"gap", "dead_branch"} or not edges) and all("condition" in edge for edge in edges):
            build.edge(node["id"], build.end(_UNDECIDED), default=True)
            build.account.assumed(
                build.decides.get(node["id"], ""),
                sentence(
                    "where no condition holds, the request ends as {undecided}; the file's engine would stop",
                    undecided=_UNDECIDED,
                ),
            )
        elif node["id"] in build.guards:
            build.instead[node["id"]] = edges[0]["to"]


def _faults(variables: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[str, set[int]]:
    """Prove one decision by itself; returns which edges each kind of fault is found at."""
    ends = {edge["to"] for edge in edges}
    targets = {end: f"end{number}" for number, end in enumerate(sorted(ends))}
    raw = {
        "name": "one decision",
        "version": "1.0.0",
        "variables": variables,
        "graph_spec": {
            "nodes": [
                {"id": "start", "type": "trigger"},
                {"id": "way", "type": "decision"},
                *({"id": target, "type": "terminator", "outcome": "done"} for target in targets.values()),
            ],
            "edges": [
                {"from": "start", "to": "way"},
                *(
                    {"from": "way", "to": targets[edge["to"]]}
                    | {key: edge[key] for key in ("condition", "default") if key in edge}
                    for edge in edges
                ),
            ],
        },
    }
    found: dict[str, set[int]] = {}
    for finding in check(raw).findings:
        place = re.match(r"/graph_spec/edges/(\d+)", finding.pointer)
        if finding.severity == "error":
            found.setdefault(finding.code, set()).update({int(place[1]) - 1} if place else set())
        elif finding.code == "not_proven" and place is None:
            found.setdefault("gap", set())  # nothing shows that the conditions cover every request
    return found
