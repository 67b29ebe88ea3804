"""Pages of the tasks that wait for somebody, by statements that are prepared once for each shape of the question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, String, bindparam, select, union
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.ordering import Begin, Search, SortOrder, hidden, order_of_tasks
from storage.queries.requests import processes
from storage.queries.requests.visibility import MOST, Shape, Visibility, counting, searches_for, values_of
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
    dialect: str
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
    rare = template is not None and _is_rare(connection, template, asked)
    key = _Asked(
        shape, asked.status, asked.claimed, frozenset(asked.fields), rare, connection.dialect.name, order.name, begin
    )
    values: dict[str, Any] = {"value": value, "last": last, "most": limit, **asked.fields, **values_of(asked.waits_for)}
    for query in _prepared(key):
        yield query.rows(connection, **values)


def _is_rare(connection: Connection, template: str, asked: Waiting) -> bool:
    """Tell whether the requests of a process find these tasks sooner than the tasks of a person or a queue do."""
    own, pending = processes.OWN, asked.status == "open"
    if pending and count_waiting(connection, asked.waits_for, claimed=asked.claimed, most=own + 1) <= own:
        return False
    return processes.are_few(connection, template, pending=pending)


def count_waiting(connection: Connection, waits_for: Visibility, *, claimed: bool | None, most: int) -> int:
    """Count the open tasks that wait for somebody, up to `most`; `claimed` False counts those in queues."""
    counting = _counting(Shape.of(waits_for), claimed)
    return int(counting.scalar(connection, most=most, **values_of(waits_for)) or 0)


@lru_cache(_SHAPES)
def _counting(shape: Shape, claimed: bool | None) -> Prepared:
    searches = searches_for(shape.anybody, select(col(ApprovalTask.id)), status="open", claimed=claimed)
    pages = [oldest(search).limit(MOST).subquery() for search in searches]
    return counting(union(*(select(page.c.id) for page in pages)))


def oldest(search: Search) -> Select[Any]:
    """Order what is found as its index has it; else PostgreSQL reads all tasks where it thinks that many match."""
    return search.query if search.few else search.query.order_by(col(ApprovalTask.opened_at))


@lru_cache(_SHAPES)
def _prepared(asked: _Asked) -> tuple[Prepared, ...]:
    order = order_of_tasks(asked.sort)
    given = {name: bindparam(name, type_=String()) for name in sorted(asked.fields)}
    tasks = select(col(ApprovalTask.id))
    if "template" in given:
        tasks = tasks.join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
    if asked.rare:
        pending = asked.status == "open"
        tasks = tasks.where(processes.of_few(given.pop("template"), pending=pending, dialect=asked.dialect))
    tasks = tasks.where(*(_FIELDS[name] == value for name, value in given.items()))
    searches = searches_for(asked.shape.anybody, tasks, status=asked.status, claimed=asked.claimed, rare=asked.rare)
    value, last = bindparam("value", type_=order.key.type), bindparam("last", type_=String())
    return tuple(Prepared(query) for query in order.queries(searches, asked.begin, value, last, MOST))
