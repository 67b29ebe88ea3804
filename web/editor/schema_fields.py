"""Fields of a form made from a JSON Schema, and the value that comes back: the one way in which parts are edited.

The schema is that of the published format, so a field that a node gets there appears here by itself. What a form holds
and the schema does not know stays as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from placet.json_pointer import pointer_to
from web.editor.labels import help_of, label_of
from web.editor.row_forms import ROW_FORMS
from web.editor.row_values import ABSENT, number_of
from web.forms.fields import Field, Widget, entered, written
from web.forms.reading import Entries, as_json, whole
from web.languages import Wording

Schema = Mapping[str, Any]
Options = Callable[[str], Sequence[tuple[str, str]] | None]
"""What may be chosen for a property, by its name; None where anything may be written."""

_LONG = 300  # characters; a text that may be longer gets several lines
_KIND = "~"  # the name of the field that says which of several shapes a value has
_NUMBERS = {"integer", "number"}
_CHOICES = 12
_REFERENCE = re.compile(r'"\$ref": "#/\$defs/(\w+)"')


@dataclass(frozen=True, kw_only=True)
class Former:
    """Makes fields, and reads them, for one reader. `hidden` are properties that a form leaves as they are."""

    defs: Mapping[str, Schema]
    wording: Wording
    options: Options = lambda _: None
    hidden: frozenset[str] = frozenset()
    in_force: Mapping[str, Any] = field(default_factory=dict)  # what holds, by property, where nothing is said

    def fields(self, schema: Schema, value: Any, name: str, pointer: str) -> tuple[Field, ...]:
        """Return the fields of an object at a pointer, named below `name`."""
        members = value if isinstance(value, Mapping) else {}
        required = schema.get("required", ())
        return tuple(
            self._field(key, one, members.get(key, ABSENT), f"{name}.{key}", pointer_to(pointer, key), key in required)
            for key, one in self._shown(schema)
        )

    def read(self, schema: Schema, entries: Entries, name: str, base: Any) -> dict[str, Any]:
        """Return the object that a form holds; `base` is what it was made from."""
        found = dict(base) if isinstance(base, Mapping) else {}
        for key, one in self._shown(schema):
            if not any(f == f"{name}.{key}" or f.startswith(f"{name}.{key}.") for f in entries.values):
                if self._ticked(one) and key in found:
                    del found[key]  # a browser sends nothing of boxes that are not ticked
                continue
            value = self._read(one, entries, f"{name}.{key}", found.get(key, ABSENT))
            if value is ABSENT and found.get(key, ABSENT) in ({}, []):
                continue  # it said nothing before, and says nothing now
            if value is ABSENT:
                found.pop(key, None)
            else:
                found[key] = value
        return found

    # The shapes

    def _shown(self, schema: Schema) -> list[tuple[str, Schema]]:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        found = [(key, one) for key, one in properties.items() if key not in self.hidden and "const" not in one]
        return sorted(found, key=lambda pair: pair[0] not in schema.get("required", ()))

    def resolved(self, schema: Schema) -> Schema:
        """Follow a reference, and leave out that a value may be null."""
        while "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            more = {key: value for key, value in schema.items() if key != "$ref"}
            # What may hold itself has no end of fields, and is written as JSON.
            found = {"type": "object"} if _holds_itself(self.defs, name) else self.defs[name]
            schema = {**found, **more}
        kinds = self._kinds(schema)
        if len(kinds) == 1:
            return self.resolved({**kinds[0], **{k: v for k, v in schema.items() if k not in {"anyOf", "oneOf"}}})
        return schema

    def _kinds(self, schema: Schema) -> list[Schema]:
        kinds = schema.get("anyOf") or schema.get("oneOf") or ()
        return [one for one in kinds if one.get("type") != "null"]

    def _objects(self, schema: Schema) -> list[Schema]:
        found = [self.resolved(one) for one in self._kinds(schema)]
        return [one for one in found if one.get("properties")]

    def _words(self, schema: Schema) -> list[str]:
        """Return the plain words that a value of several shapes may be."""
        found: list[str] = []
        for one in self._kinds(schema):
            found += [str(word) for word in one.get("enum", [one["const"]] if "const" in one else ())]
        return found

    def _ticked(self, schema: Schema) -> bool:
        one = self.resolved(schema)
        return one.get("type") == "array" and "enum" in self.resolved(one.get("items", {}))

    def _pairs(self, schema: Schema) -> bool:
        """Whether an object is one of texts by any name."""
        inner: Schema = next(iter((schema.get("patternProperties") or {}).values()), {})
        return inner.get("type") == "string"

    def _misfits(self, schema: Schema, value: Any) -> bool:
        """Whether a value has another shape than its property: its own form would lose it, so it is shown as JSON."""
        if self._words(schema) and self._objects(schema):
            return not isinstance(value, str | Mapping)
        kind = schema.get("type")
        if kind == "array":
            inner = self.resolved(schema.get("items", {}))
            if not isinstance(value, list):
                return True
            if "enum" in inner:
                return any(one not in inner["enum"] for one in value)
            return bool(inner.get("properties")) and any(not isinstance(one, Mapping) for one in value)
        if kind == "object":
            return not isinstance(value, Mapping)
        return kind is not None and isinstance(value, list | Mapping)

    # The fields

    def _field(self, key: str, schema: Schema, value: Any, name: str, pointer: str, required: bool) -> Field:  # noqa: PLR0917
        one = self.resolved(schema)
        label = label_of(key, self.wording.say)
        more = help_of(key, self.wording.say) or one.get("description") if "properties" not in one else None
        common: dict[str, Any] = {"name": name, "pointer": pointer, "label": label, "help": more, "required": required}
        given = None if value is ABSENT else value
        if (rows := ROW_FORMS.get(key)) is not None and rows.fits(value):
            return rows.field(value, common, self.wording)
        if given is not None and self._misfits(one, given):
            return Field(widget="json", value=as_json(given), **common)
        if (options := self.options(key)) is not None and one.get("type") in {"string", None}:
            return Field(widget="choice", value=entered(given), options=_with(options, given), **common)
        if self._words(one) and self._objects(one):
            return self._one_of(one, given, common)
        if "enum" in one:
            usual = self.in_force.get(key, one.get("default"))
            common["help"] = more or self._usual(usual)
            options = [(str(each), self._word(str(each))) for each in one["enum"]]
            return Field(widget="choice", value=entered(given), options=_with(options, given), **common)
        kind = one.get("type")
        if kind == "boolean":
            options = [("true", self.wording.say("Yes")), ("false", self.wording.say("No"))]
            common["help"] = more or self._usual(one.get("default"))
            return Field(widget="truth", value=entered(given), options=tuple(options), **common)
        if kind in _NUMBERS:
            common["help"] = more or self._usual(one.get("default"))
            return Field(widget="number", value=self._number(given), **common)
        if kind == "array":
            return self._list(one, given, common)
        if kind == "object":
            return self._object(one, given, common)
        if self._objects(one) or not (kind or self._kinds(one)):
            return Field(widget="long", value=_text(given), **common)
        widget: Widget = "long" if (one.get("maxLength") or 0) > _LONG else "text"
        return Field(widget=widget, value=entered(given), longest=one.get("maxLength"), **common)

    def _usual(self, default: Any) -> str | None:
        if default is None:
            return None
        word = (
            {True: self.wording.say("Yes"), False: self.wording.say("No")}.get(default)
            if isinstance(default, bool)
            else self._word(str(default))
            if isinstance(default, str)
            else self._number(default)
        )
        return self.wording.say("If nothing is said: {value}").format(value=word)

    def _number(self, value: Any) -> str:
        """Write a number as the reader does; a text that was none stays as it was entered."""
        return value if isinstance(value, str) else written(value, self.wording.decimal_sign)

    def _word(self, word: str) -> str:
        return label_of(f"={word}", self.wording.say)

    def _one_of(self, schema: Schema, value: Any, common: dict[str, Any]) -> Field:
        words, objects = self._words(schema), self._objects(schema)
        chosen = 0 if isinstance(value, Mapping) else -1
        for number, one in enumerate(objects):
            if isinstance(value, Mapping) and any(key in one["properties"] for key in value):
                chosen = number
                break
        options = [(word, self._word(word)) for word in words]
        options += [(f"{_KIND}{n}", label_of(str(one.get("title")), self.wording.say)) for n, one in enumerate(objects)]
        picked = f"{_KIND}{chosen}" if chosen >= 0 else entered(value)
        name = common["name"]
        which = Field(
            name=f"{name}.{_KIND}",
            pointer=common["pointer"],
            label=self.wording.say("Which"),
            widget="choice",
            value=picked,
            options=_with(options, None if chosen >= 0 else value),
            help=self._usual(schema.get("default")),
        )
        inner = self.fields(objects[chosen], value, f"{name}.{chosen}", common["pointer"]) if chosen >= 0 else ()
        return Field(widget="group", fields=(which, *inner), **{**common, "required": False})

    def _list(self, schema: Schema, value: Any, common: dict[str, Any]) -> Field:
        inner = self.resolved(schema.get("items", {}))
        items = value if isinstance(value, list | tuple) else []
        if "enum" in inner:
            options = tuple((str(one), self._word(str(one))) for one in inner["enum"])
            return Field(widget="choices", values=tuple(entered(one) for one in items), options=options, **common)
        named = str(common["name"]).rpartition(".")[2]
        if (options_here := self.options(f"{named}[]")) is not None and len(options_here) <= _CHOICES:
            shown = _with(options_here, None)
            shown += tuple((entered(one), entered(one)) for one in items if entered(one) not in dict(shown))
            return Field(widget="choices", values=tuple(entered(one) for one in items), options=shown, **common)
        if inner.get("properties"):
            rows = [*items, {}]
            return Field(
                widget="rows",
                rows=tuple(
                    self.fields(inner, row, f"{common['name']}.{n}", f"{common['pointer']}/{n}")
                    for n, row in enumerate(rows)
                ),
                **common,
            )
        numbers = inner.get("type") in _NUMBERS
        lines = (self._number(one) if numbers else _text(one) for one in items)
        return Field(widget="lines", value="\n".join(lines), **common)

    def _object(self, schema: Schema, value: Any, common: dict[str, Any]) -> Field:
        if schema.get("properties"):
            inner = self.fields(schema, value, common["name"], common["pointer"])
            return Field(widget="group", fields=inner, **{**common, "required": False})
        if self._pairs(schema):
            members = value if isinstance(value, Mapping) else {}
            text = "\n".join(f"{key} = {_text(one)}" for key, one in members.items())
            return Field(widget="lines", value=text, **common)
        return Field(widget="json", value="" if value is None else as_json(value), **common)

    # What comes back

    def _read(self, schema: Schema, entries: Entries, name: str, base: Any) -> Any:
        one = self.resolved(schema)
        if (rows := ROW_FORMS.get(name.rpartition(".")[2])) is not None and name not in entries.values:
            return rows.read(entries, name, base)
        if base is not ABSENT and base is not None and self._misfits(one, base):
            text = entries.text(name)
            return _json(text) if text else ABSENT
        if self._words(one) and self._objects(one):
            return self._read_one_of(one, entries, name, base)
        kind = one.get("type")
        if kind == "array":
            return self._read_list(one, entries, name, base)
        if kind == "object" and one.get("properties"):
            found = self.read(one, entries, name, {} if base is ABSENT else base)
            return found or ABSENT
        text = entries.text(name)
        if text == "":
            return ABSENT
        if kind == "object":
            return _pairs(text) if self._pairs(one) else _json(text)
        if "enum" in one:
            return next((each for each in one["enum"] if str(each) == text), text)
        if kind == "boolean":
            return {"true": True, "false": False}.get(text, text)
        if kind in _NUMBERS:
            return _as_number(text, entries)
        if kind == "string":
            return text
        return _any(text, base)

    def _read_one_of(self, schema: Schema, entries: Entries, name: str, base: Any) -> Any:
        picked, objects = entries.text(f"{name}.{_KIND}"), self._objects(schema)
        if picked == "":
            return ABSENT
        if not picked.startswith(_KIND):
            return picked
        number = whole(picked.removeprefix(_KIND))
        if number is None or number >= len(objects):
            return base
        there = base if isinstance(base, Mapping) else {}
        return self.read(objects[number], entries, f"{name}.{number}", there)

    def _read_list(self, schema: Schema, entries: Entries, name: str, base: Any) -> Any:
        inner = self.resolved(schema.get("items", {}))
        if "enum" in inner:
            return entries.texts(name) or ABSENT
        named = name.rpartition(".")[2]
        if (options := self.options(f"{named}[]")) is not None and len(options) <= _CHOICES:
            return entries.texts(name) or ABSENT
        if inner.get("properties"):
            were: list[Any] = base if isinstance(base, list) else []
            rows = [
                self.read(inner, entries, f"{name}.{n}", were[n] if n < len(were) else {}) for n in entries.rows(name)
            ]
            return [row for row in rows if row] or ABSENT
        lines = [line.strip() for line in entries.text(name).splitlines() if line.strip()]
        if inner.get("type") == "string":
            return lines or ABSENT
        if inner.get("type") in _NUMBERS:
            return [_as_number(line, entries) for line in lines] or ABSENT
        known = {_text(one): one for one in base} if isinstance(base, list) else {}
        return [known[line] if line in known else _any(line, ABSENT) for line in lines] or ABSENT


def _holds_itself(defs: Mapping[str, Schema], name: str) -> bool:
    waiting, seen = [name], set[str]()
    while waiting:
        for reference in _REFERENCE.findall(json.dumps(defs.get(waiting.pop(), {}))):
            if reference == name:
                return True
            if reference not in seen:
                seen.add(reference)
                waiting.append(reference)
    return False


def _with(options: Sequence[tuple[str, str]], value: Any) -> tuple[tuple[str, str], ...]:
    """Return what may be chosen, with what there is now, which is perhaps no longer among it."""
    there = entered(value)
    return tuple(options) if not there or there in dict(options) else (*options, (there, there))


def _text(value: Any) -> str:
    return entered(value) if not isinstance(value, Mapping | list) else json.dumps(value, ensure_ascii=False)


def _as_number(text: str, entries: Entries) -> Any:
    try:
        found = float(entries.number(text))
    except ValueError:
        return text
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def _any(text: str, base: Any) -> Any:
    """Read what may be a text or a value: an object or a list as JSON, else a value of the kind that there was."""
    if text[:1] in "{[":
        return _json(text)
    if isinstance(base, bool):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(base, int | float):
        return number_of(text)
    return text


def _json(text: str) -> Any:
    """Read JSON; what is none stays the text that was entered, and is found unsound."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if key.strip():
            found[key.strip()] = value.strip() if sign else ""
    return found
