"""What people send along with an event: texts, JSON values, and decision forms described by a JSON Schema."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import jsonschema_rs

from placet.errors import InputInvalid, Problem
from placet.pointer import pointer_of, pointer_to

_LONGEST_TEXT = 10_000
_DEEPEST = 32
_MOST_VALUES = 10_000
_MOST_PROBLEMS = 20


def check_schema(schema: dict[str, Any]) -> None:
    """Raise InputInvalid where this is no JSON Schema (2020-12) that can be used without asking anybody else."""
    check_json(schema, "/form")
    try:
        _validator(json.dumps(schema))
    except ValueError as error:
        message = f"this is no usable JSON Schema: {str(error).splitlines()[0]}"
        raise InputInvalid(message, problems=(Problem(pointer="/form", message=message),)) from None


def check_form(schema: dict[str, Any], form: dict[str, Any] | None) -> None:
    """Check a form against its schema; raises InputInvalid with every fault, by pointers that begin with /form."""
    problems: list[Problem] = []
    for error in _validator(json.dumps(schema)).iter_errors(form or {}):
        pointer = "/form" + pointer_of(error.instance_path)
        problems.append(Problem(pointer=pointer, message=error.message[:500]))
        if len(problems) == _MOST_PROBLEMS:
            break
    if problems:
        raise InputInvalid("The form does not fit what this stage asks for.", problems=tuple(problems))


def check_json(value: Any, pointer: str) -> None:
    """Raise InputInvalid for what is no JSON value, or cannot be stored or hashed: NaN, NUL, half a character."""
    pending: list[tuple[Any, str, int]] = [(value, pointer, 0)]
    seen = 0
    while pending:
        one, where, depth = pending.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_VALUES:
            raise InputInvalid.at(
                pointer, f"this is nested deeper than {_DEEPEST} levels or has over {_MOST_VALUES} values"
            )
        if isinstance(one, str):
            _check_characters(one, where)
        elif isinstance(one, dict):
            for key, inner in one.items():
                if not isinstance(key, str):
                    raise InputInvalid.at(where, f"{key!r} is no name of a field; write text")
                _check_characters(key, where)
                pending.append((inner, pointer_to(where, key), depth + 1))
        elif isinstance(one, list | tuple):
            pending += [(inner, f"{where}/{index}", depth + 1) for index, inner in enumerate(one)]
        elif isinstance(one, float):
            if one - one != 0:  # infinite, or not a number
                raise InputInvalid.at(where, "write a finite number")
        elif one is not None and not isinstance(one, bool | int):
            raise InputInvalid.at(where, f"{type(one).__name__} is no JSON value")


def check_text(text: str | None, pointer: str, *, optional: bool = True) -> str | None:
    """Return the text without the space around it, None where there is none; raises InputInvalid."""
    stripped = (text or "").strip()
    if not stripped:
        if optional:
            return None
        raise InputInvalid.at(pointer, "write something")
    if len(stripped) > _LONGEST_TEXT:
        raise InputInvalid.at(pointer, f"write at most {_LONGEST_TEXT} characters")
    _check_characters(stripped, pointer)
    return stripped


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    # offline: a schema that points elsewhere is refused; linear regular expressions: no pattern can take for ever
    return jsonschema_rs.Draft202012Validator(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())


def _check_characters(text: str, pointer: str) -> None:
    if "\0" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        raise InputInvalid.at(pointer, "this text holds a NUL or half a character; send whole Unicode characters")
