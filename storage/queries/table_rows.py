"""The rows of any table, for whoever looks after an installation: in the order of an index, a page at a time.

A page costs what is on it, however long its table is: it begins at a place in an index, and nothing is counted. Long
texts and JSON values are cut off by the database, so that a page is never large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    cast,
    func,
    literal,
    select,
    tuple_,
)

from storage.queries import cursor as cursors
from storage.queries.cursor import Page
from storage.tables.columns import Moment

Row = dict[str, Any]
_LONGEST_NUMBER = 18  # digits: whatever both databases can compare


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOrder:
    """An order of a table's rows: by `columns`, which end with its primary key.

    With `match`, it is the order of the rows that have one value in that column. Where the key is a `secret`, it is not
    read, and cursors count rows instead of holding the key of one.
    """

    table: Table
    columns: tuple[str, ...]
    match: str | None = None
    down: bool = False
    secret: bool = False


def orders(
    table: Table, *, newest: str | None = None, few: Iterable[str] = (), secret: bool = False
) -> dict[str | None, RowOrder]:
    """Return the orders that the indexes of a table serve, by what they match; None for all rows.

    `newest` is the moment that all rows are listed by, latest first; without it, they are listed by their primary key.
    A column is matched where an index begins with it and goes on to the primary key by columns that are always set.
    `few` are columns with an index that does not, and with so few rows for each value that these can be sorted.
    """
    key = tuple(column.name for column in table.primary_key)
    every = (newest, *key) if newest else key
    found: dict[str | None, RowOrder] = {
        None: RowOrder(table=table, columns=every, down=newest is not None, secret=secret)
    }
    for first in (*few, *_unique(table)):
        rest = tuple(name for name in key if name != first)
        found[first] = RowOrder(table=table, match=first, columns=rest or key, secret=secret)
    for index in (*_whole_indexes(table), key):
        first, rest = index[0], index[1:]
        left = tuple(name for name in key if name != first)
        if _is_moment(table.c[first]) or rest[len(rest) - len(left) :] != left:
            continue
        if not any(table.c[name].nullable for name in rest):
            columns = rest or key
            down = _is_moment(table.c[columns[0]])
            found[first] = RowOrder(table=table, match=first, columns=columns, down=down, secret=secret)
    return found


def page(
    connection: Connection,
    order: RowOrder,
    columns: Sequence[str],
    *,
    limit: int,
    longest: int,
    value: str | None = None,
    cursor: str | None = None,
) -> Page[Row]:
    """Return a page of rows with these columns and their key, each cut off after `longest` characters.

    `value` is the text of what is matched. Raises InputInvalid for a cursor of another order.
    """
    table = order.table
    by = [table.c[name] for name in order.columns]
    key = () if order.secret else (*order.columns, *(column.name for column in table.primary_key))
    query = select(*(_cut(table.c[name], longest) for name in dict.fromkeys([*columns, *key]))).limit(limit + 1)
    query = query.order_by(*(column.desc() if order.down else column.asc() for column in by))
    if order.match is not None:
        matched = typed(table.c[order.match], value or "")
        if matched is None:
            return Page(items=(), next_cursor=None)
        query = query.where(table.c[order.match] == matched)
    before = cursors.read_number(cursor) if order.secret and cursor is not None else 0
    if order.secret:
        query = query.offset(before)
    elif cursor is not None:
        place = tuple_(*(literal(part, type_=column.type) for part, column in _read(cursor, order)))
        query = query.where(tuple_(*by) < place if order.down else tuple_(*by) > place)
    rows = [dict(found) for found in connection.execute(query).mappings()]
    return cursors.page(rows, limit, lambda last: (str(before + limit),) if order.secret else _place(order, last))


def row(
    connection: Connection, table: Table, columns: Sequence[str], key: Sequence[str], *, longest: int
) -> Row | None:
    """Return one row by the texts of its primary key, with these columns and its key, cut off as those of a page."""
    primary = list(table.primary_key)
    values = [typed(column, text) for column, text in zip(primary, key, strict=True)]
    if None in values:
        return None
    names = dict.fromkeys([*columns, *(column.name for column in primary)])
    query = select(*(_cut(table.c[name], longest) for name in names))
    query = query.where(*(column == value for column, value in zip(primary, values, strict=True)))
    found = connection.execute(query).mappings().one_or_none()
    return None if found is None else dict(found)


def typed(column: Column[Any], text: str) -> Any:
    """Return what a text says for a column of a key or an index, or None where no row can have it."""
    if not cursors.storable(text):
        return None
    if isinstance(column.type, Moment):
        raise LookupError(f"{column} is matched by no text")  # noqa: TRY004 - of the caller, who names the column
    if isinstance(column.type, Boolean):
        return {"true": True, "false": False}.get(text.lower())
    if isinstance(column.type, Integer):
        if not text.isascii() or not text.removeprefix("-").isdecimal() or len(text) > _LONGEST_NUMBER:
            return None
        return int(text)
    return text


def _unique(table: Table) -> list[str]:
    """Return the columns of which each value is in one row."""
    found = (tuple(one.columns.keys()) for one in table.constraints if isinstance(one, UniqueConstraint))
    return [columns[0] for columns in found if len(columns) == 1]


def _whole_indexes(table: Table) -> list[tuple[str, ...]]:
    """Return the columns of each index that has all rows."""
    return sorted(
        tuple(index.columns.keys()) for index in table.indexes if index.dialect_options["sqlite"]["where"] is None
    )


def _is_moment(column: Column[Any]) -> bool:
    return isinstance(column.type, Moment)


def _cut(column: Column[Any], longest: int) -> ColumnElement[Any]:
    """Select a column; of what may be long, its beginning and one character more, by which it is seen to go on."""
    if isinstance(column.type, JSON | Text):
        return func.substr(cast(column, Text), 1, longest + 1).label(column.name)
    return column


def _place(order: RowOrder, row: Row) -> tuple[str | datetime, ...]:
    values = (row[name] for name in order.columns)
    return (order.match or "", *(value if isinstance(value, datetime) else str(value) for value in values))


def _read(cursor: str, order: RowOrder) -> list[tuple[Any, Column[Any]]]:
    """Read the place of a cursor; raises InputInvalid where it is of another order."""
    match, *place = cursors.read_names(cursor, len(order.columns) + 1)
    found: list[tuple[Any, Column[Any]]] = []
    for text, name in zip(place, order.columns, strict=True):
        column = order.table.c[name]
        value = cursors.moment_of(text) if _is_moment(column) else typed(column, text)
        if value is None or match != (order.match or ""):
            cursors.refuse()
        found.append((value, column))
    return found
