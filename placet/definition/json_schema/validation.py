"""JSON Schema at the boundary: what a form is filled in with, and what goes into an action and comes out of one.

A schema comes from outside, and so does the value: what holding one to the other costs is counted before
(`placet.definition.json_schema.cost`), for schemas that are stored already as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs

from placet.definition.json_schema.cost import MOST_TOLD, Graph, TooCostly, graph_of
from placet.errors import InputInvalid, Problem
from placet.json_pointer import pointer_of
from placet.json_values import check_json
from placet.sentences import Sentence, sentence

# What a fault is called by its keyword, where readers of other languages are told: the library's own texts are English.
FAULTS = {
    "additionalItems": "there are more items than the schema allows",
    "additionalProperties": "there are fields that the schema does not know: {value}",
    "anyOf": "this fits none of what is allowed here",
    "const": "only {value} is allowed here",
    "contains": "no item is of the kind that has to be there",
    "enum": "this is none of {value}",
    "exclusiveMaximum": "a number below {value} is needed",
    "exclusiveMinimum": "a number above {value} is needed",
    "falseSchema": "nothing is allowed here",
    "format": "this is not of the format {value}",
    "maxItems": "at most {value} items are allowed",
    "maxLength": "at most {value} characters are allowed",
    "maxProperties": "at most {value} fields are allowed",
    "maximum": "at most {value} is allowed",
    "minItems": "at least {value} items are needed",
    "minLength": "at least {value} characters are needed",
    "minProperties": "at least {value} fields are needed",
    "minimum": "at least {value} is needed",
    "multipleOf": "a multiple of {value} is needed",
    "not": "this is what is not allowed here",
    "oneOf": "this has to fit exactly one of what is allowed here",
    "pattern": "the text does not fit {value}",
    "propertyNames": "a field has a name that is not allowed",
    "required": "the field {value} is needed",
    "type": "this is not of the type {value}",
    "unevaluatedItems": "there are items that the schema does not know",
    "unevaluatedProperties": "there are fields that the schema does not know: {value}",
    "uniqueItems": "each item may be there once",
}
_MOST_PROBLEMS = 20
_LONGEST_MESSAGE = 300
_KEPT = 128  # validators that are kept ready, of the last schemas that were used
_PATTERN_BYTES = 2_000_000  # of one compiled pattern
_MATCHING_BYTES = 200_000  # of what matching it remembers


def schema_problems(schema: dict[str, Any], pointer: str) -> tuple[Problem, ...]:
    """Say why this is no JSON Schema (2020-12) that can be used within bounds and without asking anybody else."""
    try:
        check_json(schema, pointer)
        _validator(json.dumps(schema))
    except InputInvalid as error:
        return error.problems
    except ValueError as error:
        inner = pointer + pointer_of(getattr(error, "instance_path", ()))
        return (
            Problem(
                pointer=inner, message=sentence("this is no usable JSON Schema: {error}", error=_first_line(error))
            ),
        )
    return ()


def unusable(schemas: Mapping[str, dict[str, Any]]) -> tuple[Problem, ...]:
    """Say what is wrong with schemas, each by its pointer."""
    return tuple(problem for pointer, schema in schemas.items() for problem in schema_problems(schema, pointer))


def value_problems(schema: dict[str, Any], value: Any, pointer: str) -> tuple[Problem, ...]:
    """Say where a JSON value breaks a usable schema, by pointers that begin with `pointer`; at most twenty."""
    try:
        check_json(value, pointer)
        validator = _validator(json.dumps(schema))
        cost = validator.graph.cost(value)
    except InputInvalid as error:
        return error.problems
    except TooCostly as error:
        return (Problem(pointer=pointer, message=error.args[0]),)
    if validator.compiled.is_valid(value):
        return ()
    if cost.told > MOST_TOLD:
        message = "this does not fit its schema, which can be broken in too many ways to tell where; send less"
        return (Problem(pointer=pointer, message=message),)
    problems: list[Problem] = []
    for fault in validator.compiled.iter_errors(value):
        inner = pointer_of(fault.instance_path)
        problems.append(Problem(pointer=pointer + inner, message=_said(fault)))
        if len(problems) == _MOST_PROBLEMS:
            break
    return tuple(problems)


def _said(fault: Any) -> Sentence | str:
    """Return what the library says of a fault, with the keyword of the schema and its value apart."""
    text = str(fault.message)[:_LONGEST_MESSAGE]
    source = FAULTS.get(fault.kind.name)
    value = getattr(fault.kind, "value", None)
    if source is None:
        return text
    told = ", ".join(_plain(one) for one in value) if isinstance(value, list) else _plain(value)
    return Sentence(source, {"value": told[:_LONGEST_MESSAGE]}, text)


def _plain(value: Any) -> str:
    # Where none of several schemas fits, the values are the faults of each.
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class _Validator:
    """A schema that is ready for use. `graph` counts what it costs."""

    compiled: Any
    graph: Graph


@lru_cache(maxsize=_KEPT)
def _validator(text: str) -> _Validator:
    schema = json.loads(text)
    graph = graph_of(schema)
    # offline: a schema that points elsewhere is refused; linear regular expressions: no pattern can take for ever
    options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_MATCHING_BYTES)
    return _Validator(
        compiled=jsonschema_rs.Draft202012Validator(schema, offline=True, pattern_options=options), graph=graph
    )


def _first_line(error: Exception) -> str:
    """Return what an error says: of our own the sentence, of the library's the first line."""
    return error.args[0] if isinstance(error, TooCostly) else str(error).splitlines()[0][:_LONGEST_MESSAGE]
