"""Compiling one node: its settings with the defaults filled in, its expressions checked, its ways on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from placet.actions import ActionSpec
from placet.almanac import zone_offsets
from placet.blueprint import (
    ActionNode,
    ApprovalNode,
    Blueprint,
    ChosenApprover,
    DecisionNode,
    Edge,
    JoinNode,
    Node,
    Quorum,
    SeparationOfDuties,
    Step,
    SubprocessNode,
    TerminatorNode,
    WaitNode,
    WeightedApprover,
)
from placet.choosing import choices
from placet.conditions import Expression, Scope, compile_condition, compile_expression
from placet.errors import ConditionInvalid, Problem
from placet.fields import LONGEST_TITLE
from placet.fillings import compile_filling
from placet.pointer import pointer_to
from placet.points import Errand, Join, Level, Need, Pause, Point, Seating, Stage, Way
from placet.tables import table_ways
from placet.who import parse_who


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiling:
    """What the nodes of one blueprint are compiled with; faults are added to `problems`.

    `variables` are the names of the variables of each process that a sub-process node may refer to.
    """

    blueprint: Blueprint
    start: datetime
    steps: Mapping[str, Step]
    scope: Scope
    ids: frozenset[str]
    actions: Mapping[str, ActionSpec]
    variables: Mapping[str, frozenset[str]]
    problems: list[Problem]

    def refuse(self, pointer: str, message: str) -> None:
        """Note a fault."""
        self.problems.append(Problem(pointer=pointer, message=message))


def reference(node: SubprocessNode) -> str:
    """Return what a sub-process node refers to: a process's name, or name@version."""
    return node.template if node.version is None else f"{node.template}@{node.version}"


def point_of(given: Compiling, node: Node, here: str, edges: list[tuple[int, Edge]]) -> Point:
    """Compile a node that stands at the pointer `here`, with its outgoing edges and their places in the blueprint."""
    ways = tuple(_way(given, node, f"/graph_spec/edges/{index}", edge) for index, edge in edges)
    hit_policy: Literal["first", "unique", "any"] = "first"
    if isinstance(node, DecisionNode) and node.table is not None:
        for index, _ in edges:
            message = "the rules of the table say where this decision leads; remove this edge"
            given.refuse(f"/graph_spec/edges/{index}", message)
        ways = table_ways(node.table, given.scope, f"{here}/table", given.problems)
        hit_policy = node.table.hit_policy
        places = [(f"{here}/table/rules/{n}/to", rule.target) for n, rule in enumerate(node.table.rules)]
        places += [(f"{here}/table/default", node.table.default)] if node.table.default is not None else []
        for pointer, target in places:
            if target not in given.ids:
                given.refuse(pointer, f"there is no node {target!r}; add it or mend the id")
    return Point(
        id=node.id,
        type=node.type,
        ways=ways,
        stage=_stage(given, given.steps[node.step]) if isinstance(node, ApprovalNode) else None,
        outcome=node.outcome if isinstance(node, TerminatorNode) else None,
        hit_policy=hit_policy,
        join=_join(node) if isinstance(node, JoinNode) else None,
        errand=_errand(given, node, here) if isinstance(node, ActionNode | SubprocessNode) else None,
        pause=_pause(given, node, here) if isinstance(node, WaitNode) else None,
        output=_filled_in(given, node, here) if isinstance(node, ApprovalNode) else {},
        repetition=_repetition(given, node) if isinstance(node, ActionNode) else None,
    )


def _repetition(given: Compiling, node: ActionNode) -> Stage | None:
    """Return the stage in which the owner says whether what must not be done twice is done again."""
    spec = given.actions.get(node.action)
    if spec is None or spec.is_idempotent or node.rerun or given.blueprint.on_change != "restart":
        return None
    step = Step(
        stage_name=f"Run {node.action} again"[:LONGEST_TITLE],
        approvers=("owner",),
        separation_of_duties=SeparationOfDuties(repeat="allow"),
    )
    return stage_of(given.blueprint, step, (Seating(who="owner"),))


def _way(given: Compiling, node: Node, here: str, edge: Edge) -> Way:
    compiled = None
    chooses = isinstance(node, DecisionNode) and node.table is None
    if edge.condition is not None:
        if not isinstance(node, DecisionNode):
            given.refuse(f"{here}/condition", "only the edges of a decision carry a condition; remove it")
        elif chooses:
            try:
                compiled = compile_condition(edge.condition, given.scope)
            except ConditionInvalid as error:
                given.refuse(f"{here}/condition", error.message)
    elif chooses and not edge.default:
        given.refuse(here, 'an edge of a decision needs a "condition", or "default": true')
    if edge.on is not None and not isinstance(node, ApprovalNode | ActionNode | WaitNode | SubprocessNode):
        message = 'only the edges of an approval, action, wait or sub-process carry "on"; remove it'
        given.refuse(f"{here}/on", message)
    return Way(target=edge.target, on=edge.on, condition=compiled, default=edge.default)


def _join(node: JoinNode) -> Join:
    """Return what a join needs, 0 for all; which branches lead to it is known once every node is compiled."""
    need = {"all": 0, "every": 0, "any": 1}[node.need] if isinstance(node.need, str) else node.need.at_least
    return Join(fork="", ways=(), need=need, every=node.need == "every")


