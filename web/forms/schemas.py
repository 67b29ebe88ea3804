"""The form of a decision: fields from a stage's JSON Schema, and the object that comes back.

A property that has no widget of its own is entered as JSON. The core checks the whole form against the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placet.expressions.number import read_decimal
from placet.json_pointer import pointer_to
from web.forms import checks
from web.forms.checks import Kind
from web.forms.fields import Field, Widget, entered, written
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

    def field(widget: Widget, checked: Kind, **more: Any) -> Field:
        check = checks.of_schema(one, checked, wording, required=required)
        return Field(widget=widget, check=check, **{**common, **more})

    if isinstance(one.get("enum"), list):
        options = tuple((entered(each), entered(each)) for each in one["enum"] if each is not None)
        return field("choice", "choice", value=entered(value), options=options)
    if kind == "boolean":
        options = (("true", wording.say("Yes")), ("false", wording.say("No")))
        return field("truth", "choice", value=entered(value), options=options)
    if kind in {"integer", "number"}:
        limits: dict[str, Any] = {
            "minimum": entered(one.get("minimum")) or None,
            "maximum": entered(one.get("maximum")) or None,
        }
        whole = kind == "integer"
        text, step = written(value, wording.decimal_sign), "1" if whole else "any"
        return field("number", "whole" if whole else "number", value=text, step=step, **limits)
    if kind == "string":
        if one.get("format") == "date":
            return field("day", "day", value=entered(value))
        longest = one.get("maxLength") if isinstance(one.get("maxLength"), int) else None
        widget: Widget = "long" if longest is not None and longest > _LONG else "text"
        return field(widget, "text", value=entered(value), longest=longest)
    items = one.get("items")
    if kind == "array" and isinstance(items, Mapping) and isinstance(items.get("enum"), list):
        options = tuple((entered(each), entered(each)) for each in items["enum"])
        chosen = tuple(entered(each) for each in value) if isinstance(value, list) else ()
        return field("choices", "choices", values=chosen, options=options)
    return field("json", "json", value="" if value is None else as_json(value))


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
        return entries.number(text, whole=True)
    if kind == "number":
        return _float(text, entries)
    return text if kind == "string" else entries.json(name)


def _float(text: str, entries: Entries) -> Any:
    read = str(entries.number(text))
    try:
        return float(read_decimal(read))
    except ValueError:
        return read
