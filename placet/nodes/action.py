"""Action: run an action of the catalog and wait for its result."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from placet.audit.reasons import because
from placet.audit.sealed import Sealed
from placet.definition.action_spec import ActionCall, ActionSpec
from placet.definition.fields import LONGEST_TITLE, PlainObject, Title
from placet.definition.steps import SeparationOfDuties, Step
from placet.engine.call_results import (
    earlier_results,
    failure_reason,
    record_failure,
    result_of,
    reusable_result,
    reuse_result,
    set_variables,
)
from placet.engine.evaluation_context import values_at
from placet.engine.events import ActionDone
from placet.engine.run import Run
from placet.engine.state import HeldResult
from placet.errors import EvaluationFailed, InputInvalid
from placet.expressions.templates import compile_template, fill
from placet.json_pointer import pointer_to
from placet.nodes.approval import migrate_stage, stage_of
from placet.nodes.base import (
    Answer,
    BaseNode,
    CompilerContext,
    Entered,
    MigrationContext,
    NodeResult,
    Outputs,
    StageTime,
    Written,
)
from placet.nodes.call_base import CallType, call_spec_of
from placet.nodes.facts import FactsContext, NamedAction, NodeFacts
from placet.plan.graph import ApproverSpec, CallSpec, Node, Stage
from placet.sentences import sentence
from placet.tasks.stages import close_stage, open_stage

LONGEST_ACTION = timedelta(hours=24)  # of one attempt, in the slowest latency class


class ActionNode(BaseNode):
    """A run of a catalog action: `{"expr": …}` in `input` is computed, `output` sets variables from what comes back.

    Where the request is changed and comes here again with another input, an action that is not idempotent asks the
    owner before it runs again; with `rerun` it does not.
    """

    type: Literal["action"]
    action: Title
    input: PlainObject = Field(default_factory=dict)
    output: Outputs = Field(default_factory=dict)
    rerun: bool = False


class ActionType(CallType[ActionNode]):
    """Runs an action, with the result `done` or `failed`."""

    kind = "action"
    noun = "action"
    runs_action = True
    plain = frozenset({"done"})
    faults = frozenset({"done", "failed"})
    in_vain = frozenset({"failed"})

    def compile(self, context: CompilerContext, definition: ActionNode, here: str, written: Written) -> Node:
        """Compile its input, and hold the names of its parameters to the catalog."""
        edges = self.compile_edges(context, written)
        context.require_variables(definition.output, here)
        filling = compile_template(definition.input, context.scope, f"{here}/input", context.problems)
        spec = context.actions.get(definition.action)
        if spec is None:
            known = ", ".join(sorted(context.actions)[:20]) or "none"
            message = sentence(
                "there is no action {action!r} in the catalog; there are: {known}",
                action=definition.action,
                known=known,
            )
            context.refuse(f"{here}/action", message)
        else:
            _require_parameters(context, definition, spec, here)
        return Node(
            id=definition.id,
            type=self.kind,
            edges=edges,
            call_spec=CallSpec(name=definition.action, input=filling, output=dict(definition.output)),
            repetition=_repetition(context, definition, spec),
        )

    def named(self, definition: ActionNode) -> NamedAction:
        """Return the action of the catalog."""
        return NamedAction(name=definition.action, input=definition.input, output=definition.output)

    def facts(self, definition: ActionNode, context: FactsContext) -> NodeFacts:
        """Tell what it can come to as well."""
        return replace(super().facts(definition, context), results=("done", "failed"))

    def results(self, node: Node) -> tuple[str, ...]:
        """Come to `done`, and to whatever edges name."""
        return self.followed(node, "done")

    def longest(self, node: Node, stage_time: StageTime) -> timedelta | None:
        """Take as long as one attempt in the slowest latency class."""
        return LONGEST_ACTION

    def enter(self, run: Run, node: Node) -> Entered:
        """Have it run."""
        return self._begin(run, node, again=False)

    def settle(self, run: Run, node: Node, answer: Answer) -> Entered:
        """Take its result, or the owner's decision on running it again."""
        if isinstance(answer, ActionDone):
            return self._end(run, node, answer)
        if not isinstance(answer, str):
            self.unexpected(node, answer)
        close_stage(run, node, answer)
        if answer == "approved":
            return self._begin(run, node, again=True)
        before = next((r for r in earlier_results(run, node) if r.ok), None)
        if before is None:
            return NodeResult("failed", record_failure(run, "action_failed", node, because("not_let_again")))
        return NodeResult(*reuse_result(run, node, before))

    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """Go on with the same action there, or with asking the owner."""
        if node.id in run.stages:
            migrate_stage(run, node, move)
        else:
            super().migrate(run, node, move)

    def _begin(self, run: Run, node: Node, *, again: bool) -> Entered:
        """Run an action, unless an earlier result counts.

        It fails at once where its input cannot be computed. Where the request goes again from its first node with the
        same input, the earlier result is used. An action that is not idempotent asks the owner before it runs again,
        unless this run is `again` because they allowed it.
        """
        call_spec = call_spec_of(node)
        visit = run.visit(node.id)
        try:
            given = fill(call_spec.input, values_at(run), run.allowance)
        except EvaluationFailed as error:
            why = because("input_not_computed", cause=error.reason)
            return NodeResult("failed", record_failure(run, "action_failed", node, why))
        if (kept := reusable_result(run, node, given)) is not None and kept.ok:
            return NodeResult(*reuse_result(run, node, kept))
        stray = next((c for c in run.strays if (c.node, c.action, c.input) == (node.id, call_spec.name, given)), None)
        if stray is not None:
            run.strays.remove(stray)
            run.actions[node.id] = stray
            run.record("action_kept", node=node.id, action=call_spec.name, visit=stray.visit)
            return None
        before = earlier_results(run, node)
        if again:
            run.results = [r for r in run.results if r not in before[:1]]
        elif node.repetition is not None and (before or any(c.node == node.id for c in run.strays)):
            open_stage(run, node)
            return None
        # It goes into headers, which take no other letters; what ASCII an id had before stays as it is.
        key = f"{run.state.request_id}:{quote(node.id, safe=':')}:{visit}"
        call = ActionCall(key=key, node=node.id, visit=visit, action=call_spec.name, input=given)
        run.actions[node.id] = call
        run.record("action_started", node=node.id, action=call_spec.name, visit=visit, input=Sealed(given))
        return None

    def _end(self, run: Run, node: Node, event: ActionDone) -> Entered:
        call = run.actions.pop(node.id)
        held = HeldResult(node=node.id, visit=call.visit, ok=event.ok, output=event.output)
        run.keep_result(lambda: result_of(run, held, call, counts_for=run.state.material))
        if not event.ok:
            why = record_failure(run, "action_failed", node, failure_reason(event), action=call.action)
            return NodeResult("failed", why)
        try:
            before, after = set_variables(run, call_spec_of(node).output, event.output, "/output")
        except InputInvalid as error:
            why = because("output_unfit", cause=error.reason)
            return NodeResult("failed", record_failure(run, "action_failed", node, why))
        run.record(
            "action_run",
            node=node.id,
            action=call.action,
            visit=call.visit,
            before=Sealed(before),
            after=Sealed(after),
        )
        return NodeResult("done")


