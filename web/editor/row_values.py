"""What the forms of rows share: values as the texts of fields, and back without losing what a text cannot say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from web.editor.labels import label_of
from web.forms.fields import Field, Widget, entered
from web.forms.reading import as_json
from web.languages import Wording

ABSENT: Final = object()
"""What a property has that is not there."""
_UNREAD = "$defs"  # holds the text of a row that is no JSON yet: a schema with it is unsound, and the check says where


def one_line(text: Any) -> bool:
    """Tell whether this is a text of one line that a field gives back as it was."""
    return isinstance(text, str) and text.strip() == text and text != "" and "\n" not in text and "\r" not in text


def lines_of(values: Any, kind: str) -> str:
    """Return values to choose from as lines; empty where they are none of this type, and stay as they are."""
    if not isinstance(values, list) or len({entered(one) for one in values}) != len(values):
        return ""
    if kind == "string":
        fits = all(one_line(one) for one in values)
    else:
        fits = kind in {"integer", "number"} and all(
            isinstance(one, int | float) and not isinstance(one, bool) and number_of(entered(one)) == one
            for one in values
        )
    return "\n".join(entered(one) for one in values) if fits else ""


def rest_text(rest: Mapping[str, Any]) -> str:
    """Write what a row has no field for; empty where there is nothing."""
    if rest.keys() == {_UNREAD} and isinstance(rest[_UNREAD], str):
        return str(rest[_UNREAD])
    return as_json(rest) if rest else ""


def more_of(text: str) -> dict[str, Any]:
    """Read what a row has no field for; what is no object is kept as the text that was entered."""
    found = json_of(text) if text else {}
    return found if isinstance(found, dict) else {_UNREAD: text}


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that is not taken, with a number where it is."""
    return name if name not in taken else next(f"{name}_{n}" for n in range(2, 9_999) if f"{name}_{n}" not in taken)


def json_of(text: str) -> Any:
    """Read JSON; what is none stays the text that was entered, and is found unsound."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def number_of(text: str) -> Any:
    """Read a number; what is none stays the text that was entered."""
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return text
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def field_of(name: str, pointer: str, widget: Widget, value: str, wording: Wording) -> Field:
    """Return a field that is called by the last part of its name."""
    label = label_of(name.rpartition(".")[2], wording.say)
    return Field(name=name, pointer=pointer, label=label, widget=widget, value=value)


def choice_of(name: str, pointer: str, label: str, value: str, options: Sequence[tuple[str, str]]) -> Field:
    """Return a field of options."""
    return Field(name=name, pointer=pointer, label=label, widget="choice", value=value, options=tuple(options))
