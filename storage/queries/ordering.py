"""Sort orders of lists: the key, the id as the second key, and the position at which a page continues.

A list is read in the order of an index, so that it ends with its page however long it is. Rows without a value come
last, in an order of their own: they are read by a second query, where the first has not filled the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    String,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import col

from storage.queries import cursor as cursors
from storage.tables.approvals import ApprovalRequest, ApprovalTask

# What stands in cursors for rows without a value.
_NEVER = datetime.max.replace(tzinfo=UTC)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_LEAST = -1.7e308
Begin = Literal["first", "valued", "unvalued"]
"""Where a page begins: at the first row, after a row with a value, or after one without."""
OPEN: ColumnElement[str] = literal_column("'open'")
"""The status of open tasks as a part of the statement, by which databases know partial indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A query of some of a list's rows.

    `few` says that they are found by who sees them and then sorted; others are read in the order of the list.
    """

    query: Select[Any]
    few: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SortOrder:
    """One sort order of a list, by a time or a number, ascending or descending."""

    name: str | None  # None: the default order
    key: Any  # a column
    ident: SQLColumnExpression[str]
    down: bool = False
    unset: datetime | float | None = None  # what cursors hold for rows without a value; None: each row has one

    def pages(self, searches: Sequence[Search], *, cursor: str | None, limit: int) -> Iterator[Select[Any]]:
        """Generate queries of a page and one more row, the second for where the first has found too few.

        Each brings ids with the sort key as `sorted_by`; a row that two of the searches find comes twice.
        """
        yield from self.queries(searches, *self.begin(cursor), limit)

    def begin(self, cursor: str | None) -> tuple[Begin, datetime | float | None, str | None]:
        """Return where a page begins, and after which value and id; raises InputInvalid for another order's cursor."""
        if cursor is None:
            return "first", None, None
        value, last = self._read(cursor)
        return "unvalued" if self.unset is not None and value == self.unset else "valued", value, last

    def queries(
        self, searches: Sequence[Search], begin: Begin, value: Any, last: Any, limit: int | BindParameter[int]
    ) -> Iterator[Select[Any]]:
        """Generate what `pages` does for a place that `begin` told; `value`, `last` and `limit` may be parameters."""
        if begin != "unvalued":
            yield self._merged([self._valued(search, value, last, begin == "first", limit) for search in searches])
        if self.unset is not None:
            after = last if begin == "unvalued" else None
            yield self._merged([self._unvalued(search, after, limit) for search in searches])

    def place(self, value: Any, ident: str) -> tuple[str | datetime, ...]:
        """Return the position of a row in this order, for a cursor."""
        value = self.unset if value is None else value
        written: str | datetime = repr(float(value)) if self._number else value
        return (written, ident) if self.name is None else (self.name, written, ident)

    @property
    def _number(self) -> bool:
        return isinstance(self.unset, float)

    def _valued(
        self, search: Search, value: Any, last: Any, begins: bool, limit: int | BindParameter[int]
    ) -> Select[Any]:
        query, key, ident = self._with_value(search), self.key, self.ident
        if not begins:
            # In this form both databases begin at the place in the index.
            at_least, beyond = (key <= value, key < value) if self.down else (key >= value, key > value)
            query = query.where(at_least, beyond | (ident < last if self.down else ident > last))
        by = func.coalesce(key, bindparam("unset", self.unset, type_=key.type, unique=True)) if search.few else key
        ordered: Select[Any] = query.order_by(*((by.desc(), ident.desc()) if self.down else (by, ident)))
        return _with_columns(ordered, ident.label("id"), key.label("sorted_by")).limit(limit + 1)

    def _unvalued(self, search: Search, after: Any, limit: int | BindParameter[int]) -> Select[Any]:
        query, ident = self._without_value(search), self.ident
        if after is not None:
            query = query.where(ident < after if self.down else ident > after)
        nothing = cast(null(), self.key.type).label("sorted_by")
        ordered: Select[Any] = query.order_by(ident.desc() if self.down else ident)
        return _with_columns(ordered, ident.label("id"), nothing).limit(limit + 1)

    def _with_value(self, search: Search) -> Select[Any]:
        return search.query if self.unset is None else search.query.where(self.key.is_not(None))

    def _without_value(self, search: Search) -> Select[Any]:
        return search.query.where(self.key.is_(None))

    def _merged(self, pages: Sequence[Select[Any]]) -> Select[Any]:
        if len(pages) == 1:
            return pages[0]
        rows = union_all(*(select(page.subquery()) for page in pages)).subquery()
        key, ident = rows.c.sorted_by, rows.c.id
        return select(ident, key).order_by(*((key.desc(), ident.desc()) if self.down else (key, ident)))

    def _read(self, cursor: str) -> tuple[datetime | float, str]:
        if self.name is None:
            return cursors.read_moment(cursor)
        value, ident = cursors.read_speced(cursor, self.name)
        return cursors.number_of(value) if self._number else cursors.moment_of(value), ident


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDeadline(SortOrder):
    """Requests by the first deadline of their open tasks: the tasks are read in the order of their deadlines."""

    def _with_value(self, search: Search) -> Select[Any]:
        its = (col(_FIRST.request_id) == self.ident) & col(_FIRST.due_at).is_not(None)
        status = hidden(col(_FIRST.status)) if search.few else col(_FIRST.status)
        sooner = (col(_OTHER.due_at) < col(_FIRST.due_at)) | (
            (col(_OTHER.due_at) == col(_FIRST.due_at)) & (col(_OTHER.id) < col(_FIRST.id))
        )
        others = select(col(_OTHER.id)).where(
            col(_OTHER.request_id) == col(_FIRST.request_id), hidden(col(_OTHER.status)) == OPEN, sooner
        )
        return search.query.join(_FIRST, its & (status == OPEN)).where(~others.correlate(_FIRST).exists())

    def _without_value(self, search: Search) -> Select[Any]:
        waiting = select(col(_FIRST.id)).where(
            col(_FIRST.request_id) == self.ident, hidden(col(_FIRST.status)) == OPEN, col(_FIRST.due_at).is_not(None)
        )
        return search.query.where(~waiting.correlate(ApprovalRequest).exists())


