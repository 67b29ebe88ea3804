"""Form fields: one for each value that a person may enter, with what was entered and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Widget = Literal[
    "text", "long", "number", "truth", "choice", "choices", "day", "moment", "lines", "group", "rows", "json"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `name` is its path in the form (`input.lines.0.amount`); `pointer` is its place in the JSON.

    `minimum`, `maximum`, `step`, `longest` help the browser; the server decides. `rows` are those of a list
    of objects, each a tuple of fields; `fields` are those of one object. `proposals` are values that a text may have,
    each with what it means; others are taken too.
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
    fields: tuple[Field, ...] = ()
    rows: tuple[tuple[Field, ...], ...] = ()

    @property
    def ident(self) -> str:
        """The id of the field on the page."""
        return "f-" + self.name.replace(".", "-")


def with_errors(fields: tuple[Field, ...], problems: dict[str, str]) -> tuple[Field, ...]:
    """Return the fields with what is wrong at their places, by JSON Pointer."""
    return tuple(
        replace(
            field,
            error=problems.get(field.pointer, field.error),
            fields=with_errors(field.fields, problems),
            rows=tuple(with_errors(row, problems) for row in field.rows),
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
