"""Read requests from storage for their costs: page by page through an index, so that memory is bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, select
from sqlmodel import col

from insight.costs.elapsed import Course, Decision, Period, Visit
from insight.slas.executions import KINDS, Step, executions
from storage.database import Database
from storage.queries.ordering import hidden
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, DefinitionVersion, StoredPerson

MOST_REQUESTS: Final = 200_000
MOST_PROCESSES: Final = 1_000
_AT_ONCE = 500  # requests that one transaction reads

Owners = frozenset[str] | None
"""Whose requests are read, by how owners are stored; None for everybody's."""


class TooManyRequests(Exception):
    """More requests were open in the period than are read for one answer."""


class TooLong(Exception):
    """Reading took longer than somebody waits for an answer."""


def processes(connection: Connection, owners: Owners) -> list[str]:
    """Return the names of processes, one more than are read for one answer where there are more."""
    if owners is None:
        query = select(col(DefinitionVersion.name)).distinct().order_by(col(DefinitionVersion.name))
    else:
        name = col(ApprovalRequest.template)
        query = select(name).where(col(ApprovalRequest.owner).in_(sorted(owners))).distinct().order_by(name)
    return list(connection.scalars(query.limit(MOST_PROCESSES + 1)))


def there(connection: Connection, template: str, owners: Owners) -> bool:
    """Say whether there is a process of this name, of which somebody owns requests."""
    query = select(col(DefinitionVersion.id)).where(col(DefinitionVersion.name) == template)
    if owners is not None:
        query = select(col(ApprovalRequest.id)).where(
            col(ApprovalRequest.template) == template, col(ApprovalRequest.owner).in_(sorted(owners))
        )
    return connection.execute(query.limit(1)).first() is not None


async def read_courses(
    database: Database,
    templates: Sequence[str],
    period: Period,
    owners: Owners,
    take: Callable[[str, Course], None],
    *,
    seconds: float | None = None,
) -> None:
    """Hand over each request of these processes that was open in a period; raises TooManyRequests and TooLong.

    They are read while others go on: one that ends meanwhile counts once, and as open until `period.now`. `take` is
    called by the threads that read, one call after the other. After `seconds` no further page is read; None for all.
    """
    end = None if seconds is None else time.monotonic() + seconds
    machines = await database.read(_machines)
    read = 0
    for template in templates:
        still_open: set[str] = set()
        for ended in (False, True):
            after: tuple[datetime | None, str] | None = None
            while True:
                if end is not None and time.monotonic() > end:
                    raise TooLong
                page = await database.read(_page, template, period, owners, ended=ended, after=after, machines=machines)
                await asyncio.to_thread(_hand_over, page, still_open, partial(take, template), ended=ended)
                read += len(page)
                if read > MOST_REQUESTS:
                    raise TooManyRequests
                if len(page) < _AT_ONCE:
                    break
                after = (page[-1][1].ended_at, page[-1][0])


def _hand_over(
    page: Sequence[tuple[str, Course]], still_open: set[str], take: Callable[[Course], None], *, ended: bool
) -> None:
    for request_id, course in page:
        if not ended:
            still_open.add(request_id)
        elif request_id in still_open:
            continue
        take(course)


def _machines(connection: Connection) -> frozenset[str]:
    """Return who is no person."""
    query = select(col(StoredPerson.id)).where(col(StoredPerson.actor_type) != "person")
    return frozenset(connection.scalars(query))


def _page(
    connection: Connection,
    template: str,
    period: Period,
    owners: Owners,
    *,
    ended: bool,
    after: tuple[datetime | None, str] | None,
    machines: frozenset[str],
) -> list[tuple[str, Course]]:
    """Return the next requests that are open, or that have ended, with their ids."""
    ident, started, end = col(ApprovalRequest.id), col(ApprovalRequest.started_at), col(ApprovalRequest.ended_at)
    query: Any = select(ident, started, end).where(col(ApprovalRequest.template) == template, started < period.until)
    query = query.where(started <= period.now)
    if owners is not None:
        query = query.where(col(ApprovalRequest.owner).in_(sorted(owners)))
    if not ended:
        query = query.where(end.is_(None)).order_by(ident)
        query = query if after is None else query.where(ident > after[1])
    else:
        query = query.order_by(end, ident)
        if after is None:
            query = query.where(end >= period.since)
        else:  # the first condition is one that an index can begin at, and the only one, or SQLite begins at the other
            query = query.where(end >= after[0], (end > after[0]) | (ident > after[1]))
    rows = connection.execute(query.limit(_AT_ONCE)).all()
    ids = [row.id for row in rows]
    visits = _visits(connection, ids)
    decided = _decided(connection, ids)
    return [(row.id, _course(row, visits.get(row.id, []), decided.get(row.id, []), machines)) for row in rows]


def _visits(connection: Connection, ids: Sequence[str]) -> dict[str, list[Visit]]:
    query = (
        select(col(AuditEntry.request_id), *(col(getattr(AuditEntry, name)) for name in Step._fields))
        .where(col(AuditEntry.request_id).in_(ids), hidden(col(AuditEntry.kind)).in_(sorted(KINDS)))
        .order_by(col(AuditEntry.request_id), col(AuditEntry.seq))
    )
    steps: dict[str, list[Step]] = {}
    for request_id, *step in connection.execute(query):
        steps.setdefault(request_id, []).append(Step(*step))
    return {request_id: [*_visits_in(found)] for request_id, found in steps.items()}


def _visits_in(steps: Sequence[Step]) -> Iterator[Visit]:
    for stage in dict.fromkeys(step.stage for step in steps if step.kind == "task_opened"):
        if stage is not None:
            for found in executions(steps, stage):
                yield Visit(stage, found.began_at, found.ended_at)


def _decided(connection: Connection, ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Return the decisions that stand; one that was carried over from another stage was no work."""
    task = ApprovalTask
    query: Any = select(col(task.request_id), col(task.stage), col(task.decided_by), col(task.decided_at)).where(
        col(task.request_id).in_(ids), hidden(col(task.status)) == "decided", col(task.decided_at) > col(task.opened_at)
    )
    found: dict[str, list[Row[Any]]] = {}
    rows: Sequence[Row[Any]] = connection.execute(query).all()
    for row in rows:
        found.setdefault(row.request_id, []).append(row)
    return found


def _course(row: Row[Any], visits: list[Visit], decided: list[Row[Any]], machines: frozenset[str]) -> Course:
    by_people = [one for one in decided if one.decided_by is not None and one.decided_by not in machines]
    others = [one for one in decided if one.decided_by is None or one.decided_by in machines]
    return Course(
        began_at=row.started_at,
        ended_at=row.ended_at,
        visits=visits,
        decisions=[Decision(one.stage, one.decided_at, one.decided_by) for one in by_people],
        automatic=[(one.stage, one.decided_at) for one in others],
    )
