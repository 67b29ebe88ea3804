"""A plan: a blueprint compiled for one request, immutable and fully resolved, what a run starts with.

Everything that could change later (holidays, time-zone rules, the action catalog, other processes, the blueprint
itself) is frozen in here, so that a replay years from now computes the same deadlines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import rfc8785

from placet.actions import ActionSpec
from placet.almanac import calendar_problems, compile_calendar, zone_offsets
from placet.audit import exact
from placet.blueprint import (
    ApprovalNode,
    Blueprint,
    ChosenApprover,
    Edge,
    GraphSpec,
    Node,
    TerminatorNode,
    TriggerNode,
    WeightedApprover,
    canonical,
)
from placet.branching import branched
from placet.calendar import Calendar
from placet.compiling import Compiling, point_of
from placet.conditions import Expression
from placet.conditions.world import ZONE
from placet.errors import BlueprintInvalid, Problem
from placet.formats import RULES, OnChange
from placet.points import (
    Errand,
    Filling,
    Final,
    Frame,
    Join,
    Level,
    Need,
    Pause,
    Point,
    Repeat,
    Seating,
    Stage,
    Way,
)
from placet.pure import is_pure
from placet.variables import Variable, scope_of
from placet.who import Who, parse_who
from placet.zones import Offsets

__all__ = [
    "Child",
    "Errand",
    "Filling",
    "Final",
    "Frame",
    "Join",
    "Level",
    "Need",
    "Pause",
    "Plan",
    "Point",
    "Repeat",
    "Seating",
    "Stage",
    "Way",
    "chain",
    "compile_plan",
    "digest",
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A blueprint compiled for a run. `actions` and `children` are those that its nodes name, as they were then."""

    name: str
    version: str
    digest: str  # sha256 of the blueprint's canonical JSON
    owner: str | None  # a name, see placet.who
    start: str  # id of the trigger
    points: dict[str, Point]
    calendar: Calendar
    variables: tuple[Variable, ...]
    max_rounds: int
    jitter: timedelta
    actions: dict[str, ActionSpec] = field(default_factory=dict)  # by name
    children: dict[str, Child] = field(default_factory=dict)  # by reference: name, or name@version
    format: int = 1  # of the blueprint's language; plans from before there were formats have no number
    on_change: OnChange | None = None  # None only in format 1: `upgraded` says what that means
    immaterial: tuple[str, ...] = ()  # variables whose change leaves approvals as they are
    require_revision: bool = False
    offsets: Offsets = ()  # of the time zone, where an expression needs it
    rules: int = 1  # of the core, which its requests follow to their end; see placet.formats

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Every expression of the process."""
        found: list[Expression | None] = []
        for point in self.points.values():
            found += [way.condition for way in point.ways]
            found += list(point.errand.input.expressions.values()) if point.errand is not None else []
            found += [point.pause.until] if point.pause is not None else []
            found += [seating.when for seating in point.stage.approvers] if point.stage is not None else []
        return tuple(expression for expression in found if expression is not None)

    @cached_property
    def names(self) -> tuple[Who, ...]:
        """Every name the plan can need people for."""
        texts = {s.who for p in self.points.values() if p.stage for s in p.stage.approvers}
        texts |= {lv.to for p in self.points.values() if p.stage for lv in p.stage.levels}
        if self.owner:
            texts.add(self.owner)
        return tuple(parse_who(t) for t in sorted(texts))

    @cached_property
    def naming(self) -> tuple[str, ...]:
        """The variables that name people, in order."""
        return tuple(sorted({who.root.name for who in self.names if who.root.given}))

    def asked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of an input that names people."""
        return {name: given[name] for name in self.naming if name in given}

    @cached_property
    def reads(self) -> frozenset[str]:
        """The variables that anything in the process depends on: a condition, a computed value, an approver."""
        return frozenset({*self.naming, *(name for one in self.expressions for name in one.names)})

    @cached_property
    def heavy(self) -> int:
        """How many of its expressions take the longer, the longer a value is."""
        return sum(expression.heavy for expression in self.expressions)

    @cached_property
    def set_outside(self) -> frozenset[str]:
        """The variables that answers from outside set: forms, events, sub-processes, actions that are not pure."""
        found: set[str] = set()
        for point in self.points.values():
            errand = point.errand
            if errand is not None and not (errand.name in self.actions and is_pure(self.actions[errand.name])):
                found |= errand.output.keys()
            found |= point.pause.output.keys() if point.pause is not None else point.output.keys()
        return frozenset(found)

    @property
    def stages(self) -> list[Stage]:
        """List the approval stages in the order of their nodes."""
        return [p.stage for p in self.points.values() if p.stage is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Another process that a sub-process node runs: a published version, compiled."""

    template_id: str
    plan: Plan


def digest(blueprint: Blueprint) -> str:
    """Return the sha256 (hex) of the blueprint's canonical JSON: its identity.

    The number of its format belongs to it, but for format 1, whose documents were written before there were numbers.
    """
    document = canonical(blueprint) | {"format": blueprint.format}
    if blueprint.format == 1:
        del document["format"]
    return hashlib.sha256(rfc8785.dumps(exact(document))).hexdigest()


def compile_plan(
    blueprint: Blueprint,
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
    scope = scope_of(blueprint.variables)
    steps = {step.stage_name: step for step in blueprint.process_steps}
    outgoing: dict[str, list[tuple[int, Edge]]] = {}
    ids = [node.id for node in graph.nodes]
    for index, edge in enumerate(graph.edges):
        outgoing.setdefault(edge.source, []).append((index, edge))
        problems += [
            Problem(
                pointer=f"/graph_spec/edges/{index}/{end}", message=f"there is no node {name!r}; add it or mend the id"
            )
            for end, name in (("from", edge.source), ("to", edge.target))
            if name not in ids
        ]
    compiling = Compiling(
        blueprint=blueprint,
        start=start,
        steps=steps,
        scope=scope,
        ids=frozenset(ids),
        actions=actions or {},
        variables={key: frozenset(v.name for v in child.plan.variables) for key, child in (children or {}).items()},
        problems=problems,
    )
    points: dict[str, Point] = {}
    triggers: list[str] = []
    for index, node in enumerate(graph.nodes):
        here = f"/graph_spec/nodes/{index}"
        if node.id in points:
            problems.append(Problem(pointer=f"{here}/id", message=f"node id {node.id!r} is used twice; rename one"))
        if isinstance(node, TriggerNode):
            triggers.append(node.id)
        if isinstance(node, ApprovalNode) and node.step not in steps:
            problems.append(
                Problem(pointer=f"{here}/step", message=f"no process step has the stage_name {node.step!r}; add one")
            )
            continue
        points[node.id] = point_of(compiling, node, here, outgoing.get(node.id, []))
    if len(triggers) != 1:
        problems.append(
            Problem(
                pointer="/graph_spec/nodes", message=f"a process has exactly one trigger; this one has {len(triggers)}"
            )
        )
    if not problems:
        points, conflicts = branched(points, triggers[0])
        problems += [
            Problem(pointer=f"/graph_spec/nodes/{ids.index(conflict.point)}", message=conflict.message)
            for conflict in conflicts
        ]
    if problems:
        raise BlueprintInvalid(problems[0].message if len(problems) == 1 else None, problems=tuple(problems))
    errands = [point.errand for point in points.values() if point.errand is not None]
    plan = Plan(
        name=blueprint.name,
        version=blueprint.version,
        digest=digest(blueprint),
        owner=blueprint.owner,
        start=triggers[0],
        points=points,
        calendar=compile_calendar(blueprint.settings.calendar, blueprint.settings.timezone, start),
        variables=blueprint.variables,
        max_rounds=blueprint.settings.max_rounds,
        jitter=timedelta(seconds=blueprint.settings.jitter_seconds),
        actions={e.name: spec for e in errands if (spec := (actions or {}).get(e.name)) is not None},
        children={e.name: child for e in errands if (child := (children or {}).get(e.name)) is not None},
        format=blueprint.format,
        on_change=blueprint.on_change,
        immaterial=blueprint.settings.immaterial,
        require_revision=blueprint.settings.require_revision,
        rules=RULES,
    )
    zoned = any(ZONE in expression.world for expression in plan.expressions)
    return replace(plan, offsets=zone_offsets(blueprint.settings.timezone, start)) if zoned else plan


def chain(blueprint: Blueprint) -> GraphSpec:
    """Return the straight chain that `process_steps` alone stand for: each leads to the next, a rejection ends it."""
    names = [f"step-{n}" for n, _ in enumerate(blueprint.process_steps, 1)]
    nodes: list[Node] = [TriggerNode(id="start", type="trigger")]
    nodes += [
        ApprovalNode(id=name, type="approval", step=step.stage_name)
        for name, step in zip(names, blueprint.process_steps, strict=True)
    ]
    nodes += [
        TerminatorNode(id="approved", type="terminator", outcome="approved"),
        TerminatorNode(id="rejected", type="terminator", outcome="rejected"),
    ]
    edges = [Edge(source="start", target=names[0])]
    for name, following in zip(names, [*names[1:], "approved"], strict=True):
        edges += [
            Edge(source=name, target=following, on="approved"),
            Edge(source=name, target="rejected", on="rejected"),
        ]
    return GraphSpec(nodes=tuple(nodes), edges=tuple(edges))


def _name_problems(blueprint: Blueprint) -> list[Problem]:
    """Find the names that can never stand for anybody where they are written."""
    variables = {v.name for v in blueprint.variables}
    places = [("/owner", blueprint.owner)] if blueprint.owner else []
    for index, step in enumerate(blueprint.process_steps):
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
        root = parse_who(text).root
        if root.given and root.name not in variables:
            message = f"there is no variable {root.name!r}; declare it or name somebody else"
            problems.append(Problem(pointer=pointer, message=message))
        if root.kind == "assignee" and "/approvers/" in pointer:
            message = "a task that is about to open has no assignee; name somebody else"
            problems.append(Problem(pointer=pointer, message=message))
    return problems
