"""Notify: send a message to people without asking anything, and go on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from placet.audit.reasons import because
from placet.audit.sealed import Sealed
from placet.definition.assignees import parse_assignee
from placet.definition.fields import AssigneeText, Condition, Model, shape
from placet.engine.evaluation_context import values_at
from placet.engine.run import Run
from placet.errors import ConditionInvalid, EvaluationFailed
from placet.expressions import compile_expression, evaluate
from placet.expressions.templates import ValueTemplate
from placet.nodes.base import BaseNode, CompilerContext, Entered, PassingType, RequestFails, Value, Written
from placet.nodes.facts import FactsContext, NodeFacts
from placet.plan.graph import Node
from placet.tasks.candidates import resolve

LONGEST_MESSAGE = 2000  # characters, as many as a notice shows; of one that is computed, what exceeds it is left out
MOST_TOLD = 1000  # people at one node, for all that happens in one event travels in one payload


class ComputedText(Model):
    """A text that an expression computes."""

    expr: Condition


Message = Annotated[
    Annotated[str, Field(min_length=1, max_length=LONGEST_MESSAGE), Tag("text")]
    | Annotated[ComputedText, Tag("object")],
    Discriminator(shape),
]


class NotifyNode(BaseNode):
    """A message `to` people, each once; nobody is asked for anything, and the request goes on by the one edge."""

    type: Literal["notify"]
    to: Annotated[tuple[AssigneeText, ...], Field(min_length=1, max_length=50)]
    message: Message


class NotifyType(PassingType[NotifyNode]):
    """Notifies people, records whom and of what, and goes on at once."""

    kind = "notify"

    def compile(self, context: CompilerContext, definition: NotifyNode, here: str, written: Written) -> Node:
        """Compile the message, and hold the names to what there can be."""
        context.require_people(definition.to, f"{here}/to")
        values = ValueTemplate(template={"message": definition.message})
        if isinstance(definition.message, ComputedText):
            text = definition.message.expr
            values = ValueTemplate(template={"message": {"expr": text}})
            try:
                expressions = {text: compile_expression(text, context.scope, kinds=("string",))}
                values = ValueTemplate(template=values.template, expressions=expressions)
            except ConditionInvalid as error:
                context.refuse(f"{here}/message/expr", error.message)
        onward = self.compile_edges(context, written)
        return Node(id=definition.id, type=self.kind, edges=onward, people=definition.to, values=values)

    def facts(self, definition: NotifyNode, context: FactsContext) -> NodeFacts:
        """Tell whom it names, and what it computes."""
        message, here = definition.message, context.pointer
        return NodeFacts(
            names=tuple((f"{here}/to/{index}", name) for index, name in enumerate(definition.to)),
            computes=tuple(context.computed(f"{here}/message/expr", message.expr))
            if isinstance(message, ComputedText)
            else (),
        )

    def enter(self, run: Run, node: Node) -> Entered:
        """Tell everybody whom a name stands for now.

        A name that stands for nobody is on record as `missing`, and how many were too many as `left_out`.
        """
        try:
            message = _message(run, node)
        except EvaluationFailed as error:
            return RequestFails(because("not_computed", node=node.id, cause=error.reason))
        people: dict[str, None] = {}
        missing: list[str] = []
        for name in node.people:
            found = [p for p in resolve(run, parse_assignee(name)) if run.directory.get(p) is not None]
            missing += [] if found else [name]
            people |= dict.fromkeys(found)
        told = list(people)[:MOST_TOLD]
        run.record(
            "informed",
            node=node.id,
            why=Sealed(message),  # once for all notices, which show what their entry says
            to=[f"user:{person}" for person in told],
            missing=missing or None,
            left_out=len(people) - len(told) or None,
        )
        run.notify("informed", *told)
        return self.pass_on(node)

    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """Lead on, once its message can be computed."""
        for expression in _values(node).expressions.values():
            value(expression)
        return super().possible_edges(node, value)


def _message(run: Run, node: Node) -> str:
    """Return the text; raises EvaluationFailed where it cannot be computed."""
    values = _values(node)
    for expression in values.expressions.values():
        return str(evaluate(expression, values_at(run), run.allowance))[:LONGEST_MESSAGE]
    return str(values.template["message"])


def _values(node: Node) -> ValueTemplate:
    assert node.values is not None, f"{node.id} has a message"  # noqa: S101
    return node.values
