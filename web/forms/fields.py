"""Form fields: one for each value that a person may enter, with what was entered and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from placet.errors import Problem
from placet.json_pointer import pointer_to
from web.forms.checks import MISSING, Check
from web.forms.reading import Entries

Widget = Literal[
    "text", "long", "number", "truth", "choice", "choices", "day", "time", "moment", "lines", "group", "rows", "json"
]


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")

Fault: TypeAlias = tuple[str, str]
"""What is wrong: a JSON Pointer, and the sentence of the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `name` is its path in the form (`input.lines.0.amount`); `pointer` is its place in the JSON.

    `minimum`, `maximum`, `step`, `longest` help a browser without scripts, and `check` one with them; the server
    decides. `rows` are those of a list of objects, each a tuple of fields; `fields` are those of one object. What is
    `within` one of them is only needed where something else in it is filled in. `proposals` are values that a text may
    have, each with what it means; others are taken too.
    """

    name: str
    pointer: str
    label: str
    widget: Widget
    value: str = ""
    values: tuple[str, ...] = ()
    required: bool = False
    help: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    proposals: tuple[tuple[str, str], ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    step: str | None = None
    shortest: int | None = None
    longest: int | None = None
    unit: str | None = None
    error: str | None = None
    check: Check | None = None
    within: bool = False
    at: str | None = None  # its id on the page, where that is not made of its name
    fields: tuple[Field, ...] = ()
    rows: tuple[tuple[Field, ...], ...] = ()

    @property
    def ident(self) -> str:
        """The id of the field on the page."""
        return self.at or "f-" + self.name.replace(".", "-")

    @property
    def count(self) -> int:
        """How many characters were entered, or how many of several values were chosen."""
        return len(self.values) if self.widget == "choices" else len(self.value.strip())

    def said(self, fault: Fault) -> str | None:
        """Return what is wrong with this field, in the words of its check; None where the fault is another field's.

        A value that has one field for all of it has the faults of what is inside.
        """
        pointer, message = fault
        inside = self.pointer + "/"
        deep = pointer.startswith(inside) and not self.fields and not self.rows
        if pointer != self.pointer and not deep:
            return None
        if self.check is None:
            return message
        entry = pointer.removeprefix(inside).partition("/")[0] if deep and self.widget == "lines" else ""
        if not entry.isdecimal():
            return self.check.said(message, self.count, entered=self.value)
        lines = [line.strip() for line in self.value.splitlines() if line.strip()]
        number = int(entry)
        return self.check.said(message, self.count, number + 1, "".join(lines[number : number + 1]))


def faults_of(problems: Iterable[Problem]) -> list[Fault]:
    """Return what is wrong by its place; a member that is missing is a fault of its own place, not of its object."""
    found: list[Fault] = []
    for one in problems:
        missing = getattr(one.message, "source", None) == MISSING
        member = str(getattr(one.message, "values", {}).get("value")) if missing else None
        found.append((one.pointer if member is None else pointer_to(one.pointer, member), one.message))
    return found


def with_errors(fields: tuple[Field, ...], faults: Sequence[Fault]) -> tuple[Field, ...]:
    """Return the fields with what is wrong at their places."""
    return tuple(
        replace(
            field,
            error=next((said for fault in faults if (said := field.said(fault)) is not None), field.error),
            fields=with_errors(field.fields, faults),
            rows=tuple(with_errors(row, faults) for row in field.rows),
        )
        for field in fields
    )


def as_entered(fields: tuple[Field, ...], entries: Entries) -> tuple[Field, ...]:
    """Return the fields of a form that was sent with numbers and JSON as they were written there."""
    return tuple(_as_entered(one, one.name, entries) for one in fields)


def _as_entered(field: Field, name: str, entries: Entries) -> Field:
    """Return a field as it was sent under this name: of a list, rows that were left empty are gone from the fields."""
    if field.widget in {"number", "lines", "json"} and name in entries.values:
        return replace(field, value=entries.text(name))
    start = len(field.name)
    if field.rows:
        sent = [n for n in entries.rows(name) if any(map(entries.text, _below(entries, f"{name}.{n}.")))]
        rows = tuple(
            tuple(_as_entered(one, f"{name}.{n}{one.name[start + 1 + len(str(at)) :]}", entries) for one in row)
            for (at, row), n in zip(enumerate(field.rows), sent, strict=False)
        )
        return replace(field, rows=(*rows, *field.rows[len(rows) :]))
    inner = (_as_entered(one, f"{name}{one.name[start:]}", entries) for one in field.fields)
    return replace(field, fields=tuple(inner))


def _below(entries: Entries, start: str) -> Iterable[str]:
    return (name for name in entries.values if name.startswith(start))


def entered(value: Any) -> str:
    """Return a value as the text of a field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def written(value: Any, decimal_sign: str) -> str:
    """Return a number as the text of a field: with the reader's sign before its fraction, no separators of thousands.

    What is no number is as `entered` has it.
    """
    text = f"{value:.12g}" if isinstance(value, float) else entered(value)
    return text.replace(".", decimal_sign) if _NUMBER.match(text) else text
