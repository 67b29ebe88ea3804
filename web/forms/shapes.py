"""The form of a new request: fields from the variables of a blueprint, and the input that comes back.

What comes back is put into JSON by the declared types as far as it can be; whatever cannot be read stays the text that
was entered, and the rules of the process (placet.definition.variables) refuse it with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from placet.definition.variables import Variable
from placet.definition.variables.shapes import Shape
from placet.json_pointer import pointer_to
from web.forms import checks
from web.forms.checks import Kind
from web.forms.fields import Field, Widget, entered, written
from web.forms.reading import Entries, as_json
from web.languages import Wording, utc
from web.views.values import label_of

_LONG = 200  # characters; a text that may be longer gets several lines
_CHOICES = 12  # values; more of them are chosen from a list than ticked
_SPARE_ROWS = 1


def fields_of(
    variables: Sequence[Variable], given: Mapping[str, Any], wording: Wording, *, at: str = "input"
) -> tuple[Field, ...]:
    """Return the fields of an input, filled with what is given, or with the defaults."""
    return tuple(
        _field(
            label_of(variable.name, variable),
            variable,
            given.get(variable.name, variable.default),
            f"{at}.{variable.name}",
            pointer_to(f"/{at}", variable.name),
            wording,
        )
        for variable in variables
    )


def read_input(variables: Sequence[Variable], entries: Entries, *, at: str = "input") -> dict[str, Any]:
    """Return the input that a form holds. Fields that were left empty are absent."""
    found = {variable.name: _read(variable, entries, f"{at}.{variable.name}") for variable in variables}
    return {name: value for name, value in found.items() if value is not None}


def _field(label: str, shape: Shape, value: Any, name: str, pointer: str, wording: Wording) -> Field:  # noqa: PLR0917
    common: dict[str, Any] = {
        "name": name,
        "pointer": pointer,
        "label": label,
        "required": shape.required and shape.default is None,
        "help": shape.description,
    }
    if shape.type == "list":
        return _list(shape, value, wording, common)
    if shape.type == "object":
        return _object(shape, value, wording, common)

    def field(widget: Widget, kind: Kind, **more: Any) -> Field:
        check = checks.of_shape(shape, kind, wording, required=common["required"])
        return Field(widget=widget, check=check, **{"value": entered(value), **common, **more})

    if shape.enum is not None:
        return field("choice", "choice", options=tuple((entered(one), entered(one)) for one in shape.enum))
    if shape.type == "boolean":
        return field("truth", "choice", options=(("true", wording.say("Yes")), ("false", wording.say("No"))))
    limits: dict[str, Any] = {"minimum": entered(shape.minimum) or None, "maximum": entered(shape.maximum) or None}
    if shape.type in {"integer", "decimal"}:
        whole = shape.type == "integer"
        step = "1" if whole else _step(shape)
        text = written(value, wording.decimal_sign)
        return field("number", "whole" if whole else "number", value=text, step=step, unit=shape.currency, **limits)
    if shape.type == "date":
        return field("day", "day", **limits)
    if shape.type == "datetime":
        return field("moment", "moment", value=_local(value, wording))
    longest = shape.max_length
    widget: Widget = "long" if longest is not None and longest > _LONG else "text"
    return field(widget, "text", shortest=shape.min_length, longest=longest)


def _step(shape: Shape) -> str:
    return (
        "any" if shape.scale is None else str(10**-shape.scale if shape.scale == 0 else f"0.{'0' * (shape.scale - 1)}1")
    )


def _local(value: Any, wording: Wording) -> str:
    at = utc(str(value)) if value else None
    return at.astimezone(wording.zone).strftime("%Y-%m-%dT%H:%M") if at is not None else entered(value)


def _list(shape: Shape, value: Any, wording: Wording, common: dict[str, Any]) -> Field:
    items = value if isinstance(value, list) else []
    inner = shape.items

    def field(widget: Widget, kind: Kind, **more: Any) -> Field:
        check = checks.of_shape(shape, kind, wording, required=common["required"])
        return Field(widget=widget, check=check, **common, **more)

    if inner is not None and inner.enum is not None and len(inner.enum) <= _CHOICES:
        options = tuple((entered(one), entered(one)) for one in inner.enum)
        return field("choices", "choices", values=tuple(entered(one) for one in items), options=options)
    if inner is not None and inner.type == "object" and inner.properties and _flat(inner):
        rows = [*items, *[{}] * _SPARE_ROWS]
        filled = tuple(
            tuple(
                _member(
                    key,
                    member,
                    row.get(key) if isinstance(row, Mapping) else None,
                    f"{common['name']}.{number}.{key}",
                    pointer_to(f"{common['pointer']}/{number}", key),
                    wording,
                )
                for key, member in inner.properties.items()
            )
            for number, row in enumerate(rows)
        )
        return field("rows", "rows", rows=filled)
    if inner is None or inner.type in {"list", "object"}:
        return field("json", "json", value=as_json(value) if value else "")
    numbers = inner.type in {"integer", "decimal"}
    lines = (written(one, wording.decimal_sign) if numbers else entered(one) for one in items)
    return field("lines", "lines", value="\n".join(lines))


def _member(key: str, shape: Shape, value: Any, name: str, pointer: str, wording: Wording) -> Field:  # noqa: PLR0917
    """Return the field of a part of something, which may be left out as a whole."""
    return replace(_field(label_of(key, shape), shape, value, name, pointer, wording), within=True)


def _flat(shape: Shape) -> bool:
    return all(member.type not in {"list", "object"} for member in (shape.properties or {}).values())


def _object(shape: Shape, value: Any, wording: Wording, common: dict[str, Any]) -> Field:
    if not shape.properties:
        return Field(widget="json", value=as_json(value) if value else "", **common)
    members = value if isinstance(value, Mapping) else {}
    fields = tuple(
        _member(
            key,
            member,
            members.get(key, member.default),
            f"{common['name']}.{key}",
            pointer_to(common["pointer"], key),
            wording,
        )
        for key, member in shape.properties.items()
    )
    check = checks.of_shape(shape, "group", wording, required=common["required"])
    return Field(widget="group", fields=fields, check=check, **common)


def _read(shape: Shape, entries: Entries, name: str) -> Any:
    if shape.type == "list":
        return _read_list(shape, entries, name)
    if shape.type == "object":
        if not shape.properties:
            return entries.json(name)
        members = {key: _read(member, entries, f"{name}.{key}") for key, member in shape.properties.items()}
        given = {key: value for key, value in members.items() if value is not None}
        return given or None
    return _scalar(shape, entries.text(name), entries)


def _read_list(shape: Shape, entries: Entries, name: str) -> Any:
    inner = shape.items
    if inner is not None and inner.enum is not None and len(inner.enum) <= _CHOICES:
        return [_scalar(inner, one, entries) for one in entries.texts(name)] or None
    if inner is not None and inner.type == "object" and inner.properties and _flat(inner):
        rows = []
        for number in entries.rows(name):
            row = {key: _read(member, entries, f"{name}.{number}.{key}") for key, member in inner.properties.items()}
            given = {key: value for key, value in row.items() if value is not None}
            if given:
                rows.append(given)
        return rows or None
    if inner is None or inner.type in {"list", "object"}:
        return entries.json(name)
    lines = [line.strip() for line in entries.text(name).splitlines()]
    return [_scalar(inner, line, entries) for line in lines if line] or None


def _scalar(shape: Shape, text: str, entries: Entries) -> Any:
    if text == "":
        return None
    if shape.type == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if shape.type == "integer":
        return entries.number(text, whole=True)
    if shape.type == "decimal":
        return entries.number(text)
    if shape.type == "datetime":
        return entries.moment(text)
    return text
