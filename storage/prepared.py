"""Prepared statements: written with SQLAlchemy, compiled once for each database, and handed to its driver as they are.

Carrying a statement out through SQLAlchemy takes five times as long as the database needs for a row that it finds by
its key, even where the statement was built before. What every call and every recording asks is prepared instead, once
for the process. Beside it, the driver keeps the database's own form of a statement for each connection.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Float,
    Insert,
    SQLColumnExpression,
    String,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

_Process = Callable[[Any], Any] | None
_FLOAT8 = 701  # what PostgreSQL calls the type of a float column, which SQLAlchemy asks the driver for


class Prepared:
    """One statement.

    `statement` is the statement, or a function that builds it for a database (`sqlite`, `postgresql`); its values are
    those of its `bindparam`s, and for an insert its columns: those of the first row that it is given. Lists go through
    `among`, for the text of a prepared statement does not depend on how many values there are. Rows are named tuples.
    """

    def __init__(self, statement: Executable | Callable[[str], Executable]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """Carry it out and return all rows."""
        compiled = self._for(connection.dialect, values)
        return compiled.read(_execute(connection, compiled.text, compiled.bound(values)).fetchall())

    def raw(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Carry it out and return all rows as the driver has them, for who reads very many: nothing is converted."""
        compiled = self._for(connection.dialect, values)
        rows: list[tuple[Any, ...]] = _execute(connection, compiled.text, compiled.bound(values)).fetchall()
        return rows

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """Carry it out and return the first row, or None where there is none."""
        rows = self.rows(connection, **values)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, **values: Any) -> Any | None:
        """Carry it out and return the first column of the first row, or None where there is none."""
        rows = self.rows(connection, **values)
        return rows[0][0] if rows else None

    def run(self, connection: Connection, **values: Any) -> int:
        """Carry it out and return how many rows it has written."""
        compiled = self._for(connection.dialect, values)
        return int(_execute(connection, compiled.text, compiled.bound(values)).rowcount)

    def run_all(self, connection: Connection, items: Sequence[Mapping[str, Any]]) -> int:
        """Carry it out for each of these sets of values, in one go, and return how many rows it has written."""
        compiled = self._for(connection.dialect, items[0])
        bound = [compiled.bound(values) for values in items]
        return int(_execute(connection, compiled.text, bound, many=True).rowcount)

    def _for(self, dialect: Dialect, values: Mapping[str, Any]) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            statement = self._statement if isinstance(self._statement, Executable) else self._statement(dialect.name)
            compiled = self._compiled[dialect.name] = _compile(statement, dialect, list(values))
        return compiled


def among(dialect: str, column: SQLColumnExpression[Any], name: str) -> ColumnElement[bool]:
    """Build the condition that a column of text has one of the values of the parameter `name`, however many."""
    values = bindparam(name, type_=_Texts())
    if dialect == "postgresql":
        return column == any_(values)
    return column.in_(select(literal_column("value")).select_from(func.json_each(values)))


def one_of(column: SQLColumnExpression[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Build the condition that a column has one of these values, which stand in the statement."""
    return or_(*(column == value for value in values))


class _Texts(TypeDecorator[list[str]]):
    """A list of texts as one value: an array, or on SQLite JSON."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(String()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A statement for one database. `parts` are its parameters in their order: name, and how a value is converted."""

    text: str
    parts: tuple[tuple[str, _Process], ...]
    names: tuple[str, ...]  # of the parts
    processed: tuple[tuple[int, Callable[[Any], Any]], ...]  # places of the parts that are converted, and how
    fixed: dict[str, Any]  # values that stand in the statement, converted
    by_name: bool  # whether the driver takes parameters by name
    make: Callable[[Sequence[Any]], Any]  # makes a row
    results: tuple[tuple[int, Callable[[Any], Any]], ...]  # the columns that are converted, and how

    def bound(self, values: Mapping[str, Any]) -> Any:
        fixed = self.fixed
        if self.by_name:
            return fixed | {
                name: values[name] if process is None else process(values[name])
                for name, process in self.parts
                if name not in fixed
            }
        if fixed:
            values = {**values, **fixed}
        bound = [values[name] for name in self.names]
        for place, process in self.processed:
            bound[place] = process(bound[place])
        return bound

    def read(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        if not self.results:
            return [self.make(row) for row in rows]
        found = []
        for row in rows:
            values = list(row)
            for place, convert in self.results:
                values[place] = convert(values[place])
            found.append(self.make(values))
        return found


def _compile(statement: Executable, dialect: Dialect, columns: list[str]) -> _Compiled:
    # mypy: `compile` is of ClauseElement, which everything is that can be carried out.
    keys = columns if isinstance(statement, Insert) else None
    compiled: Any = statement.compile(dialect=dialect, column_keys=keys)  # type: ignore[attr-defined]
    if compiled.insert_prefetch:
        raise TypeError(f"SQLAlchemy would make values for {compiled.insert_prefetch}; give them with the others")
    if "POSTCOMPILE" in compiled.string:
        raise TypeError("The text would depend on how long a list is; use `among` or `one_of`")
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    processes: dict[str, _Process] = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()
    }
    fixed: dict[str, Any] = {}
    for name, bind in binds.items():
        if not bind.required:
            process, value = processes[name], bind.effective_value
            fixed[name] = value if process is None else process(value)
    names = compiled.positiontup if compiled.positional else list(binds)
    results = list(getattr(statement, "exported_columns", ()))
    converts = [
        column.type.dialect_impl(dialect).result_processor(dialect, _FLOAT8 if isinstance(column.type, Float) else None)
        for column in results
    ]
    row: Any = namedtuple("Row", [column.key for column in results]) if results else None
    return _Compiled(
        text=compiled.string,
        parts=tuple((name, processes[name]) for name in names),
        names=tuple(names),
        processed=tuple(
            (place, process)
            for place, name in enumerate(names)
            if name not in fixed and (process := processes[name]) is not None
        ),
        fixed=fixed,
        by_name=not compiled.positional,
        make=tuple if row is None else row._make,
        results=tuple((place, convert) for place, convert in enumerate(converts) if convert is not None),
    )


def _execute(connection: Connection, text: str, parameters: Any, *, many: bool = False) -> Any:
    cursor = connection.connection.cursor()
    # Whoever listens to what SQLAlchemy carries out hears of these statements, too.
    if told := connection.dispatch.before_cursor_execute:
        told(connection, cursor, text, parameters, None, many)
    (cursor.executemany if many else cursor.execute)(text, parameters)
    return cursor
