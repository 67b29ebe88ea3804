"""Values: the input of a request as a person reads it, by the types that its blueprint declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from placet.definition.variables import Variable
from placet.definition.variables.shapes import Shape
from web.languages import Wording, utc

Kind = Literal["text", "long", "link", "number", "money", "truth", "day", "moment", "list", "table", "group", "none"]
_LONG = 120  # characters; a longer text is a paragraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value, ready to be shown. `rows` are those of a table, under `columns`; `fields` are those of a group."""

    kind: Kind
    text: str = ""
    items: tuple[Value, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    fields: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A labelled value; `help` is what the blueprint says about it."""

    name: str
    label: str
    value: Value
    help: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFact:
    """A value before and after a change."""

    label: str
    before: Value
    after: Value


NOTHING = Value(kind="none")


def label_of(name: str, shape: Shape | None = None) -> str:
    """Return what a value is called: its title, else its name as words."""
    if shape is not None and shape.title:
        return shape.title
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else name


def facts_of(variables: Sequence[Variable], given: Mapping[str, Any], wording: Wording) -> tuple[Fact, ...]:
    """Return all values of an input: the declared ones in the order of the blueprint, then what else there is."""
    declared = {variable.name: variable for variable in variables}
    names = [name for name in declared if given.get(name) is not None]
    names += [name for name in given if name not in declared and given[name] is not None]
    return tuple(_fact(name, declared.get(name), given[name], wording) for name in names)


def facts_named(
    variables: Sequence[Variable], given: Mapping[str, Any], names: Iterable[str], wording: Wording
) -> tuple[Fact, ...]:
    """Return the values of these names that there are, in this order."""
    declared = {variable.name: variable for variable in variables}
    return tuple(_fact(name, declared.get(name), given[name], wording) for name in names if given.get(name) is not None)


def changes_of(
    variables: Sequence[Variable], changes: Iterable[Mapping[str, Any]], wording: Wording
) -> tuple[ChangedFact, ...]:
    """Return changes (`field`, `before`, `after`) with their values as they are shown."""
    declared = {variable.name: variable for variable in variables}
    found = []
    for change in changes:
        name = str(change.get("field", "")).removeprefix("input.")
        shape = declared.get(name)
        label = wording.say("Title") if change.get("field") == "title" else label_of(name, shape)
        before, after = (value_of(shape, change.get(side), wording) for side in ("before", "after"))
        found.append(ChangedFact(label=label, before=before, after=after))
    return tuple(found)


def value_of(shape: Shape | None, value: Any, wording: Wording) -> Value:
    """Return a value as it is shown, by its declared shape; without one, by what it is."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return Value(kind="truth", text=wording.say("Yes") if value else wording.say("No"))
    if isinstance(value, list):
        return _list(shape, value, wording)
    if isinstance(value, Mapping):
        return Value(kind="group", fields=_group(shape, value, wording))
    kind = shape.type if shape is not None else None
    if kind in {"decimal", "integer"} or (kind is None and isinstance(value, int | float)):
        return _number(shape, value, wording)
    if kind == "date":
        try:
            return Value(kind="day", text=wording.day(date.fromisoformat(str(value))))
        except ValueError:
            return Value(kind="text", text=str(value))
    if kind == "datetime" and (at := utc(str(value))) is not None:
        return Value(kind="moment", text=wording.moment(at))
    return _text(str(value))


def _fact(name: str, shape: Shape | None, value: Any, wording: Wording) -> Fact:
    return Fact(
        name=name,
        label=label_of(name, shape),
        value=value_of(shape, value, wording),
        help=shape.description if shape is not None else None,
    )


def _text(text: str) -> Value:
    if "\n" in text or len(text) > _LONG:
        return Value(kind="long", text=text)
    return Value(kind="link" if _is_link(text) else "text", text=text)


def _is_link(text: str) -> bool:
    """Whether a text is an address that may be followed; other schemes could run something."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and " " not in text


def _number(shape: Shape | None, value: Any, wording: Wording) -> Value:
    number = wording.as_decimal(value)
    if number is None:
        return Value(kind="text", text=str(value))
    if shape is not None and shape.currency is not None:
        return Value(kind="money", text=wording.money(number, shape.currency))
    return Value(kind="number", text=wording.number(number))


def _list(shape: Shape | None, value: list[Any], wording: Wording) -> Value:
    inner = shape.items if shape is not None else None
    if value and all(isinstance(one, Mapping) for one in value):
        declared = dict(inner.properties or {}) if inner is not None else {}
        names = [*declared, *dict.fromkeys(name for one in value for name in one if name not in declared)]
        rows = tuple(tuple(value_of(declared.get(name), one.get(name), wording) for name in names) for one in value)
        return Value(kind="table", columns=tuple(label_of(name, declared.get(name)) for name in names), rows=rows)
    return Value(kind="list", items=tuple(value_of(inner, one, wording) for one in value))


def _group(shape: Shape | None, value: Mapping[str, Any], wording: Wording) -> tuple[Fact, ...]:
    declared = dict(shape.properties or {}) if shape is not None else {}
    names = [*(name for name in declared if name in value), *(name for name in value if name not in declared)]
    return tuple(_fact(str(name), declared.get(name), value[name], wording) for name in names)
