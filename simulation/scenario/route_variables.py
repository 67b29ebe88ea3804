"""Route variables: what the pure actions on a route set variables to, as values and as expressions over the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from placet.definition.json_schema.validation import value_problems
from placet.definition.variables import Variable, scope_of, values_of
from placet.engine.call_results import after_output
from placet.errors import EvaluationFailed, InputInvalid
from placet.expressions import Expression
from placet.expressions.substitution import constant, substituted, widened
from placet.expressions.templates import expression_of, fill, value_from
from placet.nodes.call_base import call_spec_of
from placet.nodes.registry import type_at
from placet.plan import pure_actions
from placet.plan.graph import CallSpec, Node
from placet.plan.plan import Plan

# The values of a request's variables, as `placet.definition.variables.normalise_input` returns them.
Given = Mapping[str, Any]


def is_pure(plan: Plan, node: Node) -> bool:
    """Whether a node is a pure action."""
    return type_at(node).runs_action and pure_actions.is_pure(plan.actions[call_spec_of(node).name])


def variables_after(plan: Plan, given: Given, steps: Sequence[str], context: Mapping[str, object]) -> Given | None:
    """Return the variables once these nodes have run in their order; None where one of them fails.

    `context` is what expressions read besides variables (placet.expressions.types).
    """
    for name in steps:
        call_spec = call_spec_of(plan.nodes[name])
        spec = plan.actions[call_spec.name]
        try:
            filled = fill(call_spec.input, {**values_of(plan.variables, given), **context})
            if value_problems(spec.input_schema, filled, "/input"):
                return None
            output, faults = pure_actions.computed(spec, filled)
            if faults:
                return None
            given = after_output(plan.variables, given, call_spec.output, output)
        except (EvaluationFailed, InputInvalid):
            return None
    return given


def reads_of(plan: Plan, steps: Sequence[str]) -> frozenset[str]:
    """Return the names that the computations of these nodes read: variables, the time, the requester."""
    return frozenset(
        n for step in steps for e in call_spec_of(plan.nodes[step]).input.expressions.values() for n in e.reads
    )


def as_expressions(plan: Plan, steps: Sequence[str]) -> dict[str, Expression | None]:
    """Return the variables that these nodes set as expressions over the input; None where there is no expression."""
    scope = scope_of(plan.variables)
    shapes = {variable.name: variable for variable in plan.variables}
    known: dict[str, Expression | None] = {}
    for name in steps:
        call_spec = call_spec_of(plan.nodes[name])
        known |= {
            variable: _substituted(
                _computed_expression(call_spec, shapes[variable], source), known, shapes[variable], scope
            )
            for variable, source in call_spec.output.items()
        }
    return known


def computed_expressions(plan: Plan, step: str) -> dict[str, Expression | None]:
    """Return what a node computes for the variables that it sets, before these are validated."""
    call_spec = call_spec_of(plan.nodes[step])
    shapes = {variable.name: variable for variable in plan.variables}
    return {
        variable: _computed_expression(call_spec, shapes[variable], source)
        for variable, source in call_spec.output.items()
    }


def _substituted(
    expression: Expression | None, known: Mapping[str, Expression | None], variable: Variable, scope: Mapping[str, Any]
) -> Expression | None:
    if expression is None or (fitting := widened(expression, scope[variable.name])) is None:
        return None
    return substituted(fitting, known)


def _computed_expression(call_spec: CallSpec, variable: Variable, source: str) -> Expression | None:
    value = value_from(call_spec.input.template, source)
    text = expression_of(value)
    if text is not None:
        expression = call_spec.input.expressions[text]
        # A name alone is left out where it has no value, and then a default takes its place.
        alone = expression.ast["op"] == "name" and variable.default is not None
        return None if alone else expression
    if value is None or isinstance(value, dict | list | tuple):
        return None
    try:
        canonical = after_output([variable], {}, {variable.name: "value"}, {"value": value})[variable.name]
    except InputInvalid:
        return None
    return constant(canonical, scope_of([variable])[variable.name])
