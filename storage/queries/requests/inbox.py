"""The inbox: how many tasks wait for somebody, of which processes, and whether that has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, union
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.requests.requests import waits_for_answer
from storage.queries.requests.visibility import MOST, Shape, Visibility, counting, searches_for, values_of
from storage.queries.requests.waiting_pages import oldest
from storage.tables.approvals import ApprovalRequest, ApprovalTask

_SHAPES = 500  # of people, by what they wait for: nearly all are alike
_select: Any = select  # it has no type for so many columns


def count_answers(connection: Connection, requester: str, *, most: int) -> int:
    """Count the requests that wait for an answer of their requester, up to `most`."""
    return int(_ANSWERS.scalar(connection, requester=requester, most=most) or 0)


def waiting_mark(connection: Connection, waits_for: Visibility, *, most: int = 100) -> tuple[str, int]:
    """Return a mark of the open tasks that wait for somebody, and how many of them have an assignee, up to `most`.

    The mark changes with them. It is made of the `most` newest tasks in each way in which they wait.
    """
    values = values_of(waits_for)
    rows = {
        tuple(row) for newest in _newest(Shape.of(waits_for)) for row in newest.rows(connection, most=most, **values)
    }
    digest = hashlib.sha256(json.dumps(sorted(rows, key=str)).encode()).hexdigest()[:16]
    return digest, min(most, len({row[0] for row in rows if row[1] is not None}))


@lru_cache(_SHAPES)
def _newest(shape: Shape) -> tuple[Prepared, ...]:
    tasks: Select[Any] = _select(
        col(ApprovalTask.id), col(ApprovalTask.assignee), col(ApprovalTask.sla_state), col(ApprovalTask.revision)
    )
    first = col(ApprovalTask.opened_at).desc()
    searches = searches_for(shape.anybody, tasks, status="open")
    return tuple(Prepared(search.query.order_by(first).limit(MOST)) for search in searches)


def still_waiting(connection: Connection, waits_for: Visibility, ids: Collection[str]) -> set[str]:
    """Return those of these tasks that are open and wait for somebody."""
    named = select(col(ApprovalTask.id)).where(col(ApprovalTask.id).in_(sorted(ids)))
    searches = searches_for(waits_for, named, status="open")
    return {one for search in searches for one in connection.scalars(search.query)}


def templates_waiting(connection: Connection, waits_for: Visibility, *, most: int = 1000) -> tuple[str, ...]:
    """Return the processes of which open tasks wait for somebody, of the first `most` tasks of each way to wait."""
    rows = _templates(Shape.of(waits_for)).rows(connection, most=most, **values_of(waits_for))
    return tuple(sorted(row.template for row in rows))


@lru_cache(_SHAPES)
def _templates(shape: Shape) -> Prepared:
    open_tasks = (
        select(col(ApprovalRequest.template))
        .select_from(ApprovalTask)
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
    )
    searches = searches_for(shape.anybody, open_tasks, status="open")
    pages = [oldest(search).limit(MOST).subquery() for search in searches]
    return Prepared(union(*(select(page.c.template) for page in pages)))


_ANSWERS = counting(select(col(ApprovalRequest.id)).where(waits_for_answer(bindparam("requester"))))