def _errand(given: Compiling, node: ActionNode | SubprocessNode, here: str) -> Errand:
    _outputs(given, node.output, here)
    filling = compile_filling(node.input, given.scope, f"{here}/input", given.problems)
    if isinstance(node, ActionNode):
        spec = given.actions.get(node.action)
        if spec is None:
            known = ", ".join(sorted(given.actions)[:20]) or "none"
            given.refuse(f"{here}/action", f"there is no action {node.action!r} in the catalog; there are: {known}")
        else:
            _members(given, node, spec, here)
        return Errand(name=node.action, input=filling, output=dict(node.output))
    named = reference(node)
    variables = given.variables.get(named)
    if variables is None:
        message = (
            f"no process {named!r} is published that can run here, without this one inside; publish it, or name another"
        )
        given.refuse(f"{here}/template", message)
    else:
        unknown = [("input", name) for name in node.input if name not in variables]
        for side, name in unknown:
            given.refuse(pointer_to(f"{here}/{side}", name), f"{named!r} has no variable {name!r}; mend the name")
        for variable, name in node.output.items():
            if name not in variables:
                given.refuse(
                    pointer_to(f"{here}/output", variable), f"{named!r} has no variable {name!r}; mend the name"
                )
    return Errand(name=named, input=filling, output=dict(node.output))


def _members(given: Compiling, node: ActionNode, spec: ActionSpec, here: str) -> None:
    """Hold the names of an action's parameters to its input schema; the values are known when it runs."""
    known = spec.input_schema.get("properties")
    if isinstance(known, dict) and spec.input_schema.get("additionalProperties") is False:
        for name in node.input:
            if name not in known:
                names = ", ".join(known) or "none"
                given.refuse(pointer_to(f"{here}/input", name), f"{node.action!r} takes no {name!r}; it takes: {names}")
    for name in spec.input_schema.get("required", ()):
        if name not in node.input:
            given.refuse(f"{here}/input", f"{node.action!r} needs {name!r}; add it")


def _outputs(given: Compiling, output: Mapping[str, str], here: str) -> None:
    for variable in output:
        if variable not in given.scope:
            message = f"there is no variable {variable!r}; declare it, or set another"
            given.refuse(pointer_to(f"{here}/output", variable), message)


def _filled_in(given: Compiling, node: ApprovalNode, here: str) -> dict[str, str]:
    _outputs(given, node.output, here)
    if node.output and given.steps[node.step].form is None:
        given.refuse(f"{here}/output", f"stage {node.step!r} has no form to take values from; give the step a form")
    return dict(node.output)


def _pause(given: Compiling, node: WaitNode, here: str) -> Pause:
    _outputs(given, node.output, here)
    until: Expression | None = None
    offsets: tuple[tuple[int, int], ...] = ()
    if node.until is not None:
        try:
            until = compile_expression(node.until, given.scope, kinds=("date", "timestamp"))
        except ConditionInvalid as error:
            given.refuse(f"{here}/until", error.message)
        else:
            if until.ast["type"] == "date" and not _zone_refused(given):
                offsets = zone_offsets(given.blueprint.settings.timezone, given.start)
    return Pause(
        hours=None if node.hours is None else _hours(node.hours),
        until=until,
        offsets=offsets,
        event=node.event,
        timeout=None if node.timeout_hours is None else _hours(node.timeout_hours),
        output=dict(node.output),
    )


def _zone_refused(given: Compiling) -> bool:
    return any(problem.pointer == "/settings/timezone" for problem in given.problems)


def _stage(given: Compiling, step: Step) -> Stage:
    index = next(n for n, one in enumerate(given.blueprint.process_steps) if one.stage_name == step.stage_name)
    seatings: list[Seating] = []
    for number, approver in enumerate(step.approvers):
        if isinstance(approver, str):
            seatings.append(Seating(who=approver))
        elif isinstance(approver, WeightedApprover):
            seatings.append(Seating(who=approver.who, weight=approver.weight))
        else:
            seatings += _chosen(given, approver, f"/process_steps/{index}/approvers/{number}/expr")
    return stage_of(given.blueprint, step, tuple(seatings))


def _chosen(given: Compiling, approver: ChosenApprover, pointer: str) -> list[Seating]:
    """Return the people whom an expression chooses among, each with when it chooses them."""
    try:
        found = choices(approver.expr, given.scope)
    except ConditionInvalid as error:
        given.refuse(pointer, error.message)
        return []
    for who, _ in found:
        if parse_who(who).root.kind == "assignee":
            given.refuse(pointer, "a task that is about to open has no assignee; name somebody else")
    return [Seating(who=who, weight=approver.weight, when=when) for who, when in found]


def stage_of(blueprint: Blueprint, step: Step, approvers: tuple[Seating, ...]) -> Stage:
    """Return an approval stage with every default of the step and the process filled in."""
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
        approvers=approvers,
        need=_need(step.quorum),
        rejection=step.rejection,
        order=step.order,
        claim=step.claim,
        least_loaded=step.assign == "least_loaded",
        sla=None if target is None else _hours(target),
        critical=_hours(step.sla.critical_hours) if step.sla and step.sla.critical_hours is not None else None,
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
        repeat=blueprint.duties_of(step).repeat,
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
