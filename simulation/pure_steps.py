"""Pure steps: what the pure actions on a route make of the variables, worked out with the core, and as expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from placet import pure
from placet.conditions import Expression
from placet.conditions.substitution import constant, substituted, widened
from placet.errands import after_output
from placet.errors import EvaluationFailed, InputInvalid
from placet.fillings import expression_of, fill, taken
from placet.plan import Plan
from placet.points import Errand, Point
from placet.schemas import value_problems
from placet.variables import Variable, scope_of, values_of

Given = Mapping[str, Any]  # the values of a request's variables, as `placet.variables.normalise_input` returns them


def is_pure(plan: Plan, point: Point) -> bool:
    """Whether a node only computes."""
    return point.type == "action" and point.errand is not None and pure.is_pure(plan.actions[point.errand.name])


def after(plan: Plan, given: Given, steps: Sequence[str], world: Mapping[str, object]) -> Given | None:
    """Return the variables once these nodes have run in their order; None where one of them fails.

    `world` is what expressions read besides (placet.conditions.world).
    """
    for name in steps:
        errand = _errand(plan, name)
        spec = plan.actions[errand.name]
        try:
            filled = fill(errand.input, {**values_of(plan.variables, given), **world})
            if value_problems(spec.input_schema, filled, "/input"):
                return None
            output, faults = pure.computed(spec, filled)
            if faults:
                return None
            given = after_output(plan.variables, given, errand.output, output)
        except (EvaluationFailed, InputInvalid):
            return None
    return given


def reads_of(plan: Plan, steps: Sequence[str]) -> frozenset[str]:
    """Return what the computations of these nodes depend on: variables, the moment, the requester."""
    return frozenset(n for step in steps for e in _errand(plan, step).input.expressions.values() for n in e.reads)


def as_expressions(plan: Plan, steps: Sequence[str]) -> dict[str, Expression | None]:
    """Return what these nodes set variables to, over the variables as they were before; None: no words for it."""
    scope = scope_of(plan.variables)
    shapes = {variable.name: variable for variable in plan.variables}
    known: dict[str, Expression | None] = {}
    for name in steps:
        errand = _errand(plan, name)
        known |= {
            variable: _over(_made(errand, shapes[variable], source), known, shapes[variable], scope)
            for variable, source in errand.output.items()
        }
    return known


def made(plan: Plan, step: str) -> dict[str, Expression | None]:
    """Return what a node computes for the variables that it sets, before that is held to their declarations."""
    errand = _errand(plan, step)
    shapes = {variable.name: variable for variable in plan.variables}
    return {variable: _made(errand, shapes[variable], source) for variable, source in errand.output.items()}


def _over(
    expression: Expression | None, known: Mapping[str, Expression | None], variable: Variable, scope: Mapping[str, Any]
) -> Expression | None:
    if expression is None or (fitting := widened(expression, scope[variable.name])) is None:
        return None
    return substituted(fitting, known)


def _made(errand: Errand, variable: Variable, source: str) -> Expression | None:
    value = taken(errand.input.template, source)
    text = expression_of(value)
    if text is not None:
        expression = errand.input.expressions[text]
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


def _errand(plan: Plan, name: str) -> Errand:
    errand = plan.points[name].errand
    assert errand is not None, f"{name} is an action"  # noqa: S101
    return errand
