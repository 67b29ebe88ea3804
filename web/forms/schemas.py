"""The form of a decision: fields from a stage's JSON Schema, and the object that comes back.

A property that has no widget of its own is entered as JSON. The core checks the whole form against the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placet.json_pointer import pointer_to
from web.forms.fields import Field, entered
from web.forms.reading import Entries, as_json
from web.languages import Wording
from web.views.values import label_of

_LONG = 200  # characters; a text that may be longer gets several lines


def fields_of(schema: Mapping[str, Any] | None, given: Mapping[str, Any], wording: Wording) -> tuple[Field, ...]:
    """Return the fields of a stage's form, filled with what is given, or with the defaults."""
    required = set((schema or {}).get("required") or ())
    return tuple(
        _field(name, one, given.get(name, one.get("default")), required=name in required, wording=wording)
        for name, one in _properties(schema).items()
    )


def read_form(schema: Mapping[str, Any] | None, entries: Entries) -> dict[str, Any] | None:
    """Return what was entered; None where the stage has no form. Fields that were left empty are absent."""
    if schema is None:
        return None
    found = {name: _read(one, entries, f"form.{name}") for name, one in _properties(schema).items()}
    return {name: value for name, value in found.items() if value is not None}


def _properties(schema: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    declared = (schema or {}).get("properties")
    found = declared if isinstance(declared, Mapping) else {}
    return {str(name): one for name, one in found.items() if isinstance(one, Mapping)}


def _type(one: Mapping[str, Any]) -> str:
    kind = one.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), None)
    return str(kind or "")


def _field(name: str, one: Mapping[str, Any], value: Any, *, required: bool, wording: Wording) -> Field:
    common: dict[str, Any] = {
        "name": f"form.{name}",
        "pointer": pointer_to("/form", name),
        "label": str(one.get("title") or label_of(name)),
        "required": required,
        "help": one.get("description") if isinstance(one.get("description"), str) else None,
    }
    kind = _type(one)
    if isinstance(one.get("enum"), list):
        options = tuple((entered(each), entered(each)) for each in one["enum"] if each is not None)
        return Field(widget="choice", value=entered(value), options=options, **common)
    if kind == "boolean":
        options = (("true", wording.say("Yes")), ("false", wording.say("No")))
        return Field(widget="truth", value=entered(value), options=options, **common)
    if kind in {"integer", "number"}:
        limits: dict[str, Any] = {
            "minimum": entered(one.get("minimum")) or None,
            "maximum": entered(one.get("maximum")) or None,
        }
        return Field(
            widget="number", value=entered(value), step="1" if kind == "integer" else "any", **limits, **common
        )
    if kind == "string":
        if one.get("format") == "date":
            return Field(widget="day", value=entered(value), **common)
        longest = one.get("maxLength") if isinstance(one.get("maxLength"), int) else None
        widget: Any = "long" if longest is not None and longest > _LONG else "text"
        return Field(widget=widget, value=entered(value), longest=longest, **common)
    items = one.get("items")
    if kind == "array" and isinstance(items, Mapping) and isinstance(items.get("enum"), list):
        options = tuple((entered(each), entered(each)) for each in items["enum"])
        chosen = tuple(entered(each) for each in value) if isinstance(value, list) else ()
        return Field(widget="choices", values=chosen, options=options, **common)
    return Field(widget="json", value="" if value is None else as_json(value), **common)


def _read(one: Mapping[str, Any], entries: Entries, name: str) -> Any:
    kind, items = _type(one), one.get("items")
    if kind == "array" and isinstance(items, Mapping) and isinstance(items.get("enum"), list):
        return entries.texts(name) or None
    text = entries.text(name)
    if text == "":
        return None
    if isinstance(one.get("enum"), list):
        return next((each for each in one["enum"] if entered(each) == text), text)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "integer":
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else text
    if kind == "number":
        return _float(text)
    return text if kind == "string" else entries.json(name)


def _float(text: str) -> Any:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text
