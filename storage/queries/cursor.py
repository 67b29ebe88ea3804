"""Cursors of lists: an opaque text that says where a page ended, and that is checked when a client sends it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NoReturn, TypeVar

from sqlalchemy import ColumnElement, and_, or_

from placet.audit.chain import moment
from placet.errors import InputInvalid, Problem

Row = TypeVar("Row")
_LONGEST_NUMBER = 9  # digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """One page of a list, and the cursor of the next page, or None at the end."""

    items: tuple[Row, ...]
    next_cursor: str | None


def page(rows: Sequence[Row], limit: int, place: Callable[[Row], tuple[str | datetime, ...]]) -> Page[Row]:
    """Make a page of at most `limit` rows from up to `limit + 1` rows; `place` returns what a row is sorted by."""
    if len(rows) <= limit:
        return Page(items=tuple(rows), next_cursor=None)
    kept = rows[:limit]
    return Page(items=tuple(kept), next_cursor=write(*place(kept[-1])))


def part(rows: Sequence[Row], limit: int, cursor: str | None) -> Page[Row]:
    """Make a page of a list that is read whole because it is short; its cursors are places in it."""
    after = read_number(cursor) if cursor is not None else 0
    end = min(len(rows), after + limit)
    return Page(items=tuple(rows[after:end]), next_cursor=write(str(end)) if end < len(rows) else None)


def write(*place: str | datetime) -> str:
    """Write a place as a cursor."""
    plain = [moment(p) if isinstance(p, datetime) else p for p in place]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def read_names(cursor: str, count: int) -> tuple[str, ...]:
    """Read the texts out of a cursor; raises InputInvalid for an invalid cursor."""
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        refuse()
    if not isinstance(place, list) or len(place) != count or not all(isinstance(p, str) and storable(p) for p in place):
        refuse()
    return tuple(place)


def read_number(cursor: str) -> int:
    """Read a whole number out of a cursor; raises InputInvalid for an invalid cursor."""
    (text,) = read_names(cursor, 1)
    if not text.isascii() or not text.isdecimal() or len(text) > _LONGEST_NUMBER:
        refuse()
    return int(text)


def read_moment(cursor: str) -> tuple[datetime, str]:
    """Read a moment and an id out of a cursor; raises InputInvalid for an invalid cursor."""
    at, ident = read_names(cursor, 2)
    return moment_of(at), ident


def after(at: Any, ident: Any, cursor: str) -> ColumnElement[bool]:
    """Return the condition of what comes after a cursor in a list by moment and id, the latest first.

    `at` and `ident` are the columns. The first part is one that an index can begin at: with the second alone, a
    database reads from the latest on. Raises InputInvalid for an invalid cursor.
    """
    moment, last = read_moment(cursor)
    return and_(at <= moment, or_(at < moment, ident < last))


def storable(text: str) -> bool:
    """Tell whether a text can be in the database: NUL characters and lone surrogates cannot."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def read_speced(cursor: str, order: str) -> tuple[str, str]:
    """Read the value that a list was ordered by, and an id, out of a cursor of a list in this order; InputInvalid."""
    named, value, ident = read_names(cursor, 3)
    if named != order:
        refuse()
    return value, ident


def moment_of(text: str) -> datetime:
    """Read a moment in a cursor; raises InputInvalid where it is none."""
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            refuse()
        return when.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter at the ends of the calendar
        refuse()


def number_of(text: str) -> float:
    """Read a number in a cursor; raises InputInvalid where it is none."""
    try:
        number = float(text)
    except ValueError:
        refuse()
    return number if math.isfinite(number) else refuse()


def refuse() -> NoReturn:
    """Raise InputInvalid for an invalid cursor."""
    raise InputInvalid(
        "The cursor is invalid; start again without one",
        problems=(Problem(pointer="/cursor", message="Send `next_cursor` as the list returned it, or omit it"),),
    )
