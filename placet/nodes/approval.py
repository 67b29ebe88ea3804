"""Approval: a stage of the process, in which people decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from placet.audit.sealed import Sealed
from placet.definition.assignees import parse_assignee
from placet.definition.fields import Title
from placet.definition.steps import ChosenApprover, Quorum, Step, WeightedApprover
from placet.engine.call_results import set_variables
from placet.engine.run import Run
from placet.engine.state import StageRun
from placet.errors import ConditionInvalid
from placet.json_pointer import pointer_to
from placet.nodes.base import (
    Answer,
    BaseNode,
    CompilerContext,
    Entered,
    MigrationContext,
    NodeResult,
    NodeType,
    Outputs,
    StageTime,
    Value,
    Written,
)
from placet.nodes.facts import FactsContext, Named, NodeFacts
from placet.plan.assignee_expressions import choices
from placet.plan.graph import ApproverSpec, Node, QuorumRule, SignRule, SlaLevel, Stage
from placet.plan.plan import Plan
from placet.sentences import sentence
from placet.tasks.eligibility import decided_elsewhere
from placet.tasks.quorum import reachable, stage_result
from placet.tasks.stages import close_stage, open_stage


class ApprovalNode(BaseNode):
    """A stage: `step` is the stage_name of one of process_steps, `output` sets variables from the decision's form."""

    type: Literal["approval"]
    step: Title
    output: Outputs = Field(default_factory=dict)


class ApprovalType(NodeType[ApprovalNode]):
    """Asks people, with the result `approved`, `rejected` or `expired`."""

    kind = "approval"
    has_results = True
    has_conditions = False
    pauses = True
    waits_outside = False
    plain = frozenset({"approved"})

    def compile(self, context: CompilerContext, definition: ApprovalNode, here: str, written: Written) -> Node | None:
        """Compile its stage; None where there is no such step."""
        found = context.step(definition.step)
        if found is None:
            context.refuse(
                f"{here}/step", sentence("no process step has the stage_name {step!r}; add one", step=definition.step)
            )
            return None
        index, step = found
        edges = self.compile_edges(context, written)
        stage = stage_of(context, step, _approver_specs(context, step, f"/process_steps/{index}"))
        context.require_variables(definition.output, here)
        if definition.output and step.form is None:
            message = sentence(
                "stage {step!r} has no form to take values from; give the step a form", step=definition.step
            )
            context.refuse(f"{here}/output", message)
        output = dict(definition.output)
        return Node(id=definition.id, type=self.kind, edges=edges, stage=stage, output=output)

    def facts(self, definition: ApprovalNode, context: FactsContext) -> NodeFacts:
        """Return the possible results and the variables that the form sets.

        The form's required fields are set for certain, unless a timeout approves.
        """
        step = context.step
        timed = step is not None and (step.sla_hours is not None or step.sla is not None)
        expires = step is not None and timed and step.final == "expire"
        asks: frozenset[str] = frozenset()
        if step is not None and step.form is not None and step.final != "approve":
            required = step.form.get("required", ())
            asks = frozenset(name for name, source in definition.output.items() if source in required)
        results = ("approved", "rejected", "expired") if expires else ("approved", "rejected")
        return NodeFacts(results=results, sets=frozenset(definition.output), asks=asks)

    def named(self, definition: ApprovalNode) -> Named | None:
        """Have nothing run."""
        return None

    def output(self, definition: ApprovalNode) -> Mapping[str, str]:
        """Take from its form."""
        return definition.output

    def step_name(self, definition: ApprovalNode) -> str | None:
        """Ask as its process step says."""
        return definition.step

    def results(self, node: Node) -> tuple[str, ...]:
        """Come to what people decide, and expire where a clock says so."""
        stage = node.stage
        expires = stage is not None and stage.final == "expire" and stage.sla is not None
        return ("approved", "rejected", "expired") if expires else ("approved", "rejected")

    def longest(self, node: Node, stage_time: StageTime) -> timedelta | None:
        """Take as long as its stage."""
        return stage_time(node.stage) if node.stage is not None else None

    def visits(self, run: Run, node: Node) -> int:
        """Count the times that people were asked."""
        return run.state.asked.get(node.id, 0)

    def enter(self, run: Run, node: Node) -> Entered:
        """Open the stage; earlier approvals may carry it at once."""
        if run.rules.counts_visits_of_approvals:
            run.set(asked=run.state.asked | {node.id: self.visits(run, node) + 1})
        result = open_stage(run, node)
        return NodeResult(result) if result is not None else None

    def settle(self, run: Run, node: Node, answer: Answer) -> Entered:
        """Close the stage with its result, and set variables from the form that was filled in last."""
        if not isinstance(answer, str):
            self.unexpected(node, answer)
        close_stage(run, node, answer, _filled_in(run, node))
        return NodeResult(answer)

    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """Find the node of the same stage there."""
        migrate_stage(run, node, move)

    def follow(self, run: Run, before: Node, old: Plan) -> None:
        """Change nothing: the deadlines of all open tasks move in the order of the tasks (placet.engine.migration)."""

    def sets(self, node: Node) -> frozenset[str]:
        """Set what it takes from the form."""
        return frozenset(node.output)

    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """Lead everywhere."""
        return [edge.target for edge in node.edges]


def _filled_in(run: Run, node: Node) -> dict[str, Any]:
    """Set an approval's variables from the form that was filled in last; returns what the record says of it."""
    decided = [task for task in run.tasks_of(run.stages[node.id]) if task.form is not None and not task.provisional]
    if not node.output or not decided:
        return {}
    last = max(reversed(decided), key=lambda task: task.decided_at or task.opened_at)
    before, after = set_variables(run, node.output, last.form or {}, "/form")
    return {"before": Sealed(before), "after": Sealed(after)}


