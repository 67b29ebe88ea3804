"""Tasks of people: approvals, with who approves, how many of them, until when, and what they fill in."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from placet.definition.bpmn.build import Build, Context, ImportedStage
from placet.definition.bpmn.elements import events, gateways, quorums
from placet.definition.bpmn.elements.form_fields import Field, fields_of, form_of
from placet.definition.bpmn.elements.outcomes import Choice, TaskOutcomes, verdict_of
from placet.definition.bpmn.elements.people import NamedApprovers, is_starter, named_by, named_in, task_inputs
from placet.definition.bpmn.file.reader import Flow, Part, setting, texts
from placet.definition.bpmn.file.terms import Term, Unclear
from placet.definition.bpmn.file.words import asks, hours_from_now, hours_of_span
from placet.sentences import sentence

if TYPE_CHECKING:
    from placet.definition.bpmn.walk import Walk

_REJECTED = "rejected"


def passes(build: Build, part: Part) -> bool:
    """Whether a task is no approval, as the requester's own are none; says what becomes of it."""
    if part.kind != "userTask" or not by_requester(build, part):
        return False
    before = [one for one in build.flat.before(part.id) if approves(build, build.flat.parts[one])]
    if not before:
        build.account.assumed(part.id, "the requester fills it in at the start; it is no approval")
    elif set(before) & set(build.flat.distances(part.id)):
        build.account.assumed(part.id, "approvers request changes instead, and the requester resubmits")
    else:
        build.account.lost(part.id, "the requester is asked nothing after the start; the request goes on")
    names = (build.scope.name_of(field.name) for field in fields_of(part.element, build.types, build.forms))
    if late := [name for name in dict.fromkeys(names) if name not in build.at_start]:
        build.account.assumed(
            part.id, sentence("the requester fills in {names} at the start instead", names=", ".join(late))
        )
    return True


def by_requester(build: Build, part: Part) -> bool:
    """Whether the requester does a task, and nobody else."""
    named = named_by(part, build.starters)
    return named.requester and not named.approvers


def approves(build: Build, part: Part) -> bool:
    """Whether a task is an approval."""
    return part.kind in {"userTask", "manualTask", "task"} and not (
        part.kind == "userTask" and by_requester(build, part)
    )


def approve(walk: Walk, part: Part, context: Context) -> str:
    """Make an approval of a task."""
    build = walk.build
    step = build.step(part)
    node = build.made[part.id, context] = build.node(part.id, "approval", step=step["stage_name"])
    stage = ImportedStage(part=part, node=node, step=step)
    if build.stage_of(part) is not None:
        build.account.assumed(part.id, "it is there once for each branch that comes to it")
    build.stages.append(stage)
    build.account.mapped(part.id, "an approval")
    if part.kind != "userTask":
        build.account.assumed(part.id, "the file does not say that a person does it; it became an approval")
    _people(build, part, step)
    _due(build, part, step)
    _filled_in(build, stage)
    walk.build.todo.append(lambda: _leave(walk, stage, context))
    return node


def _people(build: Build, part: Part, step: dict[str, Any]) -> None:
    named = named_by(part, build.starters)
    for variable in named.variables:
        name = build.scope.declare(variable, "string")
        named.approvers = [f"input:{name}" if one == f"input:{variable}" else one for one in named.approvers]
        build.read[name] = None
    quorums.several(build, part, step, named)
    for says in named.assumed:
        build.account.assumed(part.id, says)
    for says in named.lost:
        build.account.lost(part.id, says)
    _apart(build, part, step, named)
    if named.approvers:
        step["approvers"] = named.approvers
    elif named.requester:
        build.account.assumed(part.id, "nobody approves their own request; the requester's manager does")
    elif "approvers" not in step:
        build.account.assumed(part.id, "nobody is named; the requester's manager approves")
    if named.requester and named.approvers:
        build.account.assumed(part.id, "the requester never approves; only the others are asked")


def _apart(build: Build, part: Part, step: dict[str, Any], named: NamedApprovers) -> None:
    """Keep whoever is excluded from a task away from it: the requester always is."""
    others = [name for name in named.excluded if not _starts(build, name)]
    if named.excluded and len(others) < len(named.excluded):
        build.account.mapped(part.id, "who asks never approves")
    if others:
        step["separation_of_duties"] = {"repeat": "forbid"}
        build.account.assumed(
            part.id,
            sentence(
                "{others} must not do it: nobody who has decided another stage of the request may",
                others=", ".join(others),
            ),
        )


def _starts(build: Build, name: str) -> bool:
    return is_starter(name, build.starters)


