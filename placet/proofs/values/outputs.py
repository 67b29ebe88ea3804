"""Outputs: whether the values that a process computes for a variable fit its declaration, for every input.

That is what pure actions return (for this process's variables) and what sub-processes are given (for theirs). What a
real request would do is the judge of every witness: the value is computed and read as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from placet.definition.action_spec import ActionSpec
from placet.definition.variables import Variable, scope_of
from placet.definition.variables.shapes import MAX_ITEMS, MAX_LENGTH, Shape, read
from placet.errors import ConditionInvalid, EvaluationFailed, Problem
from placet.expressions import Expression, compile_expression, evaluate
from placet.expressions.templates import as_json, computed_in, expression_of, value_from
from placet.json_pointer import parts_of, pointer_of, pointer_to
from placet.nodes.facts import NamedAction, NamedProcess
from placet.nodes.registry import type_of
from placet.plan.plan import Child
from placet.plan.pure_actions import computes
from placet.proofs.draft import Draft, DraftNode
from placet.proofs.findings import Finding, error, warning, what_follows
from placet.proofs.solver import Undecided
from placet.proofs.solver.samples import sample_input
from placet.proofs.values.interfaces import GIVEN
from placet.proofs.values.reachability import Reach
from placet.proofs.values.runs import Values
from placet.sentences import sentence, shortened

LONGEST_FAULT = 500  # characters of what is told of a value

_SCALARS = {"string", "integer", "decimal", "boolean", "date", "datetime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _DeclaredValue:
    """A value that has to fit a variable's declaration: where it is written, and what it is for."""

    pointer: str
    template: Any
    variable: Variable
    purpose: str
    given: bool = False  # to a sub-process


def output_findings(
    draft: Draft, reach: Reach, actions: Mapping[str, ActionSpec] | None, children: Mapping[str, Child] | None
) -> Iterator[Finding]:
    """Generate the values that break a declaration, at the nodes that some input reaches."""
    for node in draft.definition.graph_spec.nodes if draft.definition.graph_spec is not None else ():
        draft_node = draft.nodes[node.id]
        values: list[_DeclaredValue] = []
        named = type_of(node).named(node)
        if isinstance(named, NamedAction) and computes(named.name, actions):
            values = list(_returned(draft, named, draft_node.pointer))
        elif isinstance(named, NamedProcess) and (child := (children or {}).get(named.reference)) is not None:
            values = list(_given(named, child, draft_node.pointer))
        if values and reach.is_reachable(node.id):
            for value in values:
                yield from _DeclarationCheck(draft, reach, draft_node, value).findings()


def _returned(draft: Draft, called: NamedAction, pointer: str) -> Iterator[_DeclaredValue]:
    shapes = {variable.name: variable for variable in draft.definition.variables}
    for name, source in called.output.items():
        if name in shapes:
            edge = parts_of(source) if source[:1] == "/" else [source]
            template = value_from(called.input, source)
            there = template is not None
            place = f"{pointer}/input{pointer_of(edge)}" if there else pointer_to(f"{pointer}/output", name)
            yield _DeclaredValue(
                pointer=place,
                template=template,
                variable=shapes[name],
                purpose=sentence("the variable {name!r}", name=name),
            )


def _given(called: NamedProcess, child: Child, pointer: str) -> Iterator[_DeclaredValue]:
    for variable in child.plan.variables:
        if variable.name in called.input and expression_of(called.input[variable.name]) is not None:
            place = pointer_to(f"{pointer}/input", variable.name)
            purpose = sentence("{variable_name!r} of {name!r}", variable_name=variable.name, name=child.plan.name)
            template = called.input[variable.name]
            yield _DeclaredValue(pointer=place, template=template, variable=variable, purpose=purpose, given=True)


def contains(shape: Shape, other: Shape) -> bool:
    """Say whether this shape takes everything that the other one takes, as far as can be told."""
    if shape.type != other.type or shape.type == "object":
        apart = {"name", "title", "description", "default", "required", "currency"}
        return shape.type == other.type and shape.model_dump(exclude=apart) == other.model_dump(exclude=apart)
    inside = [
        shape.lowest is None or (other.lowest is not None and other.lowest >= shape.lowest),
        shape.highest is None or (other.highest is not None and other.highest <= shape.highest),
        shape.enum is None or (other.enum is not None and other.choices <= shape.choices),
        shape.pattern is None or shape.pattern == other.pattern,
        (shape.min_length or 0) <= (other.min_length or 0),
        shape.scale is None or (other.scale is not None and other.scale <= shape.scale),
        shape.items is None or (other.items is not None and contains(shape.items, other.items)),
    ]
    if shape.type in {"string", "list"}:
        usual = MAX_LENGTH if shape.type == "string" else MAX_ITEMS
        most, others = (usual if one.max_length is None else one.max_length for one in (shape, other))
        longest = max(map(len, map(str, other.choices)), default=0) if other.enum is not None else others
        inside.append(longest <= most)
    return all(inside)


