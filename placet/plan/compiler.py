"""Compile a process definition into the plan of a request, and report every fault that is found on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import rfc8785

from placet.audit.chain import exact
from placet.definition.action_spec import ActionSpec
from placet.definition.assignees import parse_assignee, undeclared
from placet.definition.formats import RULES
from placet.definition.model import GraphSpec, ProcessDefinition, canonical
from placet.definition.steps import ChosenApprover, WeightedApprover
from placet.definition.variables import scope_of
from placet.errors import BlueprintInvalid, Problem
from placet.expressions.types import ZONE
from placet.nodes.approval import ApprovalNode
from placet.nodes.base import CompilerContext, EdgeDefinition
from placet.nodes.registry import NodeDefinition, type_of
from placet.nodes.start_end import TerminatorNode, TriggerNode
from placet.plan.branches import with_branches
from placet.plan.calendar_compiler import calendar_problems, compile_calendar, zone_offsets
from placet.plan.graph import Node
from placet.plan.plan import Child, Plan
from placet.sentences import sentence


def digest(definition: ProcessDefinition) -> str:
    """Return the sha256 (hex) of the blueprint's canonical JSON, which identifies it.

    The number of its format is part of that JSON, except for format 1, which was written before formats had numbers.
    """
    document = canonical(definition) | {"format": definition.format}
    if definition.format == 1:
        del document["format"]
    return hashlib.sha256(rfc8785.dumps(exact(document))).hexdigest()


def compile_plan(
    blueprint: ProcessDefinition,
    *,
    start: datetime,
    actions: Mapping[str, ActionSpec] | None = None,
    children: Mapping[str, Child] | None = None,
) -> Plan:
    """Compile a blueprint for runs that begin around `start`; raises BlueprintInvalid with every fault found.

    `actions` is the catalog by name, `children` the processes that sub-process nodes refer to, by `reference`.
    """
    problems = _name_problems(blueprint)
    problems += [
        Problem(pointer=f"/settings{problem.pointer}", message=problem.message)
        for problem in calendar_problems(blueprint.settings.calendar, blueprint.settings.timezone)
    ]
    graph = blueprint.graph_spec or chain(blueprint)
    outgoing: dict[str, list[tuple[int, EdgeDefinition]]] = {}
    ids = [definition.id for definition in graph.nodes]
    for index, written in enumerate(graph.edges):
        outgoing.setdefault(written.source, []).append((index, written))
        problems += [
            Problem(
                pointer=f"/graph_spec/edges/{index}/{end}",
                message=sentence("there is no node {name!r}; add it, or correct the id", name=name),
            )
            for end, name in (("from", written.source), ("to", written.target))
            if name not in ids
        ]
    context = CompilerContext(
        start=start,
        settings=blueprint.settings,
        duties=blueprint.duties,
        on_change=blueprint.on_change,
        process_steps=blueprint.process_steps,
        scope=scope_of(blueprint.variables),
        ids=frozenset(ids),
        actions=actions or {},
        children={key: frozenset(v.name for v in child.plan.variables) for key, child in (children or {}).items()},
        problems=problems,
    )
    nodes: dict[str, Node] = {}
    triggers: list[str] = []
    for index, definition in enumerate(graph.nodes):
        here = f"/graph_spec/nodes/{index}"
        if definition.id in nodes:
            message = sentence("node id {id!r} is used twice; rename one", id=definition.id)
            problems.append(Problem(pointer=f"{here}/id", message=message))
        node_type = type_of(definition)
        if node_type.begins:
            triggers.append(definition.id)
        node = node_type.compile(context, definition, here, outgoing.get(definition.id, []))
        if node is not None:
            nodes[definition.id] = node
    if len(triggers) != 1:
        problems.append(
            Problem(
                pointer="/graph_spec/nodes",
                message=sentence("a process has exactly one trigger; this one has {count}", count=len(triggers)),
            )
        )
    if not problems:
        nodes, conflicts = with_branches(nodes, triggers[0])
        problems += [
            Problem(pointer=f"/graph_spec/nodes/{ids.index(conflict.node)}", message=conflict.message)
            for conflict in conflicts
        ]
    if problems:
        raise BlueprintInvalid(problems[0].message if len(problems) == 1 else None, problems=tuple(problems))
    calls = [node.calls for node in nodes.values() if node.calls is not None]
    plan = Plan(
        name=blueprint.name,
        version=blueprint.version,
        digest=digest(blueprint),
        owner=blueprint.owner,
        start=triggers[0],
        nodes=nodes,
        calendar=compile_calendar(blueprint.settings.calendar, blueprint.settings.timezone, start),
        variables=blueprint.variables,
        max_rounds=blueprint.settings.max_rounds,
        jitter=timedelta(seconds=blueprint.settings.jitter_seconds),
        actions={name: spec for name in calls if (spec := (actions or {}).get(name)) is not None},
        children={name: child for name in calls if (child := (children or {}).get(name)) is not None},
        format=blueprint.format,
        on_change=blueprint.on_change,
        immaterial=blueprint.settings.immaterial,
        require_revision=blueprint.settings.require_revision,
        rules=RULES,
    )
    zoned = any(ZONE in expression.world for expression in plan.expressions)
    return replace(plan, offsets=zone_offsets(blueprint.settings.timezone, start)) if zoned else plan


def chain(definition: ProcessDefinition) -> GraphSpec:
    """Return the chain of approvals that `process_steps` without a graph stand for; a rejection ends the request."""
    names = [f"step-{n}" for n, _ in enumerate(definition.process_steps, 1)]
    nodes: list[NodeDefinition] = [TriggerNode(id="start", type="trigger")]
    nodes += [
        ApprovalNode(id=name, type="approval", step=step.stage_name)
        for name, step in zip(names, definition.process_steps, strict=True)
    ]
    nodes += [
        TerminatorNode(id="approved", type="terminator", outcome="approved"),
        TerminatorNode(id="rejected", type="terminator", outcome="rejected"),
    ]
    edges = [EdgeDefinition(source="start", target=names[0])]
    for name, following in zip(names, [*names[1:], "approved"], strict=True):
        edges += [
            EdgeDefinition(source=name, target=following, on="approved"),
            EdgeDefinition(source=name, target="rejected", on="rejected"),
        ]
    return GraphSpec(nodes=tuple(nodes), edges=tuple(edges))


def _name_problems(definition: ProcessDefinition) -> list[Problem]:
    """Return a problem for each name that can never stand for a person at the place where it is written."""
    variables = {v.name for v in definition.variables}
    places = [("/owner", definition.owner)] if definition.owner else []
    for index, step in enumerate(definition.process_steps):
        here = f"/process_steps/{index}"
        approvers = [(f"{here}/approvers/{n}", a) for n, a in enumerate(step.approvers)]
        places += [
            (f"{at}/who", a.who) if isinstance(a, WeightedApprover) else (at, a)
            for at, a in approvers
            if not isinstance(a, ChosenApprover)
        ]
        places += [(f"{here}/escalation_to", step.escalation_to)] if step.escalation_to else []
        places += [(f"{here}/escalation/{n}/to", level.to) for n, level in enumerate(step.escalation or ())]
    problems: list[Problem] = []
    for pointer, text in places:
        if (unknown := undeclared(text, variables)) is not None:
            problems.append(Problem(pointer=pointer, message=unknown))
        if parse_assignee(text).root.kind == "assignee" and "/approvers/" in pointer:
            message = "a task that is about to open has no assignee; name another person or role"
            problems.append(Problem(pointer=pointer, message=message))
    return problems
