"""A plan: a blueprint compiled for one request, immutable and fully resolved, what a run starts with.

Everything that could change later (holidays, time-zone rules, the blueprint itself) is frozen in here, so that a replay
years from now computes the same deadlines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import rfc8785

from placet.almanac import calendar_problems, compile_calendar
from placet.audit import exact
from placet.blueprint import (
    ApprovalNode,
    Blueprint,
    DecisionNode,
    Edge,
    GraphSpec,
    Node,
    Quorum,
    Step,
    TerminatorNode,
    TriggerNode,
    WeightedApprover,
    canonical,
)
from placet.calendar import Calendar
from placet.conditions import Expression, Scope, compile_condition
from placet.errors import BlueprintInvalid, ConditionInvalid, Problem
from placet.variables import Variable, scope_of
from placet.who import Who, parse_who

Final = Literal["wait", "approve", "reject", "expire"]
Repeat = Literal["allow", "carry", "forbid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One escalation level; `after` counts from the breach, in working time."""

    after: timedelta
    to: str
    action: Literal["reassign", "add", "notify"] = "reassign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """One entry of a stage's approvers: a name (see placet.who) and the weight of each seat it fills."""

    who: str
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """How much approval a stage needs: `kind` any, all, at_least (seats), percent (of seats) or weight."""

    kind: Literal["any", "all", "at_least", "percent", "weight"]
    value: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One approval stage with every default filled in; durations are working time of the plan's calendar."""

    name: str
    approvers: tuple[Seating, ...]
    need: Need
    rejection: Literal["any", "unreachable"]
    order: Literal["parallel", "sequential"]
    claim: bool
    least_loaded: bool
    sla: timedelta | None
    warn_before: timedelta
    re_escalate_after: timedelta
    levels: tuple[Level, ...]
    to_the_top: bool  # after the last level, go on with the manager of whoever has the task
    final: Final
    remind_every: timedelta | None
    remind_before: tuple[timedelta, ...]
    form: dict[str, Any] | None
    comment_required: tuple[str, ...]
    repeat: Repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One outgoing edge: where it leads, and when it is taken."""

    target: str
    on: str | None = None
    condition: Expression | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One node of the process, with its outgoing ways in the order they were written."""

    id: str
    type: Literal["trigger", "approval", "decision", "terminator"]
    ways: tuple[Way, ...] = ()
    stage: Stage | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A blueprint compiled for a run."""

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

    def names(self) -> list[Who]:
        """List every name the plan can need people for."""
        texts = {s.who for p in self.points.values() if p.stage for s in p.stage.approvers}
        texts |= {lv.to for p in self.points.values() if p.stage for lv in p.stage.levels}
        if self.owner:
            texts.add(self.owner)
        return [parse_who(t) for t in sorted(texts)]

    @property
    def stages(self) -> list[Stage]:
        """List the approval stages in the order of their nodes."""
        return [p.stage for p in self.points.values() if p.stage is not None]


def digest(blueprint: Blueprint) -> str:
    """Return the sha256 (hex) of the blueprint's canonical JSON: its identity."""
    return hashlib.sha256(rfc8785.dumps(exact(canonical(blueprint)))).hexdigest()


def compile_plan(blueprint: Blueprint, *, start: datetime) -> Plan:
    """Compile a blueprint for runs that begin around `start`; raises BlueprintInvalid with every fault found."""
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
        points[node.id] = _point(
            blueprint, node, steps, scope=scope, edges=outgoing.get(node.id, []), problems=problems
        )
    if len(triggers) != 1:
        problems.append(
            Problem(
                pointer="/graph_spec/nodes", message=f"a process has exactly one trigger; this one has {len(triggers)}"
            )
        )
    if problems:
        raise BlueprintInvalid(problems[0].message if len(problems) == 1 else None, problems=tuple(problems))
    return Plan(
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
    )


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
        places += [(f"{at}/who", a.who) if isinstance(a, WeightedApprover) else (at, a) for at, a in approvers]
        places += [(f"{here}/escalation_to", step.escalation_to)] if step.escalation_to else []
        places += [(f"{here}/escalation/{n}/to", level.to) for n, level in enumerate(step.escalation or ())]
    problems: list[Problem] = []
    for pointer, text in places:
        root = parse_who(text).root
        if root.kind == "input" and root.name not in variables:
            message = f"there is no variable {root.name!r}; declare it or name somebody else"
            problems.append(Problem(pointer=pointer, message=message))
        if root.kind == "assignee" and "/approvers/" in pointer:
            message = "a task that is about to open has no assignee; name somebody else"
            problems.append(Problem(pointer=pointer, message=message))
    return problems


