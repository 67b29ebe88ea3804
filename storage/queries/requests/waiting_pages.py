"""Pages of the tasks that wait for somebody, by statements that are prepared once for each shape of the question."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, Connection, Integer, Row, String, bindparam, select
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.ordering import Begin, SortOrder, order_of_tasks
from storage.queries.requests.visibility import Shape, Visibility, searches_for, values_of
from storage.tables.approvals import ApprovalRequest, ApprovalTask

_SHAPES: Final = 2_000
_FIELDS: Final = {"sla_state": col(ApprovalTask.sla_state), "template": col(ApprovalRequest.template)}
_MOST: BindParameter[int] = bindparam("most", type_=Integer())


class _Asked(NamedTuple):
    shape: Shape
    status: str | None
    claimed: bool | None
    fields: frozenset[str]  # of _FIELDS, that have a value
    sort: str | None
    begin: Begin


class Waiting(NamedTuple):
    """What is asked: the tasks that wait for somebody, of a status, claimed or not, with these values of fields."""

    waits_for: Visibility
    status: str | None
    claimed: bool | None
    fields: Mapping[str, str]


def rows_of(
    connection: Connection, asked: Waiting, order: SortOrder, *, cursor: str | None, limit: int
) -> list[Row[Any]]:
    """Return the id and `sorted_by` of a page and one more row at least; a row that waits in two ways comes twice."""
    begin, value, last = order.begin(cursor)
    shape = Shape.of(asked.waits_for)
    key = _Asked(shape, asked.status, asked.claimed, frozenset(asked.fields), order.name, begin)
    values: dict[str, Any] = {"value": value, "last": last, "most": limit, **asked.fields, **values_of(asked.waits_for)}
    rows: list[Any] = []
    for query in _prepared(key):
        rows += query.rows(connection, **values)
        if len({row.id for row in rows}) > limit:
            break
    return rows


@lru_cache(_SHAPES)
def _prepared(asked: _Asked) -> tuple[Prepared, ...]:
    order = order_of_tasks(asked.sort)
    rules = [_FIELDS[name] == bindparam(name, type_=String()) for name in sorted(asked.fields)]
    tasks = select(col(ApprovalTask.id)).where(*rules)
    if "template" in asked.fields:
        tasks = tasks.join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
    searches = searches_for(asked.shape.anybody, tasks, status=asked.status, claimed=asked.claimed)
    value, last = bindparam("value", type_=order.key.type), bindparam("last", type_=String())
    return tuple(Prepared(query) for query in order.queries(searches, asked.begin, value, last, _MOST))
