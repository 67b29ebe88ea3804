"""Form fields: one for each value that a person may enter, with what was entered and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from placet.errors import Problem
from placet.json_pointer import pointer_to
from web.forms.checks import MISSING, Check

Widget = Literal[
    "text", "long", "number", "truth", "choice", "choices", "day", "moment", "lines", "group", "rows", "json"
]


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
        return self.check.said(message, self.count, int(entry) + 1 if entry.isdecimal() else None)


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


def entered(value: Any) -> str:
    """Return a value as the text of a field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
