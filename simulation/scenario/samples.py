"""Samples: values that fit the declarations of a blueprint, for variables and forms that nobody filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from placet.definition.variables import Variable
from placet.plan.graph import Node
from placet.proofs.solver.samples import sample
from simulation.scenario.fields import with_fields

_DATE = date(2026, 1, 5).isoformat()
_MOMENT = f"{_DATE}T09:00:00Z"
_AHEAD = timedelta(weeks=4)
_DEEPEST = 8
_MOST_VALUES = 2_000  # of one form
_MOST_CHARACTERS = 50_000  # of its padded texts, together


def sample_form(schema: Mapping[str, Any]) -> Any:
    """Return a sample value that satisfies the plain keywords of a JSON Schema.

    Other keywords are not considered, and the size is bounded: the core's validation refuses a value that does not fit.
    """
    return _Form().value(schema, 0)


class _Form:
    """Generate one sample value within bounds: a schema is untrusted, and may ask for a billion items."""

    def __init__(self) -> None:
        self._values, self._characters = _MOST_VALUES, _MOST_CHARACTERS

    def value(self, schema: Mapping[str, Any], depth: int) -> Any:
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
            return {name: self.value(properties[name], depth + 1) for name in wanted if self._room()}
        if kind == "array":
            return self._items(schema, depth)
        if kind in {"integer", "number"}:
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            high = schema.get("maximum")
            value = low + 1 if "exclusiveMinimum" in schema else max(low, 0) if high is None else low
            return int(value) if kind == "integer" else value
        if kind == "string":
            return self._text(schema)
        return {"boolean": True}.get(str(kind))

    def _items(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        found: list[Any] = []
        while depth < _DEEPEST and len(found) < schema.get("minItems", 0) and self._room():
            found.append(self.value(schema.get("items", {}), depth + 1))
        return found

    def _text(self, schema: Mapping[str, Any]) -> str:
        text = {"date": _DATE, "date-time": _MOMENT}.get(schema.get("format", ""), "sample")
        longest = schema.get("maxLength", len(text))
        sampled = text[:longest].ljust(min(schema.get("minLength", 0), self._characters), "x")
        self._characters = max(0, self._characters - len(sampled))
        return sampled

    def _room(self) -> bool:
        self._values -= 1
        return self._values >= 0


def sample_decision(
    node: Node, required_values: Mapping[str, Any] = MappingProxyType({}), variables: Sequence[Variable] = ()
) -> dict[str, Any] | None:
    """Return a sample form for an approval.

    `variables` are those of its process where the form has to set them; `required_values` are what it has to set them
    to, where it can.
    """
    form = node.asked.form if node.asked is not None else None
    if form is None:
        return None
    sampled = sample_form(form)
    if not isinstance(sampled, dict):
        return None
    return with_fields(form, sampled, node.output, variables, required_values) if variables else sampled


def sample_input(variables: Sequence[Variable], people: Mapping[str, str], start: datetime) -> dict[str, Any]:
    """Return a sample input, for `normalise_input`, with a value for each variable, optional ones too.

    `people` are ids for the variables that name a person. Dates lie some time after the start of the request, so that
    what has to be decided before them can be.
    """
    ahead = (start + _AHEAD).replace(microsecond=0)
    named = {v.name: [people[v.name]] if v.type == "list" else people[v.name] for v in variables if v.name in people}
    return {v.name: named.get(v.name, sample(v, ahead)) for v in variables}
