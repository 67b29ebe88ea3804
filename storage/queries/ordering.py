"""Sort orders of lists: the key, the id as the second key, and the position at which a page continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Float, Select, SQLColumnExpression, bindparam, func, select, union_all
from sqlmodel import col

from storage.queries import cursor as cursors
from storage.tables.approvals import ApprovalRequest, ApprovalTask
from storage.tables.columns import Moment

# Rows without a value come last.
_NEVER = bindparam("never", datetime.max.replace(tzinfo=UTC), type_=Moment, unique=True)
_LONG_AGO = bindparam("long_ago", datetime.min.replace(tzinfo=UTC), type_=Moment, unique=True)
_LEAST = bindparam("least", -1.7e308, type_=Float, unique=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SortOrder:
    """One sort order of a list, by a time or a number, ascending or descending."""

    name: str | None  # None: the default order
    key: SQLColumnExpression[Any]
    ident: SQLColumnExpression[str]
    down: bool = False
    number: bool = False

    def of(self, query: Select[Any], *, cursor: str | None, limit: int) -> Select[Any]:
        """Return the query for one page and one more row, with the sort key as `sorted_by`."""
        key, ident = self.key, self.ident
        if cursor is not None:
            value, last = self._read(cursor)
            beyond = key < value if self.down else key > value
            next_to = ident < last if self.down else ident > last
            query = query.where(beyond | ((key == value) & next_to))
        by = (key.desc(), ident.desc()) if self.down else (key.asc(), ident.asc())
        return query.add_columns(key.label("sorted_by")).order_by(*by).limit(limit + 1)

    def of_few(self) -> SortOrder:
        """Return the same order for rows that are found first and then sorted, not read in the order of an index."""
        return self if self.number else replace(self, key=func.coalesce(self.key, _NEVER, type_=Moment))

    def merged(self, pages: Sequence[Select[Any]]) -> Select[Any]:
        """Return the rows of pages of this order (`of`) in one order; what is in two of them comes twice."""
        rows = union_all(*pages).subquery()
        key, ident = rows.c.sorted_by, rows.c.id
        return select(rows).order_by(*((key.desc(), ident.desc()) if self.down else (key, ident)))

    def place(self, value: Any, ident: str) -> tuple[str | datetime, ...]:
        """Return the position of a row in this order, for a cursor."""
        written: str | datetime = repr(float(value)) if self.number else value
        return (written, ident) if self.name is None else (self.name, written, ident)

    def _read(self, cursor: str) -> tuple[datetime | float, str]:
        if self.name is None:
            return cursors.read_moment(cursor)
        value, ident = cursors.read_speced(cursor, self.name)
        return cursors.number_of(value) if self.number else cursors.moment_of(value), ident


def order_of_requests(name: str | None) -> SortOrder:
    """Return an order of requests: `due` by the first deadline of their open tasks, `age` oldest first, …"""
    ident = col(ApprovalRequest.id)
    if name == "due":
        its = (col(ApprovalTask.request_id) == ident) & (col(ApprovalTask.status) == "open")
        first = func.min(ApprovalTask.due_at, type_=Moment).select().where(its).scalar_subquery()
        return SortOrder(name=name, key=func.coalesce(first, _NEVER, type_=Moment), ident=ident)
    if name == "ended":
        key = func.coalesce(col(ApprovalRequest.ended_at), _LONG_AGO, type_=Moment)
        return SortOrder(name=name, key=key, ident=ident, down=True)
    if name == "amount":
        return _by_amount(ident)
    return SortOrder(name=name, key=col(ApprovalRequest.started_at), ident=ident, down=name != "age")


def order_of_tasks(name: str | None) -> SortOrder:
    """Return an order of tasks, which are joined with their requests.

    `due` soonest first, `age` oldest first, `amount` largest first, `decided` latest first.
    """
    ident = col(ApprovalTask.id)
    if name == "due":
        return SortOrder(name=name, key=func.coalesce(col(ApprovalTask.due_at), _NEVER, type_=Moment), ident=ident)
    if name == "amount":
        return _by_amount(ident)
    if name == "decided":
        key = func.coalesce(col(ApprovalTask.decided_at), _LONG_AGO, type_=Moment)
        return SortOrder(name=name, key=key, ident=ident, down=True)
    return SortOrder(name=name, key=col(ApprovalTask.opened_at), ident=ident, down=name != "age")


def _by_amount(ident: SQLColumnExpression[str]) -> SortOrder:
    key = func.coalesce(col(ApprovalRequest.amount), _LEAST, type_=Float)
    return SortOrder(name="amount", key=key, ident=ident, down=True, number=True)
