"""Filling the store directly: copies of requests that have really ended, with all that was stored for them."""

from __future__ import annotations

from sqlalchemy import Connection, Table, text
from sqlalchemy.types import JSON, String
from sqlmodel import SQLModel

from storage.queries.requests import titles
from storage.tables.columns import Moment

TABLES = (
    "approval_request", "approval_task", "audit_entry", "delivery", "notification_message", "outbox", "participant"
)  # fmt: skip
APART = 5  # minutes between two of them; 100,000 take a year
_UNTITLED = text(
    "SELECT id, title FROM approval_request "
    "WHERE NOT EXISTS (SELECT 1 FROM request_title WHERE request_title.request_id = approval_request.id)"
)


def copies(connection: Connection, models: list[str], first: int, last: int) -> None:
    """Store the copies with the numbers from `first` to `last`, of the requests `models` in turns.

    A copy has an id of its own, also within texts and JSON, and happened earlier than its model.
    """
    dialect = connection.dialect.name
    for place, model in enumerate(models):
        for name in TABLES:
            table = SQLModel.metadata.tables[name]
            connection.execute(
                text(_statement(table, dialect)),
                {"model": model, "first": first, "last": last, "models": len(models), "place": place},
            )
    titles.put(connection, [dict(row) for row in connection.execute(_UNTITLED).mappings()])


def _statement(table: Table, dialect: str) -> str:
    names, values = [], []
    for column in table.columns:
        names.append(f'"{column.name}"')
        values.append(_value(table, column.name, dialect))
    key = "id" if "request_id" not in table.columns else "request_id"
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) "
        "WITH RECURSIVE numbers(n) AS "
        "(SELECT CAST(:first AS INTEGER) UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(:last AS INTEGER)) "
        f"SELECT {', '.join(values)} FROM {table.name} AS row, numbers "
        f"WHERE row.{key} = :model AND numbers.n % CAST(:models AS INTEGER) = :place"
    )


def _value(table: Table, name: str, dialect: str) -> str:
    kind, value = table.columns[name].type, f'row."{name}"'
    if isinstance(kind, Moment):
        if dialect == "sqlite":
            return f"strftime('%Y-%m-%d %H:%M:%f', {value}, (-n * {APART}) || ' minutes') || '000'"
        return f"{value} - n * {APART} * INTERVAL '1 minute'"
    if isinstance(kind, JSON) and dialect != "sqlite":
        return f"CAST({_renamed(f'CAST({value} AS TEXT)')} AS JSON)"
    if isinstance(getattr(kind, "impl", kind), String) or isinstance(kind, JSON):
        return _renamed(value)
    return value


def _renamed(value: str) -> str:
    return f"replace({value}, CAST(:model AS TEXT), CAST(:model AS TEXT) || '-' || CAST(n AS TEXT))"