def _due(build: Build, part: Part, step: dict[str, Any]) -> None:
    inputs = task_inputs(part)
    due = setting(part, "dueDate") or inputs.get("DueDate")
    if due is not None:
        hours = hours_from_now(due)
        if hours is not None:
            step["sla_hours"] = hours
            build.account.mapped(part.id, sentence("it is due after {hours:g} hours", hours=hours))
        else:
            build.account.lost(
                part.id,
                sentence("its due date {due} is no time from when it opens; give the stage an SLA", due=due[:100]),
            )
    for name, what in (("followUpDate", sentence("follow-up date")), ("priority", sentence("priority"))):
        found = setting(part, name) or inputs.get(name.capitalize())
        if found is not None:
            build.account.assumed(part.id, sentence("its {what} {found} has no effect", what=what, found=found[:60]))
    for name in ("NotCompletedReassign", "NotStartedReassign", "NotCompletedNotify", "NotStartedNotify"):
        if name in inputs and not (name.endswith("Reassign") and _reassigned(build, part, step, inputs[name])):
            build.account.lost(
                part.id,
                sentence(
                    "its {name} {inputs} is left out; give the stage an escalation",
                    name=name,
                    inputs=inputs[name][:100],
                ),
            )
    if (documented := next(texts(part.element, "documentation"), None)) is not None:
        step["description"] = documented[:2000]


def _reassigned(build: Build, part: Part, step: dict[str, Any], text: str) -> bool:
    """Make an escalation of jBPM's `[users:john|groups:sales]@[4h]`; returns whether it could be one."""
    found = re.fullmatch(r"\[(?:users:([^|\]]*))?\|?(?:groups:([^\]]*))?\]@\[([^\]]+)\]", text.strip())
    hours = hours_of_span(found[3]) if found is not None else None
    if found is None or hours is None or "escalation_to" in step or step.get("sla_hours", hours) != hours:
        return False
    users, groups = (named_in(found[number]) for number in (1, 2))
    names = [f"user:{name}" for name in users] + [f"group:{name}" for name in groups]
    if len(names) != 1:
        return False
    step["sla_hours"], step["escalation_to"] = hours, names[0]
    build.account.assumed(
        part.id,
        sentence("after {hours:g} hours it escalates to {names}, and then upwards", hours=hours, names=names[0]),
    )
    return True


def _filled_in(build: Build, stage: ImportedStage) -> None:
    part = stage.part
    for field in fields_of(part.element, build.types, build.forms):
        name = build.scope.declare(field.name, field.type)
        stage.fields[name] = Field(
            name=name, type=field.type, title=field.title, required=field.required, enum=field.enum
        )
    form = form_of(part.element)
    if form is not None and not stage.fields:
        build.account.assumed(
            part.id,
            sentence("its form {form!r} is kept elsewhere, so what is filled in there is not asked", form=form[:100]),
        )


# What follows


def _leave(walk: Walk, stage: ImportedStage, context: Context) -> None:
    build, part = walk.build, stage.part
    gate, verdict = _verdict(build, part)
    approved = rejected = None
    via: str | None = None
    if gate is not None and verdict is not None:
        if gate is not part:
            build.account.mapped(gate.id, "the result of the approval before it")
        build.account.assumed(
            gate.id,
            sentence("its question is what the approver of {part_name!r} decides", part_name=part.name or part.id),
        )
        _third(build, stage, verdict, gate)
        for flow in verdict.changes:
            build.account.assumed(flow.id, "approvers request changes instead, and the requester resubmits")
        approved = _leads(walk, gate, verdict.approved, context, "approved")
        rejected = _leads(walk, gate, verdict.rejected, context, _REJECTED)
        via = verdict.rejected[0][0].id if len(verdict.rejected) == 1 else None
    else:
        via = next((flow.id for flow in build.flat.outs.get(part.id, [])), None)
    flags = _flags(build, stage, verdict)
    if approved is None:
        approved = walk.onward(part, context)
        if flags and rejected is None:
            rejected = approved
    if rejected is None:
        rejected = build.end(_REJECTED)
        build.account.assumed(part.id, "the file's task cannot be rejected; a rejection ends the request")
    if flags:
        yes = {name: stance == "approved" for name, stance in flags.items()}
        approved = build.sets(f"{part.id}.approved", yes, approved)
        rejected = build.sets(f"{part.id}.rejected", {name: not value for name, value in yes.items()}, rejected)
        build.account.assumed(
            part.id,
            sentence("approving and rejecting it sets {flags}, and the request goes on", flags=", ".join(flags)),
        )
    build.edge(stage.node, approved, via, on="approved")
    build.edge(stage.node, rejected, via, on="rejected")
    events.beside(walk, part, stage.node, context, step=stage.step)


