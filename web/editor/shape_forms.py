"""Forms for what a variable holds: the entries of a list, and the fields of an object, each of which may hold more.

What is sent as it was shown gives back what was there. What a form has no field for stands beside it as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from placet.json_pointer import pointer_to
from web.editor.labels import label_of
from web.editor.row_values import (
    ABSENT,
    choice_of,
    field_of,
    free_name,
    lines_of,
    more_of,
    number_of,
    one_line,
    rest_text,
)
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording

_KINDS: Final = ("string", "integer", "decimal", "boolean", "date", "datetime", "list", "object")
_LISTED: Final = {"string", "integer"}  # the kinds whose choices are lines
_OWN: Final = {"type", "title", "required", "items", "properties"}
_DEEPEST: Final = 6  # what holds more levels is written as JSON
_NEW: Final = "string"  # what a field is until something else is chosen

Shape = Mapping[str, Any]


class ItemsForm:
    """What each entry of a list is."""

    def fits(self, value: Any) -> bool:
        """Whether the shape can be shown in fields."""
        return value is ABSENT or _fits(value, _DEEPEST)

    def field(self, value: Any, common: Mapping[str, Any], wording: Wording) -> Field:
        """Return the fields; of entries that nothing is said of, only what kind they are."""
        shape: Shape = {} if value is ABSENT else value
        fields = _fields(shape, common["name"], common["pointer"], wording)
        return Field(widget="group", fields=fields, **{**common, "required": False})

    def read(self, entries: Entries, name: str, base: Any) -> Any:
        """Return the shape; ABSENT where nothing is said of the entries."""
        return _read(entries, name, {} if base is ABSENT else base) or ABSENT


class PropertiesForm:
    """The fields of an object, each in a group of its own, and an empty group for another."""

    def fits(self, value: Any) -> bool:
        """Whether the fields can be shown in groups."""
        return value is ABSENT or _fit(value, _DEEPEST)

    def field(self, value: Any, common: Mapping[str, Any], wording: Wording) -> Field:
        """Return the groups."""
        shapes: Mapping[str, Shape] = {} if value is ABSENT else value
        fields = _groups(shapes, common["name"], common["pointer"], wording)
        return Field(widget="group", fields=fields, **{**common, "required": False})

    def read(self, entries: Entries, name: str, base: Any) -> Any:
        """Return the fields; one without a name is left out."""
        return _read_groups(entries, name, {} if base is ABSENT else base) or ABSENT


def _fit(value: Any, deep: int) -> bool:
    return isinstance(value, Mapping) and all(one_line(name) and _fits(one, deep) for name, one in value.items())


def _fits(value: Any, deep: int) -> bool:
    return (
        isinstance(value, Mapping)
        and deep > 0
        and value.get("type", _NEW) in _KINDS
        and ("title" not in value or one_line(value["title"]))
        and isinstance(value.get("required", False), bool)
        and ("items" not in value or _fits(value["items"], deep - 1))
        and ("properties" not in value or _fit(value["properties"], deep - 1))
    )


def _fields(shape: Shape, name: str, pointer: str, wording: Wording) -> tuple[Field, ...]:
    """Return the fields of one shape. A list and an object have more, below; so has what was one before."""
    say, kind = wording.say, str(shape.get("type", ""))
    kinds = [(one, label_of(f"={one}", say)) for one in _KINDS]
    fields = [choice_of(f"{name}.type", f"{pointer}/type", label_of("type", say), kind, kinds)]
    if not shape:
        return tuple(fields)
    fields.append(field_of(f"{name}.title", f"{pointer}/title", "text", str(shape.get("title", "")), wording))
    if kind in _LISTED:
        fields.append(field_of(f"{name}.enum", f"{pointer}/enum", "lines", _choices(shape), wording))
    fields.append(field_of(f"{name}.more", pointer, "json", _rest(shape), wording))
    if kind == "list" or "items" in shape:
        inner = _fields(shape.get("items", {}), f"{name}.items", f"{pointer}/items", wording)
        fields.append(_group(f"{name}.items", f"{pointer}/items", label_of("items", say), inner))
    if kind == "object" or "properties" in shape:
        inner = _groups(shape.get("properties", {}), f"{name}.properties", f"{pointer}/properties", wording)
        fields.append(_group(f"{name}.properties", f"{pointer}/properties", label_of("properties", say), inner))
    return tuple(fields)


def _groups(shapes: Mapping[str, Shape], name: str, pointer: str, wording: Wording) -> tuple[Field, ...]:
    say = wording.say
    yes_no = (("true", say("Yes")), ("false", say("No")))
    groups = []
    for n, (key, shape) in enumerate([*shapes.items(), ("", {})]):
        place, at = pointer_to(pointer, key), f"{name}.{n}"
        must = "true" if shape.get("required") else "false"
        kinds = [(one, label_of(f"={one}", say)) for one in _KINDS]
        inner = (
            _fields(shape, at, place, wording)
            if key
            else (choice_of(f"{at}.type", place, label_of("type", say), _NEW, kinds),)
        )
        fields = (
            field_of(f"{at}.name", place, "text", key, wording),
            choice_of(f"{at}.required", place, label_of("required", say), must, yes_no),
            *inner,
        )
        groups.append(_group(at, place, str(shape.get("title") or key) or say("Another field"), fields))
    return tuple(groups)


def _group(name: str, pointer: str, label: str, fields: tuple[Field, ...]) -> Field:
    return Field(name=name, pointer=pointer, label=label, widget="group", fields=fields)


def _choices(shape: Shape) -> str:
    return lines_of(shape.get("enum"), str(shape.get("type", "")))


def _rest(shape: Shape) -> str:
    return rest_text({key: shape[key] for key in _others(shape)})


def _others(shape: Shape) -> list[str]:
    """Return what a shape says besides what it has fields for."""
    listed = {"enum"} if str(shape.get("type", "")) in _LISTED and _choices(shape) else set[str]()
    return [key for key in shape if key not in _OWN | listed]


def _read_groups(entries: Entries, name: str, base: Mapping[str, Shape]) -> dict[str, Any]:
    old, found = list(base.items()), dict[str, Any]()
    for n in entries.rows(name):
        key = entries.text(f"{name}.{n}.name")
        if not key:
            continue
        shape = _read(entries, f"{name}.{n}", old[n][1] if n < len(old) else {})
        must = entries.text(f"{name}.{n}.required") == "true"
        if must is not bool(shape.get("required")):
            shape |= {"required": must} if must or n < len(old) else {}
        found[free_name(key, found)] = shape
    return found


def _read(entries: Entries, name: str, base: Shape) -> dict[str, Any]:
    """Return one shape: what it was, with what was changed in its fields."""
    found = dict(base)
    for key in ("type", "title"):
        text = entries.text(f"{name}.{key}")
        if text and text != base.get(key):
            found[key] = text
        elif not text:
            found.pop(key, None)
    if f"{name}.enum" in entries.values:
        lines = [line.strip() for line in entries.text(f"{name}.enum").splitlines() if line.strip()]
        if lines != _choices(base).splitlines():
            found["enum"] = [number_of(line) for line in lines] if base.get("type") == "integer" else lines
            if not lines:
                del found["enum"]
    more = entries.text(f"{name}.more")
    if f"{name}.more" in entries.values and more != _rest(base).strip():
        for key in _others(base):
            del found[key]
        found |= {key: value for key, value in (more_of(more) if more else {}).items() if key not in found}
    for key, read in _INNER.items():
        if not any(one.startswith(f"{name}.{key}.") for one in entries.values):
            continue
        inner = read(entries, f"{name}.{key}", base.get(key, {}))
        if inner or base.get(key) == {}:
            found[key] = inner
        else:
            found.pop(key, None)
    return found


_INNER: Final = {"items": _read, "properties": _read_groups}