class _DeclarationCheck:
    """Check one value against its declaration."""

    def __init__(self, draft: Draft, reach: Reach, node: DraftNode, value: _DeclaredValue) -> None:
        self.draft = draft
        self.reach = reach
        self.node = node
        self.value = value
        self.handled = any(edge.on == "failed" for edge in node.edges)

    def findings(self) -> Iterator[Finding]:
        """Generate the findings about the value."""
        template, shape = self.value.template, self.value.variable
        text = expression_of(template)
        if text is not None:
            try:
                expression = compile_expression(text, scope_of(self.draft.definition.variables))
            except ConditionInvalid:
                return  # the compiler names it
            yield from self._computed(expression)
        elif template is None:
            if shape.required and shape.default is None:
                yield self._finding(sentence("there is no value here, and one is required"), None)
        elif next(computed_in({"": template}, ""), None) is None:
            problems: list[Problem] = []
            read(shape, template, self.value.pointer, problems)
            for problem in problems:
                yield self._finding(problem.message, None, problem.pointer)

    def _computed(self, expression: Expression) -> Iterator[Finding]:
        shape = self.value.variable
        if self._contained(expression) or (self.value.given and expression.ast["type"] not in GIVEN[shape.type]):
            return  # it fits, or its type is told already
        prover = self.reach.prover
        _, fails = prover.value(expression)
        fits = prover.fits(expression, shape) if shape.type in _SCALARS else None
        # What the solver has no words for is left open to it, so that only an input that is found says something.
        broken = z3.And(z3.Not(fails), z3.Not(fits) if fits is not None else prover.unknown())
        if expression.ast["op"] == "name" and shape.required and shape.default is None:
            broken = z3.Or(fails, broken)  # it is left out where it has no value, and then there is none
        place = f"{self.value.pointer}/expr"

        self._offer(expression)

        def unfit(values: Values) -> bool:
            return self._fault(expression, values) is not None

        try:
            shown = self.reach.show(self.node.id, [broken], expression.reads, unfit, likely=fits is not None)
        except Undecided as doubt:
            message = sentence(
                "it could not be proven that this keeps the declaration of {purpose}: {message}",
                purpose=self.value.purpose,
                message=doubt.message,
            )
            yield warning("not_proven", place, message)
            return
        if shown is not None:
            values = self.reach.values(shown.found)
            fault = self._fault(expression, values) or ""
            yield self._finding(fault, shown.parts, place, shown.note)

    def _offer(self, expression: Expression) -> None:
        """Try texts of lengths that break the declaration, because the solver is slow to find long ones."""
        shape, variables = self.value.variable, self.draft.definition.variables
        if shape.type != "string":
            return
        most = MAX_LENGTH if shape.max_length is None else shape.max_length
        for variable in variables:
            if variable.name in expression.names and variable.type == "string":
                for length in (most + 1, max((shape.min_length or 0) - 1, 0)):
                    given = sample_input(variables, {variable.name: "a" * length})
                    if given is not None:
                        self.reach.prover.offer(given)

    def _contained(self, expression: Expression) -> bool:
        """Say whether this is a variable whose own declaration is at least as narrow."""
        if expression.ast["op"] != "name":
            return False
        own = next(v for v in self.draft.definition.variables if v.name == expression.ast["name"])
        shape = self.value.variable
        there = not own.optional or not shape.required or shape.default is not None
        return there and contains(shape, own)

    def _fault(self, expression: Expression, values: Values) -> str | None:
        """Return why a computed value does not fit; None where it fits, or cannot be computed."""
        alone = expression.ast["op"] == "name" and values.get(expression.ast["name"]) is None
        shape = self.value.variable
        if alone:  # it is left out
            missing = shape.required and shape.default is None
            return sentence("there is no value here, and one is required") if missing else None
        try:
            value = as_json(evaluate(expression, values))
        except EvaluationFailed:
            return None
        problems: list[Problem] = []
        read(shape, value, "", problems)
        if not problems:
            return None
        told = sentence("this comes to {value!r}, and {message}", value=value, message=problems[0].message)
        return shortened(told, LONGEST_FAULT)

    def _finding(
        self, fault: str, parts: Mapping[str, Any] | None, place: str | None = None, note: str = ""
    ) -> Finding:
        message = sentence(
            "{fault}: it breaks the declaration of {purpose}, and {then}; compute another value{note}",
            fault=fault,
            purpose=self.value.purpose,
            then=what_follows(self.node.id, handled=self.handled),
            note=note,
        )
        if parts is None:
            try:
                shown = self.reach.arrival(self.node.id)
            except Undecided:  # the finding stands without an input
                shown = None
            parts = shown.parts if shown is not None else {}
        level = warning if self.handled else error
        return level("value_unfit", place or self.value.pointer, message, **parts)