def migrate_stage(run: Run, node: Node, move: MigrationContext) -> None:
    """Find the node at which the stage that is open at this one can go on."""
    stage_run, before = run.stages[node.id], run.stage_at(node.id)
    here = pointer_to("/stages", before.name)
    found = homes(move.plan, node.id, before.name)
    if len(found) != 1:
        message = (
            sentence(
                "in that version stage {name!r} is at several nodes, but not at node {node!r}",
                name=before.name,
                node=node.id,
            )
            if found
            else sentence(
                "in that version stage {name!r} does not exist; it is open at node {node!r}",
                name=before.name,
                node=node.id,
            )
        )
        move.refuse(here, message)
        return
    if found[0] in move.moved.values():
        move.refuse(here, sentence("two stages that are open would both be at node {found!r}", found=found[0]))
        return
    move.moved[node.id] = found[0]
    stage = move.plan.nodes[found[0]].stage
    if stage is not None and stage_run.returned_at is None:
        for message in _unfit(run, stage_run, before, stage):
            move.refuse(here, message)


def homes(plan: Plan, place: str, stage: str) -> list[str]:
    """List the nodes that a stage can be at: the one of the same id where it has that stage, else all that have."""
    found = [node.id for node in plan.nodes.values() if node.asked is not None and node.asked.name == stage]
    return [place] if place in found else found


def _unfit(run: Run, stage_run: StageRun, before: Stage, stage: Stage) -> Iterator[str]:
    """Say why the other version's rules do not fit a stage's seats and votes. The seats stay as they were filled."""
    name = repr(stage.name)
    if stage.order != before.order and len(stage_run.seats) > 1:
        yield sentence(
            "stage {name} asks its people {order} in that version, and has begun to ask them {before}",
            name=name,
            order=stage.order,
            before=before.order,
        )
    if not reachable(stage.need, stage_run.seats, stage_run.intended):
        yield sentence(
            "the quorum of stage {name} there can never be met by the {count} seats that it opened",
            name=name,
            count=len(stage_run.seats),
        )
    elif result := stage_result(run, stage_run, stage):
        yield sentence(
            "by the votes so far stage {name} would be {result} there at once; move it when the stage is settled",
            name=name,
            result=result,
        )
    if stage.repeat != "forbid":
        return
    for task in run.tasks_of(stage_run):
        if task.status == "open" and task.people:
            barred = [person for person in task.people if decided_elsewhere(run, person, stage_run.node)]
            if len(barred) == len(task.people):
                yield sentence(
                    "user:{barred} decided another stage, and may not decide {name} there; reassign {task_id}",
                    barred=barred[0],
                    name=name,
                    task_id=task.id,
                )


def _approver_specs(context: CompilerContext, step: Step, here: str) -> tuple[ApproverSpec, ...]:
    approver_specs: list[ApproverSpec] = []
    for number, approver in enumerate(step.approvers):
        if isinstance(approver, str):
            approver_specs.append(ApproverSpec(who=approver))
        elif isinstance(approver, WeightedApprover):
            approver_specs.append(ApproverSpec(who=approver.who, weight=approver.weight))
        else:
            approver_specs += _chosen(context, approver, f"{here}/approvers/{number}/expr")
    return tuple(approver_specs)


def _chosen(context: CompilerContext, approver: ChosenApprover, pointer: str) -> list[ApproverSpec]:
    """Return the people whom an expression may choose, each with the condition under which it does."""
    try:
        found = choices(approver.expr, context.scope)
    except ConditionInvalid as error:
        context.refuse(pointer, error.message)
        return []
    for who, _ in found:
        if parse_assignee(who).root.kind == "assignee":
            context.refuse(pointer, "a task that is about to open has no assignee; name somebody else")
    return [ApproverSpec(who=who, weight=approver.weight, when=when) for who, when in found]


def stage_of(context: CompilerContext, step: Step, approvers: tuple[ApproverSpec, ...]) -> Stage:
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
    levels: tuple[SlaLevel, ...] = ()
    if step.escalates and step.escalation is not None:
        levels = tuple(SlaLevel(after=_hours(lv.after_hours), to=lv.to, action=lv.action) for lv in step.escalation)
    elif step.escalates and step.escalation_to is not None:
        levels = (SlaLevel(after=timedelta(0), to=step.escalation_to),)
    return Stage(
        name=step.stage_name,
        approvers=approvers,
        need=_need(step.quorum),
        rejection=step.rejection,
        order=step.order,
        claim=step.claim,
        least_loaded=step.assign == "least_loaded",
        sla=None if target is None else _hours(target),
        undo=timedelta(seconds=step.undo_seconds) if step.undo_seconds else None,
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
        # A signature is given for this stage: no earlier approval stands for it.
        repeat="allow" if step.sign is not None and duties.repeat == "carry" else duties.repeat,
        ad_hoc=None if step.ad_hoc else "forbidden",
        agent_principal=None if duties.agent_principal == "allow" else "forbid",
        sign=None if step.sign is None else SignRule(reasons=step.sign.reasons),
    )


def _need(quorum: str | Quorum) -> QuorumRule:
    if isinstance(quorum, Quorum):
        if quorum.at_least is not None:
            return QuorumRule(kind="at_least", value=float(quorum.at_least))
        if quorum.percent is not None:
            return QuorumRule(kind="percent", value=quorum.percent)
        return QuorumRule(kind="weight", value=float(quorum.weight or 1))
    return QuorumRule(kind="all") if quorum == "all" else QuorumRule(kind="any")


def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)