def _point(
    blueprint: Blueprint,
    node: Node,
    steps: dict[str, Step],
    *,
    scope: Scope,
    edges: list[tuple[int, Edge]],
    problems: list[Problem],
) -> Point:
    ways: list[Way] = []
    for index, edge in edges:
        here = f"/graph_spec/edges/{index}"
        compiled = None
        if edge.condition is not None:
            if not isinstance(node, DecisionNode):
                problems.append(
                    Problem(
                        pointer=f"{here}/condition", message="only the edges of a decision carry a condition; remove it"
                    )
                )
            else:
                try:
                    compiled = compile_condition(edge.condition, scope)
                except ConditionInvalid as error:
                    problems.append(Problem(pointer=f"{here}/condition", message=error.message))
        elif isinstance(node, DecisionNode) and not edge.default:
            problems.append(
                Problem(pointer=here, message='an edge of a decision needs a "condition", or "default": true')
            )
        if edge.on is not None and not isinstance(node, ApprovalNode):
            problems.append(
                Problem(pointer=f"{here}/on", message='only the edges of an approval carry "on"; remove it')
            )
        ways.append(Way(target=edge.target, on=edge.on, condition=compiled, default=edge.default))
    return Point(
        id=node.id,
        type=node.type,
        ways=tuple(ways),
        stage=_stage(blueprint, steps[node.step]) if isinstance(node, ApprovalNode) else None,
        outcome=node.outcome if isinstance(node, TerminatorNode) else None,
    )


def _stage(blueprint: Blueprint, step: Step) -> Stage:
    settings = blueprint.settings
    target = step.sla.target_hours if step.sla else step.sla_hours
    warn = step.warn_before_hours
    if warn is None:
        warn = step.sla.warn_before_hours if step.sla else None
    if warn is None:
        warn = settings.warn_before_hours
    if target is not None and warn > target:
        warn = target / 2
    levels: tuple[Level, ...] = ()
    if step.escalates and step.escalation is not None:
        levels = tuple(Level(after=_hours(lv.after_hours), to=lv.to, action=lv.action) for lv in step.escalation)
    elif step.escalates and step.escalation_to is not None:
        levels = (Level(after=timedelta(0), to=step.escalation_to),)
    return Stage(
        name=step.stage_name,
        approvers=tuple(
            Seating(who=a) if isinstance(a, str) else Seating(who=a.who, weight=a.weight) for a in step.approvers
        ),
        need=_need(step.quorum),
        rejection=step.rejection,
        order=step.order,
        claim=step.claim,
        least_loaded=step.assign == "least_loaded",
        sla=None if target is None else _hours(target),
        warn_before=_hours(warn),
        re_escalate_after=_hours(step.re_escalate_after_hours or settings.re_escalate_after_hours),
        levels=levels,
        to_the_top=step.escalates and step.escalation_to is not None,
        final=step.final,
        remind_every=_hours(step.reminders.every_hours) if step.reminders and step.reminders.every_hours else None,
        remind_before=tuple(sorted((_hours(h) for h in step.reminders.before_hours), reverse=True))
        if step.reminders
        else (),
        form=step.form,
        comment_required=step.comment_required,
        repeat=(step.separation_of_duties or settings.separation_of_duties).repeat,
    )


def _need(quorum: str | Quorum) -> Need:
    if isinstance(quorum, Quorum):
        if quorum.at_least is not None:
            return Need(kind="at_least", value=float(quorum.at_least))
        if quorum.percent is not None:
            return Need(kind="percent", value=quorum.percent)
        return Need(kind="weight", value=float(quorum.weight or 1))
    return Need(kind="all") if quorum == "all" else Need(kind="any")


def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)
