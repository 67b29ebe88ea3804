"""Approval: a stage of the process, in which people decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from placet.choosing import choices
from placet.definition.steps import ChosenApprover, Quorum, Step, WeightedApprover
from placet.errors import ConditionInvalid
from placet.fields import Title
from placet.nodes.base import BaseNode, CompilerContext, NodeType, Outputs, Written
from placet.points import Level, Need, Point, Seating, Stage
from placet.who import parse_who


class ApprovalNode(BaseNode):
    """A stage: `step` is the stage_name of one of process_steps, `output` sets variables from the decision's form."""

    type: Literal["approval"]
    step: Title
    output: Outputs = Field(default_factory=dict)


class ApprovalType(NodeType[ApprovalNode]):
    """Asks people, and comes to `approved`, `rejected` or `expired`."""

    kind = "approval"
    has_results = True
    has_conditions = False

    def compile(self, context: CompilerContext, definition: ApprovalNode, here: str, written: Written) -> Point | None:
        """Compile its stage; None where there is no such step."""
        found = context.step(definition.step)
        if found is None:
            context.refuse(f"{here}/step", f"no process step has the stage_name {definition.step!r}; add one")
            return None
        index, step = found
        ways = self.compile_ways(context, written)
        stage = stage_of(context, step, _seatings(context, step, f"/process_steps/{index}"))
        context.require_variables(definition.output, here)
        if definition.output and step.form is None:
            message = f"stage {definition.step!r} has no form to take values from; give the step a form"
            context.refuse(f"{here}/output", message)
        output = dict(definition.output)
        return Point(id=definition.id, type=self.kind, ways=ways, stage=stage, output=output)


def _seatings(context: CompilerContext, step: Step, here: str) -> tuple[Seating, ...]:
    seatings: list[Seating] = []
    for number, approver in enumerate(step.approvers):
        if isinstance(approver, str):
            seatings.append(Seating(who=approver))
        elif isinstance(approver, WeightedApprover):
            seatings.append(Seating(who=approver.who, weight=approver.weight))
        else:
            seatings += _chosen(context, approver, f"{here}/approvers/{number}/expr")
    return tuple(seatings)


def _chosen(context: CompilerContext, approver: ChosenApprover, pointer: str) -> list[Seating]:
    """Return the people whom an expression chooses among, each with when it chooses them."""
    try:
        found = choices(approver.expr, context.scope)
    except ConditionInvalid as error:
        context.refuse(pointer, error.message)
        return []
    for who, _ in found:
        if parse_who(who).root.kind == "assignee":
            context.refuse(pointer, "a task that is about to open has no assignee; name somebody else")
    return [Seating(who=who, weight=approver.weight, when=when) for who, when in found]


def stage_of(context: CompilerContext, step: Step, approvers: tuple[Seating, ...]) -> Stage:
    """Return an approval stage with every default of the step and the process filled in."""
    settings = context.settings
    duties = step.separation_of_duties or context.duties
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
        repeat=duties.repeat,
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
