"""Sub-process: another process, run as a request of its own, whose outcome is waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from placet.audit.reasons import Reason, because
from placet.audit.sealed import Sealed
from placet.definition.fields import LONGEST_TITLE, PlainObject, Title
from placet.definition.variables import normalise_input
from placet.definition.variables.shapes import Name
from placet.engine.call_results import (
    UNFINISHED,
    record_failure,
    result_of,
    reusable_result,
    reuse_result,
    set_variables,
)
from placet.engine.evaluation_context import values_at
from placet.engine.events import ChildEnded
from placet.engine.run import Run
from placet.engine.state import ChildCall, HeldResult
from placet.errors import EvaluationFailed, InputInvalid
from placet.expressions.templates import compile_template, fill
from placet.json_pointer import pointer_to
from placet.nodes.base import Answer, BaseNode, CompilerContext, Entered, NodeResult, StageTime, Written
from placet.nodes.call_base import CallType, call_spec_of
from placet.nodes.facts import NamedProcess
from placet.plan.graph import CallSpec, Node
from placet.sentences import sentence


class SubprocessNode(BaseNode):
    """Another process, run as a request of its own; its outcome chooses the edge."""

    type: Literal["subprocess"]
    template: Title
    version: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    input: PlainObject = Field(default_factory=dict)
    output: Annotated[dict[Name, Name], Field(max_length=100)] = Field(default_factory=dict)


class SubprocessType(CallType[SubprocessNode]):
    """Starts a request of another process; that request's outcome is the result."""

    kind = "subprocess"
    noun = "sub-process"
    runs_process = True
    plain = frozenset({"approved"})
    faults = UNFINISHED
    in_vain = UNFINISHED

    def compile(self, context: CompilerContext, definition: SubprocessNode, here: str, written: Written) -> Node:
        """Compile its input, and hold the names on both sides to the other process's variables."""
        edges = self.compile_edges(context, written)
        context.require_variables(definition.output, here)
        filling = compile_template(definition.input, context.scope, f"{here}/input", context.problems)
        named = self.named(definition).reference
        variables = context.children.get(named)
        if variables is None:
            message = sentence(
                "no process {named!r} is published that can run here, without this one inside; "
                "publish it, or name another",
                named=named,
            )
            context.refuse(f"{here}/template", message)
        else:
            places = [(pointer_to(f"{here}/input", name), name) for name in definition.input]
            places += [(pointer_to(f"{here}/output", to), name) for to, name in definition.output.items()]
            for pointer, name in places:
                if name not in variables:
                    context.refuse(
                        pointer,
                        sentence("{named!r} has no variable {name!r}; correct the name", named=named, name=name),
                    )
        call_spec = CallSpec(name=named, input=filling, output=dict(definition.output))
        return Node(id=definition.id, type=self.kind, edges=edges, call_spec=call_spec)

    def named(self, definition: SubprocessNode) -> NamedProcess:
        """Return the process that it refers to."""
        return NamedProcess(
            template=definition.template,
            version=definition.version,
            input=definition.input,
            output=definition.output,
        )

    def results(self, node: Node) -> tuple[str, ...]:
        """Come to `approved`, and to whatever edges name: its outcomes are its own."""
        return self.followed(node, "approved")

    def longest(self, node: Node, stage_time: StageTime) -> timedelta | None:
        """Take as long as the other process, whose own check reports its duration."""
        return None

    def enter(self, run: Run, node: Node) -> Entered:
        """Start it, unless what it came to before counts; it fails at once where its input is not taken."""
        call_spec = call_spec_of(node)
        child = run.plan.children[call_spec.name]
        visit = run.visit(node.id)
        try:
            given = fill(call_spec.input, values_at(run), run.allowance)
            given = normalise_input(child.plan.variables, given)
        except (EvaluationFailed, InputInvalid) as error:
            why = because("input_unfit", cause=error.reason)
            return NodeResult("failed", record_failure(run, "child_failed", node, why))
        if (kept := reusable_result(run, node, given)) is not None and kept.outcome not in UNFINISHED:
            return NodeResult(*reuse_result(run, node, kept))
        call = ChildCall(
            request_id=f"{run.state.request_id}~{sum(run.state.visits.values())}",
            node=node.id,
            visit=visit,
            child=call_spec.name,
            title=f"{child.plan.name}: {run.state.title}"[:LONGEST_TITLE],
            input=given,
        )
        run.children[node.id] = call
        run.record(
            "child_started",
            node=node.id,
            request=call.request_id,
            blueprint=child.plan.name,
            version=child.plan.version,
            input=Sealed(given),
        )
        return None

    def settle(self, run: Run, node: Node, answer: Answer) -> Entered:
        """Take its outcome; it has failed where its variables do not fit."""
        if not isinstance(answer, ChildEnded):
            self.unexpected(node, answer)
        call = run.children.pop(node.id)
        held = HeldResult(node=node.id, visit=call.visit, output=answer.output, outcome=answer.outcome)
        run.keep_result(lambda: result_of(run, held, call, counts_for=run.state.material))
        outcome = answer.outcome
        why: Reason | None = None
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if outcome not in UNFINISHED:
            try:
                before, after = set_variables(run, call_spec_of(node).output, answer.output, "/output")
            except InputInvalid as error:
                outcome, why = "failed", because("result_unfit", cause=error.reason)
        run.record(
            "child_ended",
            node=node.id,
            request=call.request_id,
            outcome=outcome,
            why=why,
            before=Sealed(before),
            after=Sealed(after),
        )
        return NodeResult(outcome, why or because("child_came_to", request=call.request_id, outcome=outcome))
