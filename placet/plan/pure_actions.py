"""Pure actions: those that are functions of their input and do nothing outside, so that everybody may compute them.

The worker's executors and every simulation call the same functions: what a simulation says of such an action is what a
real request gets. An action is pure by its executor, whatever its name in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from placet.definition.action_spec import ActionSpec
from placet.definition.json_schema.validation import schema_problems, value_problems
from placet.errors import Problem

Function = Callable[[Mapping[str, Any]], dict[str, Any]]


def set_variables(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given: the process takes its variables from there."""
    return dict(given)


FUNCTIONS: Mapping[str, Function] = MappingProxyType({"set_variables": set_variables})
"""The pure executors by name: from the input to the output, both JSON values."""


def is_pure(spec: ActionSpec) -> bool:
    """Whether an action only computes."""
    return spec.executor in FUNCTIONS and not spec.side_effects


def computes(name: str, catalog: Mapping[str, ActionSpec] | None) -> bool:
    """Whether the action of this name only computes; where no catalog is known, what every catalog begins with does."""
    if catalog is None:
        return name in FUNCTIONS
    return name in catalog and is_pure(catalog[name])


def computed(spec: ActionSpec, given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """Return what a pure action returns for an input that fits its schema, and where that breaks `output_schema`."""
    output = FUNCTIONS[spec.executor](given)
    return output, schema_problems(spec.output_schema, "/output") or value_problems(
        spec.output_schema, output, "/output"
    )
