"""Route variables: what the computations on a route set variables to, as values and as expressions over the input.

Computations are pure actions, and sub-processes whose way to approval is one, where all that they hand back is computed
from their input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from placet.definition.json_schema.validation import value_problems
from placet.definition.variables import Variable, normalise_input, scope_of, values_of
from placet.engine.call_results import after_output
from placet.engine.run import APPROVED
from placet.errors import EvaluationFailed, InputInvalid
from placet.expressions import Expression
from placet.expressions.substitution import constant, substituted, widened
from placet.expressions.templates import expression_of, fill, value_from
from placet.expressions.types import NAMES
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


def computations_inside(plan: Plan, node: Node) -> tuple[Plan, tuple[str, ...]] | None:
    """Return the process of a sub-process node and the pure actions on its one way to approval.

    Returns None for another node, and where the way or what it hands back depends on more than its input.
    """
    if node.calls is None or type_at(node).runs_action:
        return None
    child, steps = plan.children[node.calls].plan, list[str]()
    names = {variable.name for variable in child.variables} - child.set_outside
    if child.offsets != plan.offsets or not names.issuperset(node.sources.values()):
        return None
    here, passed = child.nodes.get(child.start), set[str]()
    while here is not None and here.id not in passed and not type_at(here).ends:
        kind = type_at(here)
        if kind.has_conditions or kind.splits or kind.gathers:
            return None
        passed.add(here.id)
        steps += [here.id] if is_pure(child, here) else []
        results = kind.results(here)
        edge = kind.edge_on(here, results[0]) if results else next(iter(here.edges), None)
        here = child.nodes.get(edge.target) if edge is not None else None
    if here is None or here.outcome != APPROVED or reads_of(child, steps) & child.set_outside:
        return None
    return child, tuple(steps)


def variables_after(plan: Plan, given: Given, steps: Sequence[str], context: Mapping[str, object]) -> Given | None:
    """Return the variables once these nodes have run in their order; None where one of them fails.

    `context` is what expressions read besides variables (placet.expressions.types).
    """
    for name in steps:
        call_spec = call_spec_of(plan.nodes[name])
        try:
            filled = fill(call_spec.input, {**values_of(plan.variables, given), **context})
            output = _output(plan, plan.nodes[name], filled, context)
            if output is None:
                return None
            given = after_output(plan.variables, given, call_spec.output, output)
        except (EvaluationFailed, InputInvalid):
            return None
    return given


def _output(plan: Plan, node: Node, filled: dict[str, Any], context: Mapping[str, object]) -> Given | None:
    """Return what a computation hands back; None where it fails."""
    inside = computations_inside(plan, node)
    if inside is not None:
        child, steps = inside
        return variables_after(child, normalise_input(child.variables, filled), steps, context)
    spec = plan.actions[call_spec_of(node).name]
    if value_problems(spec.input_schema, filled, "/input"):
        return None
    output, faults = pure_actions.computed(spec, filled)
    return None if faults else output


def reads_of(plan: Plan, steps: Sequence[str]) -> frozenset[str]:
    """Return the names that the computations of these nodes read: variables, the time, the requester."""
    found: set[str] = set()
    for step in steps:
        found |= {n for e in call_spec_of(plan.nodes[step]).input.expressions.values() for n in e.reads}
        inside = computations_inside(plan, plan.nodes[step])
        found |= reads_of(*inside) & frozenset(NAMES) if inside is not None else frozenset()
    return frozenset(found)


def as_expressions(plan: Plan, steps: Sequence[str]) -> dict[str, Expression | None]:
    """Return the variables that these nodes set as expressions over the input; None where there is no expression."""
    scope = scope_of(plan.variables)
    shapes = {variable.name: variable for variable in plan.variables}
    known: dict[str, Expression | None] = {}
    for name in steps:
        call_spec = call_spec_of(plan.nodes[name])
        inside = computations_inside(plan, plan.nodes[name])
        returned = _returned(call_spec, *inside) if inside is not None else None
        known |= {
            variable: _substituted(
                returned[source] if returned is not None else _computed_expression(call_spec, shapes[variable], source),
                known,
                shapes[variable],
                scope,
            )
            for variable, source in call_spec.output.items()
        }
    return known


def _returned(call_spec: CallSpec, child: Plan, steps: Sequence[str]) -> dict[str, Expression | None]:
    """Return the variables of a sub-process at its end as expressions over those of the process that runs it."""
    scope = scope_of(child.variables)
    taken = {v.name: _substituted(_computed_expression(call_spec, v, v.name), {}, v, scope) for v in child.variables}
    inner = as_expressions(child, steps)
    return taken | {name: substituted(one, taken) if one is not None else None for name, one in inner.items()}


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
