"""The inbox: how many tasks wait for somebody, of which processes, and whether that has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, func, select, union
from sqlmodel import col

from storage.queries.requests.requests import waits_for_answer
from storage.queries.requests.visibility import Visibility, searches_for
from storage.tables.approvals import ApprovalRequest, ApprovalTask

_select: Any = select  # it has no type for so many columns


def count_waiting(connection: Connection, waits_for: Visibility, *, claimed: bool, most: int) -> int:
    """Count the open tasks that wait for somebody, up to `most`; `claimed` False counts those in queues."""
    searches = searches_for(waits_for, select(col(ApprovalTask.id)), status="open", claimed=claimed)
    pages = [search.query.limit(most).subquery() for search in searches]
    found = union(*(select(page.c.id) for page in pages)).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(found)).scalar_one())


def count_answers(connection: Connection, requester: str, *, most: int) -> int:
    """Count the requests that wait for an answer of their requester, up to `most`."""
    found = select(col(ApprovalRequest.id)).where(waits_for_answer(requester)).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(found)).scalar_one())


def waiting_mark(connection: Connection, waits_for: Visibility, *, most: int = 100) -> tuple[str, int]:
    """Return a mark of the open tasks that wait for somebody, and how many of them have an assignee, up to `most`.

    The mark changes with them. It is made of the `most` newest tasks in each way in which they wait.
    """
    tasks: Select[Any] = _select(
        col(ApprovalTask.id), col(ApprovalTask.assignee), col(ApprovalTask.sla_state), col(ApprovalTask.revision)
    )
    newest = col(ApprovalTask.opened_at).desc()
    rows = {
        tuple(row)
        for search in searches_for(waits_for, tasks, status="open")
        for row in connection.execute(search.query.order_by(newest).limit(most))
    }
    digest = hashlib.sha256(json.dumps(sorted(rows, key=str)).encode()).hexdigest()[:16]
    return digest, min(most, len({row[0] for row in rows if row[1] is not None}))


def still_waiting(connection: Connection, waits_for: Visibility, ids: Collection[str]) -> set[str]:
    """Return those of these tasks that are open and wait for somebody."""
    named = select(col(ApprovalTask.id)).where(col(ApprovalTask.id).in_(sorted(ids)))
    searches = searches_for(waits_for, named, status="open")
    return {one for search in searches for one in connection.scalars(search.query)}


def templates_waiting(connection: Connection, waits_for: Visibility, *, most: int = 1000) -> tuple[str, ...]:
    """Return the processes of which open tasks wait for somebody, of the first `most` tasks."""
    open_tasks = (
        select(col(ApprovalRequest.template))
        .select_from(ApprovalTask)
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
    )
    searches = searches_for(waits_for, open_tasks, status="open")
    pages = [search.query.limit(most).subquery() for search in searches]
    return tuple(sorted(connection.scalars(union(*(select(page.c.template) for page in pages)))))