def _verdict(build: Build, part: Part) -> tuple[Part | None, TaskOutcomes | None]:
    """Return the gateway right behind a task (or the task's own flows) and the verdict that it takes."""
    outs = build.flat.outs.get(part.id, [])
    gate = part
    if len(outs) == 1 and outs[0].condition is None:
        gate = build.flat.parts[outs[0].target]
        if gate.kind != "exclusiveGateway" or len(build.flat.ins.get(gate.id, [])) != 1:
            return None, None
        outs = build.flat.outs.get(gate.id, [])
    if len(outs) < 2:
        return None, None
    returns = {flow.id: part.id in build.flat.distances(flow.target) for flow in outs}
    if gate is part and not all(flow.condition or flow.id == part.default for flow in outs):
        return None, None
    found = verdict_of(gate, outs, data=_data(build, part), returns=returns)
    if found is not None and not _readable(build, [*found.approved, *found.rejected]):
        return gate, None
    if found is not None and gate is not part:
        build.along(build.flat.outs[part.id][0])
    return gate, found


def _readable(build: Build, choices: Sequence[Choice]) -> bool:
    """Whether what is left of the conditions can be said, all of them together."""
    trial = copy.deepcopy(build.scope)
    try:
        for _, term in choices:
            if term is not None:
                trial.condition(term)
    except Unclear:
        return False
    return True


def _data(build: Build, part: Part) -> frozenset[str]:
    """Return the variables that somebody else than this task fills in."""
    own = {field.name for field in fields_of(part.element, build.types, build.forms)}
    return frozenset(build.given - own)


def _third(build: Build, stage: ImportedStage, verdict: TaskOutcomes, gate: Part) -> None:
    """Have approvers say which of several flows an approval takes."""
    if verdict.labels:
        name = gateways.question(build, f"{stage.part.name or stage.part.id} way", list(verdict.labels.values()), stage)
        verdict.approved = [
            (flow, Term("eq", (Term("name", value=name), Term("text", value=verdict.labels[flow.id]))))
            for flow, _ in verdict.approved
        ]
        build.account.assumed(
            gate.id, sentence("the approver chooses in {name!r} which of the other edges is taken", name=name)
        )
    elif verdict.values and verdict.variable is not None:
        name = build.scope.declare(verdict.variable, "string")
        for one in build.stages:
            if one.part is stage.part:
                one.fields[name] = Field(name=name, required=True, enum=tuple(verdict.values))
                one.wanted[name] = None
        build.filled.add(name)
        build.declared[name] = {"type": "string", "enum": verdict.values}
        build.account.assumed(
            gate.id,
            sentence(
                "who approves says in {name!r} which of {values} it is", name=name, values=", ".join(verdict.values)
            ),
        )
    elif verdict.variable is not None:
        for one in build.stages:
            if one.part is stage.part:
                one.fields.pop(build.scope.name_of(verdict.variable), None)


def _leads(walk: Walk, gate: Part, choices: Sequence[Choice], context: Context, outcome: str) -> str | None:
    """Return where a result leads; an end without a name that it leads to is named after it."""
    if not choices:
        return None
    flow, term = choices[0]
    end = walk.build.flat.parts[flow.target]
    if len(choices) == 1 and term is None and end.kind == "endEvent" and not end.name and not end.events:
        walk.build.along(flow)
        walk.build.account.assumed(
            end.id, sentence("it has no name; the request ends as {outcome} where that leads here", outcome=outcome)
        )
        return walk.ended(end, context, outcome) if context else walk.build.end(outcome)
    return gateways.choose(walk, gate, choices, context, own=False, name=gate.name)


def _flags(build: Build, stage: ImportedStage, verdict: TaskOutcomes | None) -> dict[str, str]:
    """Return the variables that say elsewhere how this task was decided, with what it means that they are true."""
    part = stage.part
    found: dict[str, str] = {}
    for variable, (tasks, readers) in build.verdicts.items():
        consumed = verdict is not None and verdict.variable == variable
        elsewhere = [reader for reader in readers if reader not in _behind(build, part)] if consumed else readers
        stance = asks(variable)
        if part.id in tasks and elsewhere and stance is not None:
            name = build.scope.declare(variable, "boolean")
            found[name] = stance
            for one in build.stages:
                if one.part is part:
                    one.fields.pop(name, None)
    return found


def _behind(build: Build, part: Part) -> set[str]:
    return {part.id, *(flow.target for flow in build.flat.outs.get(part.id, []))}


def own_flow(build: Build, part: Part, outs: Sequence[Flow]) -> Flow | None:
    """Return the flow that is left of a question to the requester, who resubmits or withdraws instead."""
    leading = build.flat.ins.get(part.id, [])
    if part.kind != "exclusiveGateway" or len(leading) != 1:
        return None
    task = build.flat.parts[leading[0].source]
    if task.kind != "userTask" or not by_requester(build, task):
        return None
    before = {one for one in build.flat.before(task.id) if approves(build, build.flat.parts[one])}
    back = [flow for flow in outs if before & {flow.target, *build.flat.distances(flow.target)}]
    rest = [flow for flow in outs if flow not in back]
    if not back or len(rest) != 1:
        return None
    for flow in back:
        build.account.assumed(flow.id, "approvers request changes instead, and the requester resubmits")
    build.account.assumed(part.id, "the requester is not asked: they resubmit when changes are requested, or withdraw")
    return rest[0]
