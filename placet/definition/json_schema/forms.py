"""Texts and decision forms that people send with an event."""

from __future__ import annotations

import unicodedata
from typing import Any

from placet.definition.json_schema.validation import schema_problems, value_problems
from placet.errors import InputInvalid
from placet.json_values import UNSTORABLE, storable
from placet.sentences import sentence

# Letters, marks and symbols that show nothing: fillers of Hangul, the joiner of graphemes, the empty Braille cell.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_LONGEST_TEXT = 10_000


def check_schema(schema: dict[str, Any]) -> None:
    """Raise InputInvalid where this is no JSON Schema (2020-12) that can be used without asking anybody else."""
    problems = schema_problems(schema, "/form")
    if problems:
        raise InputInvalid(problems[0].message, problems=problems)


def check_form(schema: dict[str, Any], form: dict[str, Any] | None) -> None:
    """Check a form against its schema; raises InputInvalid with every fault, by pointers that begin with /form.

    A schema that was published before there was a bound on its work is refused here, and not worked through.
    """
    problems = schema_problems(schema, "/form") or value_problems(schema, form or {}, "/form")
    if problems:
        raise InputInvalid("The form does not fit what this stage asks for.", problems=problems)


def check_text(text: str | None, pointer: str, *, optional: bool = True) -> str | None:
    """Return the text without the space around it, None where there is none; raises InputInvalid."""
    stripped = (text or "").strip()
    if not stripped:
        if optional:
            return None
        raise InputInvalid.at(pointer, "write something")
    if len(stripped) > _LONGEST_TEXT:
        raise InputInvalid.at(pointer, sentence("write at most {longest_text} characters", longest_text=_LONGEST_TEXT))
    if not storable(stripped):
        raise InputInvalid.at(pointer, UNSTORABLE)
    return stripped


def has_words(text: str | None) -> bool:
    """Say whether a text has visible characters: not only spaces, control characters and blank letters."""
    return any(unicodedata.category(c)[0] not in "CZ" and c not in _BLANK for c in text or "")
