"""Pure actions: functions of their input without side effects, which a simulation may compute as well.

The worker's executors and every simulation call the same functions, so that a simulation gives the same result as a
real request. An action is pure by its executor, whatever its name in the catalog.
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
    """Return the input as the output, from which the process sets its variables."""
    return dict(given)


FUNCTIONS: Mapping[str, Function] = MappingProxyType({"set_variables": set_variables})
"""The pure executors by name: from the input to the output, both JSON values."""


def is_pure(spec: ActionSpec) -> bool:
    """Say whether an action is pure."""
    return spec.executor in FUNCTIONS and not spec.side_effects


def computes(name: str, catalog: Mapping[str, ActionSpec] | None) -> bool:
    """Say whether the action of this name is pure; without a catalog, those that every catalog has count."""
    if catalog is None:
        return name in FUNCTIONS
    return name in catalog and is_pure(catalog[name])


def computed(spec: ActionSpec, given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """Return the output of a pure action for a valid input, and the problems where it breaks `output_schema`."""
    output = FUNCTIONS[spec.executor](given)
    return output, schema_problems(spec.output_schema, "/output") or value_problems(
        spec.output_schema, output, "/output"
    )
