"""Variables: their declarations, and reading the input of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from placet.audit.reasons import because
from placet.definition.variables.shapes import (
    MAX_ITEMS,
    MAX_LENGTH,
    MAX_PROBLEMS,
    MOST_WORK,
    Name,
    Shape,
    matching_work,
    read_members,
    typed,
)
from placet.errors import InputInvalid, Problem, and_more, placed
from placet.expressions.types import BOOL, DATE, DECIMAL, INT, STRING, TIMESTAMP, Scope, Type, list_of, object_of
from placet.sentences import sentence

_TYPES = {
    "string": STRING,
    "integer": INT,
    "decimal": DECIMAL,
    "boolean": BOOL,
    "date": DATE,
    "datetime": TIMESTAMP,
}


class Variable(Shape):
    """Declare one variable of a blueprint, or one field of a form."""

    name: Name


def scope_of(variables: Sequence[Variable]) -> Scope:
    """Return the static types that conditions over these variables are checked against."""
    return {variable.name: _type_of(variable) for variable in variables}


def normalise_input(variables: Sequence[Variable], raw: object, *, pointer: str = "/input") -> dict[str, Any]:
    """Return the input in its one JSON-safe form: decimals as plain text, dates and moments (UTC) as ISO text.

    Defaults are filled in; an absent optional variable, or one that is null, is left out. Normalising again changes
    nothing. Raises InputInvalid with a Problem for each fault; `pointer` is where the input was sent.
    """
    problems: list[Problem] = []
    if not isinstance(raw, Mapping):
        reason = because("object_needed")
        raise InputInvalid(problems=(Problem(pointer=pointer, message=str(reason), reason=reason),), reason=reason)
    if sum(matching_work(v, raw.get(v.name)) for v in variables) > MOST_WORK:
        raise InputInvalid.at(
            pointer,
            sentence(
                "matching its texts takes more than {most_work:,} steps (characters times states); send less",
                most_work=MOST_WORK,
            ),
        )
    values: dict[str, Any] = read_members({variable.name: variable for variable in variables}, raw, pointer, problems)
    if problems:
        first, more = problems[0], len(problems) - 1
        # Where there is no reason, the sentence is one of a library: it is told, and no audit chain holds it.
        cause = first.reason or because("unfit")
        at, message = because("unfit_at", pointer=first.pointer, cause=cause), placed(first)
        if more:
            at = because("unfit_at_places", pointer=first.pointer, cause=cause, more=more)
            message = and_more(first, more)
        raise InputInvalid(message, problems=tuple(problems[:MAX_PROBLEMS]), reason=at)
    return values


def values_of(variables: Sequence[Variable], normalised: Mapping[str, Any]) -> dict[str, object]:
    """Return what `evaluate` computes with: Decimal, date, datetime (UTC), int, bool, str, list, dict; None if absent.

    `normalised` is what `normalise_input` returned.
    """
    values: dict[str, object] = {}
    for variable in variables:
        value = normalised.get(variable.name)
        values[variable.name] = None if value is None else typed(variable, value)
    return values


def json_schema_of(variables: Sequence[Variable]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the input, as forms and clients use it.

    It cannot say everything: bounds of decimals that are sent as strings, and of dates, only `normalise_input` holds.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_members_schema({variable.name: variable for variable in variables}),
    }


def _type_of(shape: Shape) -> Type:
    if shape.type == "list" and shape.items is not None:
        of = list_of(_type_of(shape.items))
    elif shape.type == "object" and shape.properties is not None:
        of = object_of({name: _type_of(inner) for name, inner in shape.properties.items()})
    else:
        of = _TYPES[shape.type]
    return Type(kind=of.kind, item=of.item, fields=of.fields, optional=shape.optional)


def _members_schema(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _schema_of(shape) for name, shape in shapes.items()},
        "required": [name for name, shape in shapes.items() if shape.required and shape.default is None],
        "additionalProperties": False,
    }


def _schema_of(shape: Shape, *, member: bool = True) -> dict[str, Any]:
    schema = _FACTS[shape.type](shape)
    if shape.enum is not None:
        schema["enum"] = list(shape.enum)
    # null stands for an absent member.
    if member and not (shape.required and shape.default is None):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*kinds, "null"]
        if "enum" in schema:
            schema["enum"].append(None)
    for key in ("title", "description", "default"):
        if getattr(shape, key) is not None:
            schema[key] = getattr(shape, key)
    return schema


def _string_schema(shape: Shape) -> dict[str, Any]:
    longest = MAX_LENGTH if shape.max_length is None else shape.max_length
    schema: dict[str, Any] = {"type": "string", "minLength": shape.min_length or 0, "maxLength": longest}
    return schema if shape.pattern is None else {**schema, "pattern": shape.pattern}


def _bounded(schema: dict[str, Any], shape: Shape) -> dict[str, Any]:
    for key in ("minimum", "maximum"):
        bound = getattr(shape, key)
        if bound is not None:
            schema[key] = float(bound) if isinstance(bound, str) else bound
    return schema


def _decimal_schema(shape: Shape) -> dict[str, Any]:
    if shape.scale is None:
        fraction = r"(\.[0-9]+)?"
    else:
        fraction = rf"(\.[0-9]{{1,{shape.scale}}}0*)?" if shape.scale else r"(\.0+)?"
    schema: dict[str, Any] = {"type": ["number", "string"], "pattern": rf"^-?[0-9]+{fraction}$"}
    if shape.currency is not None:
        schema["x-currency"] = shape.currency
    return _bounded(schema, shape)


def _list_schema(shape: Shape) -> dict[str, Any]:
    return {
        "type": "array",
        "items": _schema_of(shape.items, member=False) if shape.items is not None else {},
        "minItems": shape.min_length or 0,
        "maxItems": MAX_ITEMS if shape.max_length is None else shape.max_length,
    }


_FACTS: dict[str, Callable[[Shape], dict[str, Any]]] = {
    "string": _string_schema,
    "integer": lambda shape: _bounded({"type": "integer"}, shape),
    "decimal": _decimal_schema,
    "boolean": lambda _: {"type": "boolean"},
    "date": lambda _: {"type": "string", "format": "date"},
    "datetime": lambda _: {"type": "string", "format": "date-time"},
    "list": _list_schema,
    "object": lambda shape: _members_schema(shape.properties or {}),
}
