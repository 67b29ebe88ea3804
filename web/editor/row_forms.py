"""Rows for what a blueprint writes in several shapes: approvers with weights, and the fields of a decision's form.

A row that is sent as it was shown gives back what was there, however that was written. What a row has no field for
stays beside it as JSON, so that nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from web.editor.labels import label_of
from web.forms.fields import Field, Widget, entered
from web.forms.reading import Entries, as_json
from web.languages import Wording

ABSENT: Final = object()
"""What a property has that is not there."""
_UNREAD = "$defs"  # holds the text of a row that is no JSON yet: a schema with it is unsound, and the check says where
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
                    _field(f"{name}.{n}.who", at, "text", text, wording),
                    _choice(f"{name}.{n}.kind", at, label_of("kind", say), kind, options),
                    _field(f"{name}.{n}.weight", at, "number", weight, wording),
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
                found.append(_json(text))
            elif kind == "expression":
                found.append({"expr": text} | ({"weight": _number(weight)} if weight else {}))
            else:
                found.append({"who": text, "weight": _number(weight)} if weight else text)
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
            and all(_one_line(name) for name in properties)
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
                    *(_field(f"{name}.{n}.{one}", at, widget, text, wording) for one, widget, text in texts),
                    _choice(f"{name}.{n}.type", at, label_of("type", say), kind, kinds),
                    _choice(f"{name}.{n}.required", at, label_of("required", say), must, yes_no),
                    _field(f"{name}.{n}.enum", at, "lines", choices, wording),
                    _field(f"{name}.{n}.more", at, "json", more, wording),
                )
            )
        listed = Field(
            name=f"{name}.rows",
            pointer=common["pointer"],
            label=label_of("fields", say),
            widget="rows",
            rows=tuple(rows),
        )
        rest = _field(f"{name}.more", common["pointer"], "json", _rest_text(schema), wording)
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
            key = _free(row[0], properties)
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
        return {**found, **_more(more)}


ROW_FORMS: Final[Mapping[str, RowForm]] = {"approvers": ApproverRows(), "form": SchemaRows()}
"""The properties that have rows of their own, by name."""


def _approver_row(item: Any) -> tuple[str, str, str]:
    """Return one approver as kind, text and weight."""
    if _one_line(item):
        return "person", item, ""
    if isinstance(item, Mapping):
        weight = item.get("weight", "")
        for key, kind in (("who", "person"), ("expr", "expression")):
            text = item.get(key)
            if set(item) - {"weight"} == {key} and isinstance(text, str) and _one_line(text) and _whole(weight):
                return kind, text, str(weight)
    return "json", json.dumps(item, ensure_ascii=False), ""


def _whole(weight: Any) -> bool:
    return weight == "" or (isinstance(weight, int) and not isinstance(weight, bool))


def _one_line(text: Any) -> bool:
    return isinstance(text, str) and text.strip() == text and text != "" and "\n" not in text and "\r" not in text


def _schema_rows(schema: Mapping[str, Any]) -> list[_Row]:
    """Return the fields of a form: name, title, type, whether it has to be filled in, choices, and the rest as JSON."""
    required = schema.get("required", [])
    return [
        (key, *_described(one, "true" if key in required else "false"))
        for key, one in schema.get("properties", {}).items()
    ]


def _described(one: Mapping[str, Any], must: str) -> _Row:
    rest, kind, choices = dict(one), "other", ""
    title = rest.pop("title") if _one_line(rest.get("title")) else ""
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
        and (lines := _lines(items.get("enum"), "string"))
    ):
        kind, choices = "several", lines
        del rest["type"], rest["items"]
    if lines := _lines(rest.get("enum"), kind):
        choices = lines
        del rest["enum"]
    return title, kind, must, choices, _as_text(rest)


def _lines(values: Any, kind: str) -> str:
    """Return values to choose from as lines; empty where they are none of this type, and stay as they are."""
    if not isinstance(values, list) or len({entered(one) for one in values}) != len(values):
        return ""
    if kind == "string":
        fits = all(_one_line(one) for one in values)
    else:
        fits = kind in {"integer", "number"} and all(
            isinstance(one, int | float) and not isinstance(one, bool) and _number(entered(one)) == one
            for one in values
        )
    return "\n".join(entered(one) for one in values) if fits else ""


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
        found["enum"] = [_number(line) for line in lines] if kind in {"integer", "number"} else lines
    return {**found, **{key: value for key, value in _more(more).items() if key not in found}}


def _rest_text(schema: Mapping[str, Any]) -> str:
    """Return what a schema says besides its fields."""
    rest = {key: value for key, value in schema.items() if key not in {"type", "properties", "required"}}
    return _as_text(rest)


def _as_text(rest: Mapping[str, Any]) -> str:
    if rest.keys() == {_UNREAD} and isinstance(rest[_UNREAD], str):
        return str(rest[_UNREAD])
    return as_json(rest) if rest else ""


def _more(text: str) -> dict[str, Any]:
    found = _json(text) if text else {}
    return found if isinstance(found, dict) else {_UNREAD: text}


def _stripped(row: _Row) -> _Row:
    return tuple(one.strip() for one in row)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else next(f"{name}_{n}" for n in range(2, 9_999) if f"{name}_{n}" not in taken)


def _json(text: str) -> Any:
    """Read JSON; what is none stays the text that was entered, and is found unsound."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> Any:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return text
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def _field(name: str, pointer: str, widget: Widget, value: str, wording: Wording) -> Field:
    label = label_of(name.rpartition(".")[2], wording.say)
    return Field(name=name, pointer=pointer, label=label, widget=widget, value=value)


def _choice(name: str, pointer: str, label: str, value: str, options: Sequence[tuple[str, str]]) -> Field:
    return Field(name=name, pointer=pointer, label=label, widget="choice", value=value, options=tuple(options))
