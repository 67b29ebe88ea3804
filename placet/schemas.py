"""JSON Schema at the boundary: what goes into an action and comes out of one is what the catalog says."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import jsonschema_rs

from placet.errors import InputInvalid, Problem
from placet.forms import check_json
from placet.pointer import pointer_of

_MOST_PROBLEMS = 20
_LONGEST_MESSAGE = 300


def schema_problems(schema: dict[str, Any], pointer: str) -> tuple[Problem, ...]:
    """Say why this is no JSON Schema (2020-12) that can be used without asking anybody else; () where it is one."""
    try:
        check_json(schema, pointer)
        _validator(json.dumps(schema))
    except InputInvalid as error:
        return error.problems
    except ValueError as error:
        inner = pointer + pointer_of(getattr(error, "instance_path", ()))
        return (Problem(pointer=inner, message=f"this is no usable JSON Schema: {_first_line(error)}"),)
    return ()


def value_problems(schema: dict[str, Any], value: Any, pointer: str) -> tuple[Problem, ...]:
    """Say where a JSON value breaks a schema, by pointers that begin with `pointer`; at most twenty."""
    try:
        check_json(value, pointer)
    except InputInvalid as error:
        return error.problems
    problems: list[Problem] = []
    for fault in _validator(json.dumps(schema)).iter_errors(value):
        inner = pointer_of(fault.instance_path)
        problems.append(Problem(pointer=pointer + inner, message=fault.message[:_LONGEST_MESSAGE]))
        if len(problems) == _MOST_PROBLEMS:
            break
    return tuple(problems)


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    # offline: a schema that points elsewhere is refused; linear regular expressions: no pattern can take for ever
    return jsonschema_rs.Draft202012Validator(
        json.loads(schema), offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:_LONGEST_MESSAGE]
