"""Pages of the tasks that wait for somebody, by statements that are prepared once for each shape of the question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, String, bindparam, select
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.ordering import Begin, SortOrder, hidden, order_of_tasks
from storage.queries.requests import processes
from storage.queries.requests.visibility import MOST, Shape, Visibility, searches_for, values_of
from storage.tables.approvals import ApprovalRequest, ApprovalTask

_SHAPES: Final = 2_000
# Where these do not find few rows, the tasks of a person or a queue do, in the order of the list.
_FIELDS: Final = {"sla_state": hidden(col(ApprovalTask.sla_state)), "template": hidden(col(ApprovalRequest.template))}


class _Asked(NamedTuple):
    shape: Shape
    status: str | None
    claimed: bool | None
    fields: frozenset[str]  # of _FIELDS, that have a value
    rare: bool  # of a process that has few of them
    sort: str | None
    begin: Begin


class Waiting(NamedTuple):
    """What is asked: the tasks that wait for somebody, of a status, claimed or not, with these values of fields."""

    waits_for: Visibility
    status: str | None
    claimed: bool | None
    fields: Mapping[str, str]


def pages_of(
    connection: Connection, asked: Waiting, order: SortOrder, *, cursor: str | None, limit: int
) -> Iterator[list[Any]]:
    """Read what `SortOrder.pages` generates queries for, one after the other: rows with an id and `sorted_by`."""
    begin, value, last = order.begin(cursor)
    shape = Shape.of(asked.waits_for)
    template = asked.fields.get("template")
    rare = template is not None and processes.are_few(connection, template, pending=asked.status == "open")
    key = _Asked(shape, asked.status, asked.claimed, frozenset(asked.fields), rare, order.name, begin)
    values: dict[str, Any] = {"value": value, "last": last, "most": limit, **asked.fields, **values_of(asked.waits_for)}
    for query in _prepared(key):
        yield query.rows(connection, **values)


@lru_cache(_SHAPES)
def _prepared(asked: _Asked) -> tuple[Prepared, ...]:
    order = order_of_tasks(asked.sort)
    given = {name: bindparam(name, type_=String()) for name in sorted(asked.fields)}
    tasks = select(col(ApprovalTask.id))
    if "template" in given:
        tasks = tasks.join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
    if asked.rare:
        tasks = tasks.where(processes.of_process(given.pop("template"), pending=asked.status == "open"))
    tasks = tasks.where(*(_FIELDS[name] == value for name, value in given.items()))
    searches = searches_for(asked.shape.anybody, tasks, status=asked.status, claimed=asked.claimed, rare=asked.rare)
    value, last = bindparam("value", type_=order.key.type), bindparam("last", type_=String())
    return tuple(Prepared(query) for query in order.queries(searches, asked.begin, value, last, MOST))