def _require_parameters(context: CompilerContext, definition: ActionNode, spec: ActionSpec, here: str) -> None:
    """Hold the names of an action's parameters to its input schema; the values are known when it runs."""
    known = spec.input_schema.get("properties")
    if isinstance(known, dict) and spec.input_schema.get("additionalProperties") is False:
        for name in definition.input:
            if name not in known:
                names = ", ".join(known) or "none"
                message = sentence(
                    "{action!r} takes no {name!r}; it takes: {names}", action=definition.action, name=name, names=names
                )
                context.refuse(pointer_to(f"{here}/input", name), message)
    for name in spec.input_schema.get("required", ()):
        if name not in definition.input:
            context.refuse(
                f"{here}/input", sentence("{action!r} needs {name!r}; add it", action=definition.action, name=name)
            )


def _repetition(context: CompilerContext, definition: ActionNode, spec: ActionSpec | None) -> Stage | None:
    """Return the stage in which the owner decides whether a non-idempotent action runs again."""
    if spec is None or spec.is_idempotent or definition.rerun or context.on_change != "restart":
        return None
    step = Step(
        stage_name=f"Run {definition.action} again"[:LONGEST_TITLE],
        approvers=("owner",),
        separation_of_duties=SeparationOfDuties(repeat="allow"),
    )
    return stage_of(context, step, (ApproverSpec(who="owner"),))
