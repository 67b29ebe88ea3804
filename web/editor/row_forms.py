"""Rows for what a blueprint writes in several shapes: approvers with weights, and the fields of a decision's form.

A row that is sent as it was shown gives back what was there, however that was written. What a row has no field for
stays beside it as JSON, so that nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from web.editor.labels import label_of
from web.editor.row_values import (
    ABSENT,
    choice_of,
    field_of,
    free_name,
    json_of,
    lines_of,
    more_of,
    number_of,
    one_line,
    rest_text,
)
from web.editor.shape_forms import ItemsForm, PropertiesForm
from web.forms.fields import Field, Widget
from web.forms.reading import Entries
from web.languages import Wording

_PLAIN = ("string", "integer", "number", "boolean")
_Row = tuple[str, ...]


class RowForm(Protocol):
    """The form of one property."""

    def fits(self, value: Any) -> bool:
        """Whether a value can be shown in rows; ABSENT can."""

    def field(self, value: Any, common: Mapping[str, Any], wording: Wording) -> Field:
        """Return the field; `common` are its name, pointer, label and help."""

    def read(self, entries: Entries, name: str, base: Any) -> Any:
        """Return the value that came back; `base` is what the form was made from."""


class ApproverRows:
    """Approvers: a person or rule, or an expression that chooses some, each with a weight."""

    def fits(self, value: Any) -> bool:
        """Whether these are approvers in a list."""
        return value is ABSENT or isinstance(value, list)

    def field(self, value: Any, common: Mapping[str, Any], wording: Wording) -> Field:
        """Return the rows, and an empty one to add somebody with."""
        say, name = wording.say, common["name"]
        items: list[Any] = [] if value is ABSENT else value
        kinds = [(one, label_of(f"={one}", say)) for one in ("person", "expression", "json")]
        rows = []
        for n, (kind, text, weight) in enumerate([*(_approver_row(one) for one in items), ("person", "", "")]):
            at = f"{common['pointer']}/{n}"
            options = tuple(kinds if kind == "json" else kinds[:2])
            rows.append(
                (
                    field_of(f"{name}.{n}.who", at, "text", text, wording),
                    choice_of(f"{name}.{n}.kind", at, label_of("kind", say), kind, options),
                    field_of(f"{name}.{n}.weight", at, "number", weight, wording),
                )
            )
        return Field(widget="rows", rows=tuple(rows), **common)

    def read(self, entries: Entries, name: str, base: Any) -> Any:
        """Return the approvers; a row without anybody is left out."""
        were: list[Any] = base if isinstance(base, list) else []
        found = []
        for n in entries.rows(name):
            kind, text, weight = (entries.text(f"{name}.{n}.{key}") for key in ("kind", "who", "weight"))
            if not text:
                continue
            if n < len(were) and _approver_row(were[n]) == (kind, text, weight):
                found.append(were[n])
            elif kind == "json":
                found.append(json_of(text))
            elif kind == "expression":
                found.append({"expr": text} | ({"weight": number_of(weight)} if weight else {}))
            else:
                found.append({"who": text, "weight": number_of(weight)} if weight else text)
        return found or ABSENT


class SchemaRows:
    """The form of a decision: a field in each row. It is stored as a JSON Schema."""

    def fits(self, value: Any) -> bool:
        """Whether a schema is one of an object whose fields can be listed."""
        if value is ABSENT:
            return True
        if not isinstance(value, Mapping) or value.get("type", "object") != "object":
            return False
        properties, required = value.get("properties", {}), value.get("required", [])
        return (
            isinstance(properties, Mapping)
            and all(isinstance(one, Mapping) for one in properties.values())
            and all(one_line(name) for name in properties)
            and isinstance(required, list)
            and all(isinstance(name, str) and name in properties for name in required)
            and len(set(required)) == len(required)
        )

    def field(self, value: Any, common: Mapping[str, Any], wording: Wording) -> Field:
        """Return the rows with an empty one, and what else the schema says as JSON."""
        say, name = wording.say, common["name"]
        schema: Mapping[str, Any] = {} if value is ABSENT else value
        kinds = [(one, label_of(f"={one}", say)) for one in (*_PLAIN, "date", "several", "other")]
        rows = []
        shown = [*_schema_rows(schema), ("", "", "string", "false", "", "")]
        for n, (key, title, kind, must, choices, more) in enumerate(shown):
            at = f"{common['pointer']}/properties/{key}"
            texts: list[tuple[str, Widget, str]] = [("name", "text", key), ("title", "text", title)]
            yes_no = (("true", say("Yes")), ("false", say("No")))
            rows.append(
                (
                    *(field_of(f"{name}.{n}.{one}", at, widget, text, wording) for one, widget, text in texts),
                    choice_of(f"{name}.{n}.type", at, label_of("type", say), kind, kinds),
                    choice_of(f"{name}.{n}.required", at, label_of("required", say), must, yes_no),
                    field_of(f"{name}.{n}.enum", at, "lines", choices, wording),
                    field_of(f"{name}.{n}.more", at, "json", more, wording),
                )
            )
        listed = Field(
            name=f"{name}.rows",
            pointer=common["pointer"],
            label=label_of("fields", say),
            widget="rows",
            rows=tuple(rows),
        )
        rest = field_of(f"{name}.more", common["pointer"], "json", _rest_text(schema), wording)
        return Field(widget="group", fields=(listed, rest), **{**common, "required": False})

    def read(self, entries: Entries, name: str, base: Any) -> Any:
        """Return the schema; a row without a name is left out."""
        schema: Mapping[str, Any] = base if isinstance(base, Mapping) else {}
        keys = ("name", "title", "type", "required", "enum", "more")
        sent = {n: tuple(entries.text(f"{name}.{n}.{key}") for key in keys) for n in entries.rows(name)}
        rows, more = [row for row in sent.values() if row[0]], entries.text(f"{name}.more")
        before = _schema_rows(schema)
        if [_stripped(row) for row in before] == rows and more == _rest_text(schema).strip():
            return base
        if not rows and not more:
            return ABSENT
        old = list(schema.get("properties", {}).items())
        properties: dict[str, Any] = {}
        must: dict[str, int] = {}
        for n, row in sent.items():
            if not row[0]:
                continue
            key = free_name(row[0], properties)
            same = n < len(old) and _stripped(before[n])[1:3] + _stripped(before[n])[4:] == row[1:3] + row[4:]
            properties[key] = old[n][1] if same else _property(row, old[n][1] if n < len(old) else {})
            if row[3] == "true":
                listed = schema.get("required", [])
                must[key] = listed.index(old[n][0]) if n < len(old) and old[n][0] in listed else len(listed)
        found: dict[str, Any] = {"type": "object"} if base is ABSENT else {}
        found |= {one: schema[one] for one in ("type",) if one in schema}
        found["properties"] = properties
        if must or schema.get("required") == []:
            found["required"] = sorted(must, key=lambda key: must[key])
        return {**found, **more_of(more)}


ROW_FORMS: Final[Mapping[str, RowForm]] = {
    "approvers": ApproverRows(),
    "form": SchemaRows(),
    "items": ItemsForm(),
    "properties": PropertiesForm(),
}
"""The properties that have rows of their own, by name."""


def _approver_row(item: Any) -> tuple[str, str, str]:
    """Return one approver as kind, text and weight."""
    if one_line(item):
        return "person", item, ""
    if isinstance(item, Mapping):
        weight = item.get("weight", "")
        for key, kind in (("who", "person"), ("expr", "expression")):
            text = item.get(key)
            if set(item) - {"weight"} == {key} and isinstance(text, str) and one_line(text) and _whole(weight):
                return kind, text, str(weight)
    return "json", json.dumps(item, ensure_ascii=False), ""


def _whole(weight: Any) -> bool:
    return weight == "" or (isinstance(weight, int) and not isinstance(weight, bool))


def _schema_rows(schema: Mapping[str, Any]) -> list[_Row]:
    """Return the fields of a form: name, title, type, whether it has to be filled in, choices, and the rest as JSON."""
    required = schema.get("required", [])
    return [
        (key, *_described(one, "true" if key in required else "false"))
        for key, one in schema.get("properties", {}).items()
    ]


def _described(one: Mapping[str, Any], must: str) -> _Row:
    rest, kind, choices = dict(one), "other", ""
    title = rest.pop("title") if one_line(rest.get("title")) else ""
    items = rest.get("items")
    if rest.get("type") == "string" and rest.get("format") == "date":
        kind = "date"
        del rest["type"], rest["format"]
    elif rest.get("type") in _PLAIN:
        kind = rest.pop("type")
    elif (
        rest.get("type") == "array"
        and isinstance(items, Mapping)
        and items.keys() <= {"type", "enum"}
        and items.get("type", "string") == "string"
        and (lines := lines_of(items.get("enum"), "string"))
    ):
        kind, choices = "several", lines
        del rest["type"], rest["items"]
    if lines := lines_of(rest.get("enum"), kind):
        choices = lines
        del rest["enum"]
    return title, kind, must, choices, rest_text(rest)


def _property(row: _Row, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one field as its row says."""
    _, title, kind, _, choices, more = row
    lines = [line.strip() for line in choices.splitlines() if line.strip()]
    found: dict[str, Any] = {"title": title} if title else {}
    if kind == "date":
        found |= {"type": "string", "format": "date"}
    elif kind == "several":
        items = before.get("items")
        inner = {"type": "string"} if not isinstance(items, Mapping) or "type" in items else {}
        found |= {"type": "array", "items": inner | {"enum": lines}}
    elif kind in _PLAIN:
        found["type"] = kind
    if lines and kind not in {"several", "boolean"}:
        found["enum"] = [number_of(line) for line in lines] if kind in {"integer", "number"} else lines
    return {**found, **{key: value for key, value in more_of(more).items() if key not in found}}


def _rest_text(schema: Mapping[str, Any]) -> str:
    """Return what a schema says besides its fields."""
    rest = {key: value for key, value in schema.items() if key not in {"type", "properties", "required"}}
    return rest_text(rest)


def _stripped(row: _Row) -> _Row:
    return tuple(one.strip() for one in row)