_FIRST, _OTHER = aliased(ApprovalTask), aliased(ApprovalTask)


def _with_columns(query: Select[Any], *columns: Any) -> Select[Any]:
    return query.with_only_columns(*columns)


class hidden(FunctionElement[str]):  # noqa: N801 - it is called as a function
    """A text of which SQLite uses no index, where another is known to find fewer rows; PostgreSQL has statistics."""

    inherit_cache = True
    type = String()


@compiles(hidden)
def _as_it_is(element: hidden, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.clauses, **how)


@compiles(hidden, "sqlite")
def _without_index(element: hidden, compiler: SQLCompiler, **how: Any) -> str:
    return f"+{compiler.process(element.clauses, **how)}"


def order_of_requests(name: str | None) -> SortOrder:
    """Return an order of requests: `due` by the first deadline of their open tasks, `age` oldest first, …"""
    ident = col(ApprovalRequest.id)
    if name == "due":
        return FirstDeadline(name=name, key=col(_FIRST.due_at), ident=ident, unset=_NEVER)
    if name == "ended":
        return SortOrder(name=name, key=col(ApprovalRequest.ended_at), ident=ident, down=True, unset=_LONG_AGO)
    if name == "amount":
        return SortOrder(name=name, key=col(ApprovalRequest.amount), ident=ident, down=True, unset=_LEAST)
    return SortOrder(name=name, key=col(ApprovalRequest.started_at), ident=ident, down=name != "age")


def order_of_tasks(name: str | None) -> SortOrder:
    """Return an order of tasks.

    `due` soonest first, `age` oldest first, `amount` largest first, `decided` latest first.
    """
    ident = col(ApprovalTask.id)
    if name == "due":
        return SortOrder(name=name, key=col(ApprovalTask.due_at), ident=ident, unset=_NEVER)
    if name == "amount":
        return SortOrder(name=name, key=col(ApprovalTask.amount), ident=ident, down=True, unset=_LEAST)
    if name == "decided":
        return SortOrder(name=name, key=col(ApprovalTask.decided_at), ident=ident, down=True, unset=_LONG_AGO)
    return SortOrder(name=name, key=col(ApprovalTask.opened_at), ident=ident, down=name != "age")
