"""Attributes of cases as variables of a blueprint: a type that all values have, and a name that conditions can use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from placet.definition.variables.shapes import RESERVED

FieldType = Literal["decimal", "integer", "boolean", "string"]
Value = Decimal | int | bool | str

_WHOLE: Final = re.compile(r"[+-]?\d{1,15}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,20})?")
_PLACES: Final = 6  # digits after the point that are kept of a decimal; logs hold the noise of floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One attribute: its column, the variable that stands for it, its type, and whether every case has it."""

    column: str
    name: str
    type: FieldType
    always: bool

    def value(self, text: str | None) -> Value | None:
        """Return what a text stands for; None where it is not of this type."""
        if text is None:
            return None
        match self.type:
            case "decimal":
                return round(Decimal(text), _PLACES).normalize() if _NUMBER.fullmatch(text) else None
            case "integer":
                return int(text) if _WHOLE.fullmatch(text) else None
            case "boolean":
                return _TRUTH.get(text.lower())
            case _:
                return text

    def variable(self) -> dict[str, Any]:
        """Return its declaration in a blueprint."""
        declared: dict[str, Any] = {"name": self.name, "type": self.type}
        return {**declared, "title": self.column} if self.column != self.name else declared

    def given(self, text: str | None) -> Any:
        """Return the value as a request's input holds it; None where there is none."""
        found = self.value(text)
        return format(found, "f") if isinstance(found, Decimal) else found


_TRUTH: Final = {"true": True, "false": False}


def fields_of(columns: Sequence[str], cases: Iterable[Mapping[str, str]]) -> tuple[Field, ...]:
    """Return the fields of these columns, by the values of all cases; one without any value is left out."""
    count = 0
    there = dict.fromkeys(columns, 0)
    types: dict[str, set[FieldType]] = {}
    for values in cases:
        count += 1
        for column in columns:
            text = values.get(column)
            if text is not None:
                there[column] += 1
                types.setdefault(column, set()).add(_type_of(text))
    names: set[str] = set()
    found = []
    for column, seen in types.items():
        name = _name(column, names)
        names.add(name)
        found.append(Field(column=column, name=name, type=_common(seen), always=there[column] == count))
    return tuple(found)


def _type_of(text: str) -> FieldType:
    if _WHOLE.fullmatch(text):
        return "integer"
    if _NUMBER.fullmatch(text):
        return "decimal"
    return "boolean" if text.lower() in _TRUTH else "string"


def _common(types: set[FieldType]) -> FieldType:
    if types == {"integer", "decimal"}:
        return "decimal"
    return types.pop() if len(types) == 1 else "string"


def _name(column: str, taken: set[str]) -> str:
    """Return a name that conditions can use, as near to the column's as it can be."""
    name = re.sub(r"\W+", "_", column.removeprefix("case:").removeprefix("(case)"), flags=re.ASCII).strip("_").lower()
    name = name[:50] if name and not name[0].isdigit() else f"field_{name[:40]}".rstrip("_")
    name = f"{name}_" if name in RESERVED else name
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique
