"""A blueprint out of a process that a log shows."""

from __future__ import annotations

from typing import Any

from insight.event_logs.discovery import ProcessFound, StageFound


def blueprint_of(found: ProcessFound, *, name: str, owner: str | None = None) -> dict[str, Any]:
    """Return the blueprint as JSON values: stages in order, branches, forks, returns, deadlines."""
    document: dict[str, Any] = {"format": 2, "name": name, "version": "1.0.0"}
    if owner is not None:
        document["owner"] = owner
    variables = [one.variable() | {"required": one.always} for one in found.fields]
    variables += [
        {"name": variable, "type": "boolean", "required": True, "title": f"Ask {stage.name}"}
        for variable, stage in found.choices.items()
    ]
    if variables:
        document["variables"] = variables
    settings: dict[str, Any] = {}
    if found.on_change is not None:
        settings = {"on_change": found.on_change, "max_rounds": max(2, found.rounds)}
    if settings:
        document["settings"] = settings
    document["process_steps"] = [_step(stage) for stage in found.stages]
    document["graph_spec"] = _Graph(found).described()
    return document


def node_of(stage: StageFound) -> str:
    """Return the id of the node that asks a stage."""
    return stage.slug


def _step(stage: StageFound) -> dict[str, Any]:
    sla: dict[str, Any] = {"target_hours": stage.target_hours}
    if stage.critical_hours is not None:
        sla["critical_hours"] = stage.critical_hours
    return {"stage_name": stage.name, "approvers": [f"role:{stage.slug}"], "sla": sla}


class _Graph:
    """The nodes and edges, group after group."""

    def __init__(self, found: ProcessFound) -> None:
        self._nodes: list[dict[str, Any]] = [{"id": "start", "type": "trigger"}]
        self._edges: list[dict[str, Any]] = []
        # Edges whose target is the next node: what they leave from, and how.
        open_edges: list[dict[str, Any]] = [{"from": "start"}]
        for number, group in enumerate(found.groups, 1):
            open_edges = self._group(group, number, open_edges)
        self._nodes += [
            {"id": "approved", "type": "terminator", "outcome": "approved"},
            {"id": "rejected", "type": "terminator", "outcome": "rejected"},
        ]
        self._lead(open_edges, "approved")

    def described(self) -> dict[str, Any]:
        """Return the graph as JSON values."""
        return {"nodes": self._nodes, "edges": self._edges}

    def _group(self, group: tuple[StageFound, ...], number: int, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(group) > 1:
            fork, join = f"fork_{number}", f"join_{number}"
            self._nodes += [{"id": fork, "type": "fork"}, {"id": join, "type": "join", "need": "all"}]
            self._lead(before, fork)
            for stage in group:
                self._lead(self._approval(stage, [{"from": fork}]), join)
            return [{"from": join}]
        (stage,) = group
        if stage.branch is None:
            return self._approval(stage, before)
        decision = f"needs_{stage.slug}"
        self._nodes.append({"id": decision, "type": "decision"})
        self._lead(before, decision)
        after = self._approval(stage, [{"from": decision, "condition": stage.branch.rule or stage.branch.variable}])
        return [*after, {"from": decision, "default": True}]

    def _approval(self, stage: StageFound, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
        node = node_of(stage)
        self._nodes.append({"id": node, "type": "approval", "step": stage.name})
        self._lead(before, node)
        self._edges.append({"from": node, "to": "rejected", "on": "rejected"})
        return [{"from": node, "on": "approved"}]

    def _lead(self, edges: list[dict[str, Any]], target: str) -> None:
        self._edges += [{**edge, "to": target} for edge in edges]
