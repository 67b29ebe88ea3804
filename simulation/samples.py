"""Samples: values that fit what a blueprint declares, for variables and decision forms that nobody filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from placet.solver.samples import sample
from placet.variables import Variable

_DATE = date(2026, 1, 5).isoformat()
_MOMENT = f"{_DATE}T09:00:00Z"
_DEEPEST = 8


def sample_form(schema: Mapping[str, Any], *, depth: int = 0) -> Any:
    """Return a value that a JSON Schema's plain keywords allow; what else it asks for, the core's check refuses."""
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("examples"):
        return schema["examples"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), None)
    if kind == "object" and depth < _DEEPEST:
        properties = schema.get("properties", {})
        wanted = [name for name in schema.get("required", []) if name in properties]
        return {name: sample_form(properties[name], depth=depth + 1) for name in wanted}
    if kind == "array":
        items = schema.get("items", {})
        return [sample_form(items, depth=depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind in {"integer", "number"}:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum")
        value = low + 1 if "exclusiveMinimum" in schema else max(low, 0) if high is None else low
        return int(value) if kind == "integer" else value
    if kind == "string":
        text = {"date": _DATE, "date-time": _MOMENT}.get(schema.get("format", ""), "sample")
        longest = schema.get("maxLength", len(text))
        return text[:longest].ljust(schema.get("minLength", 0), "x")
    return {"boolean": True}.get(str(kind))


def sample_input(variables: Sequence[Variable], people: Mapping[str, str]) -> dict[str, Any]:
    """Return a raw input with a value for each variable, for `normalise_input`: conditions read the optional ones too.

    `people` are ids for the variables that name a person.
    """
    return {v.name: people.get(v.name, sample(v)) for v in variables}
