"""Pure nodes: the actions of a draft whose results the process computes itself, as a real request does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from placet.definition.action_spec import ActionSpec
from placet.definition.json_schema.validation import value_problems
from placet.definition.variables import Variable, scope_of, values_of
from placet.engine.call_results import after_output
from placet.errors import EvaluationFailed, InputInvalid, Problem
from placet.expressions import Expression
from placet.expressions.templates import (
    ValueTemplate,
    as_json,
    compile_template,
    expression_of,
    fill,
    value_from,
)
from placet.nodes.facts import NamedAction
from placet.nodes.registry import type_of
from placet.plan import pure_actions
from placet.proofs.draft import Draft

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PureNode:
    """A node that runs a pure action. `spec` is None where no catalog is known, which holds nothing to a schema."""

    variables: tuple[Variable, ...]
    executor: str
    input: ValueTemplate
    output: Mapping[str, str]
    spec: ActionSpec | None = None

    def after(self, values: Values) -> dict[str, object] | None:
        """Return the values once the node is done; None where it fails."""
        try:
            given = fill(self.input, values)
            if self.spec is not None and value_problems(self.spec.input_schema, given, "/input"):
                return None
            returned, faults = (
                pure_actions.computed(self.spec, given)
                if self.spec is not None
                else (pure_actions.FUNCTIONS[self.executor](given), ())
            )
            if faults:
                return None
            before = input_in(self.variables, values)
            return {**values, **values_of(self.variables, after_output(self.variables, before, self.output, returned))}
        except (EvaluationFailed, InputInvalid):
            return None

    def sources(self) -> Iterator[tuple[Variable, Expression | None, Any]]:
        """Generate each variable that is set with the expression that computes it, or with the literal value; both are
        None where there is no value.
        """
        for variable in self.variables:
            if variable.name in self.output:
                template = value_from(self.input.template, self.output[variable.name])
                text = expression_of(template)
                yield variable, None if text is None else self.input.expressions.get(text), template


def pure_nodes(draft: Draft, actions: Mapping[str, ActionSpec] | None) -> dict[str, PureNode]:
    """Return the pure nodes by id, but for those whose expressions do not compile, which is reported elsewhere."""
    variables = tuple(draft.definition.variables)
    found: dict[str, PureNode] = {}
    for node in draft.definition.graph_spec.nodes if draft.definition.graph_spec is not None else ():
        named = type_of(node).named(node)
        if isinstance(named, NamedAction) and pure_actions.computes(named.name, actions):
            faults: list[Problem] = []
            template = compile_template(named.input, scope_of(variables), "", faults)
            spec = actions[named.name] if actions is not None else None
            if not faults and named.output.keys() <= {variable.name for variable in variables}:
                found[node.id] = PureNode(
                    variables=variables,
                    executor=spec.executor if spec is not None else named.name,
                    input=template,
                    output=named.output,
                    spec=spec,
                )
    return found


def input_in(variables: tuple[Variable, ...], values: Values) -> dict[str, Any]:
    """Return the input that these values were read from, as JSON."""
    found = {variable.name: values.get(variable.name) for variable in variables}
    return {name: as_json(value) for name, value in found.items() if value is not None}
