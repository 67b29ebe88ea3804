"""Requests and their tasks as `record` stored them, and their timeline."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    String,
    and_,
    bindparam,
    or_,
    select,
)
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.reasons import readable_detail
from placet.errors import NotFound
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries import cursor as cursors
from storage.queries.ordering import order_of_requests, order_of_tasks
from storage.queries.requests.list_fields import ListValues, list_values
from storage.queries.requests.visibility import Visibility, searches_for, seen_in_lists, visible, visible_now
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, Delivery
from storage.tables.reading import Watch

# Requests one above the other that are looked through: sub-processes lie at most four deep in each.
_LONGEST_DESCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as it is stored (storage.tables.approvals.ApprovalRequest)."""

    id: str
    template_id: str
    template: str
    version: str
    title: str
    input: dict[str, Any]
    requester: str
    owner: str | None
    status: str
    outcome: str | None
    stage: str | None
    round: int
    returned: bool
    revision: int
    content_digest: str | None
    seq: int
    head: str
    started_at: datetime
    ended_at: datetime | None
    questions: list[dict[str, Any]] | None  # placet.engine.state.Question; null without any
    open_questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task as it is stored (storage.tables.approvals.ApprovalTask)."""

    id: str
    request_id: str
    position: int
    stage: str
    round: int
    assignee: str | None
    candidates: list[str]
    delegates: list[str]
    hand_overs: int
    assigned_via: str
    status: str
    opened_at: datetime
    due_at: datetime | None
    sla_state: str
    escalation_level: int
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    form: dict[str, Any] | None
    revision: int
    content_digest: str | None
    queue: str | None
    on_behalf_of: str | None
    undo_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask(TaskRow):
    """A task with columns of its request."""

    title: str
    template: str
    template_id: str
    requester: str
    values: ListValues  # read for the page as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpan:
    """A span of time, [after, before); None is open at that end."""

    after: datetime | None = None
    before: datetime | None = None

    def holds(self, at: SQLColumnExpression[Any]) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions under which a moment lies in the span; one that is not set lies in no bounded one."""
        from_then = () if self.after is None else (at >= self.after,)
        until_then = () if self.before is None else (at < self.before,)
        return (*from_then, *until_then)


ANY_TIME = TimeSpan()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWithTasks:
    """A request and all of its tasks, oldest first."""

    request: RequestRow
    tasks: tuple[TaskRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One line of a timeline; deliveries count their own `seq`, for their chain is another."""

    seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    hash: str
    delivery: bool = False


def generations(connection: Connection, request_id: str, *, most: int) -> int:
    """Count the requests above one that started each other by an action, up to `most`; sub-processes count as one."""
    found, below = 0, request_id
    for _ in range(_LONGEST_DESCENT):
        if found >= most:
            break
        first = select(col(AuditEntry.detail)).where(
            col(AuditEntry.request_id) == below, col(AuditEntry.kind) == "started"
        )
        detail = json.loads(connection.scalars(first).first() or "{}")
        above = detail.get("created_from") or detail.get("parent")
        if above is None:
            return found
        found += detail.get("created_from") is not None
        below = above
    return most


def read(connection: Connection, request_id: str, viewer: str | Visibility | None = None) -> RequestWithTasks:
    """Return a request with its tasks; raises NotFound, also where `viewer` (None: sees all) may not see it.

    A person id applies the permanent rule; a Visibility also the temporary one (substitutes and queues).
    """
    if isinstance(viewer, Visibility):
        row = connection.execute(_REQUEST.where(visible_now(viewer)), {"sought": request_id}).one_or_none()
    elif viewer is None:
        row = _READ_REQUEST.first(connection, sought=request_id)
    else:
        row = _READ_REQUEST_SEEN.first(connection, sought=request_id, viewer=viewer)
    if row is None:
        raise NotFound(f"There is no request {request_id!r}, or it is not yours to see")
    tasks = _READ_ITS_TASKS.rows(connection, sought=request_id)
    return RequestWithTasks(
        request=RequestRow(**row._asdict()), tasks=tuple(TaskRow(**task._asdict()) for task in tasks)
    )


def page(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    viewer: Visibility | None = None,
    sort: str | None = None,
    status: str | None = None,
    outcome: str | None = None,
    template: str | None = None,
    title: str | None = None,
    requester: str | None = None,
    waits_for_answer_of: str | None = None,
    watched_by: str | None = None,
    started: TimeSpan = ANY_TIME,
    ended: TimeSpan = ANY_TIME,
) -> cursors.Page[RequestWithTasks]:
    """List requests with their tasks, `limit` at a time, newest first or as `sort` says; `viewer` None sees all.

    `title` is a part of it, in any case. `sort` is one of storage.queries.ordering. `waits_for_answer_of` is the
    requester of those that wait for an answer of theirs, `watched_by` who watches them.
    """
    query, order = select(*_REQUEST_COLUMNS), order_of_requests(sort)
    if viewer is not None:
        rule, few = seen_in_lists(connection, viewer, col(ApprovalRequest.id))
        query, order = query.where(rule), order.of_few() if few else order
    for column, value in (
        (ApprovalRequest.status, status),
        (ApprovalRequest.outcome, outcome),
        (ApprovalRequest.template, template),
        (ApprovalRequest.requester, requester),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    if title is not None:
        query = query.where(col(ApprovalRequest.title).icontains(title, autoescape=True))
    if waits_for_answer_of is not None:
        query = query.where(waits_for_answer(waits_for_answer_of))
    if watched_by is not None:
        watched = select(col(Watch.request_id)).where(col(Watch.person) == watched_by)
        query = query.where(col(ApprovalRequest.id).in_(watched))
    query = query.where(*started.holds(col(ApprovalRequest.started_at)), *ended.holds(col(ApprovalRequest.ended_at)))
    places: dict[str, tuple[str | datetime, ...]] = {}
    found = []
    for row in connection.execute(order.of(query, cursor=cursor, limit=limit)):
        *facts, sorted_by = row
        found.append(RequestRow(**dict(zip(_REQUEST_FIELDS, facts, strict=True))))
        places[found[-1].id] = order.place(sorted_by, found[-1].id)
    tasks = _tasks(connection, [request.id for request in found[:limit]])
    rows = [RequestWithTasks(request=request, tasks=tasks.get(request.id, ())) for request in found]
    return cursors.page(rows, limit, lambda row: places[row.request.id])


def read_task(connection: Connection, task_id: str, viewer: str | Visibility | None = None) -> TaskRow:
    """Return one task; raises NotFound, also where `viewer` (None: sees all) may not see its request."""
    if isinstance(viewer, Visibility):
        query = _TASK.join(ApprovalRequest, _ITS_REQUEST).where(visible_now(viewer))
        row = connection.execute(query, {"sought": task_id}).one_or_none()
    elif viewer is None:
        row = _READ_TASK.first(connection, sought=task_id)
    else:
        row = _READ_TASK_SEEN.first(connection, sought=task_id, viewer=viewer)
    if row is None:
        raise NotFound(f"There is no task {task_id!r}, or it is not yours to see")
    return TaskRow(**row._asdict())


def owner_of(connection: Connection, task_id: str) -> str | None:
    """Return the process owner of a task's request, or None; None also for an unknown task."""
    owner: str | None = _OWNER.scalar(connection, sought=task_id)
    return owner


def has_task(connection: Connection, task_id: str) -> bool:
    """Tell whether a task exists."""
    return _READ_TASK.first(connection, sought=task_id) is not None


def requester_of(connection: Connection, request_id: str) -> str | None:
    """Return the requester; None for an unknown request."""
    requester: str | None = _REQUESTER.scalar(connection, sought=request_id)
    return requester


def task_page(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    viewer: Visibility | None = None,
    assignee: str | None = None,
    waits_for: Visibility | None = None,
    sort: str | None = None,
    status: str | None = None,
    sla_state: str | None = None,
    request_id: str | None = None,
    template: str | None = None,
    due: TimeSpan = ANY_TIME,
    claimed: bool | None = None,
    decided_by: str | None = None,
    title: str | None = None,
) -> cursors.Page[ListedTask]:
    """List tasks, `limit` at a time, newest first or as `sort` says (storage.queries.ordering); `viewer` None sees all.

    `assignee` is whoever has the task now; `waits_for` is anyone who may decide or claim it (their delegate, the
    people of its queue). `claimed` False are those in queues. `title` is a part of the request's, in any case.
    """
    rules: list[ColumnElement[bool]] = []
    order = order_of_tasks(sort)
    if viewer is not None and waits_for is not None:
        rules.append(visible_now(viewer))
    elif viewer is not None:
        rule, few = seen_in_lists(connection, viewer, col(ApprovalTask.request_id))
        rules.append(rule)
        order = order.of_few() if few else order
    for column, value in (
        (ApprovalTask.assignee, assignee),
        (ApprovalTask.status, status),
        (ApprovalTask.sla_state, sla_state),
        (ApprovalTask.request_id, request_id),
        (ApprovalTask.decided_by, decided_by),
        (ApprovalRequest.template, template),
    ):
        if value is not None:
            rules.append(col(column) == value)
    if claimed is not None:
        rules.append(is_claimed(claimed=claimed))
    if title is not None:
        rules.append(col(ApprovalRequest.title).icontains(title, autoescape=True))
    rules += due.holds(col(ApprovalTask.due_at))
    if waits_for is None:
        query = order.of(_LISTED_TASKS.where(*rules), cursor=cursor, limit=limit)
    else:
        # Of each way in which tasks wait for them, the page can hold no more than a page of its own. Each brings whole
        # rows: a database that is given ids may find it cheaper to read all tasks than to look so many up.
        searches = searches_for(waits_for, _LISTED_TASKS.where(*rules))
        pages = (order.of(search, cursor=cursor, limit=limit).subquery() for search in searches)
        query = order.merged([select(page) for page in pages])
    found: dict[str, ListedTask] = {}  # a task that waits for them in two ways is there once
    places: dict[str, tuple[str | datetime, ...]] = {}
    for row in connection.execute(query):
        *facts, sorted_by = row
        task = ListedTask(**dict(zip(_LISTED_FIELDS, facts, strict=True)), values=_NO_VALUES)
        found[task.id] = task
        places[task.id] = order.place(sorted_by, task.id)
    page = cursors.page(list(found.values())[: limit + 1], limit, lambda row: places[row.id])
    ids = {row.request_id for row in page.items}
    values = list_values(connection, ids)
    items = tuple(replace(row, values=values.get(row.request_id, _NO_VALUES)) for row in page.items)
    return cursors.Page(items=items, next_cursor=page.next_cursor)


def tasks_listed(connection: Connection, ids: Collection[str]) -> list[ListedTask]:
    """Return these tasks as lists show them, in no order."""
    rows = connection.execute(_LISTED_TASKS.where(col(ApprovalTask.id).in_(sorted(ids)))).all()
    found = [ListedTask(**dict(zip(_LISTED_FIELDS, row, strict=True)), values=_NO_VALUES) for row in rows]
    values = list_values(connection, {row.request_id for row in found})
    return [replace(row, values=values.get(row.request_id, _NO_VALUES)) for row in found]


def waits_for_answer(requester: str) -> ColumnElement[bool]:
    """Build the rule for requests that wait for their requester: a question is open, or changes are asked for."""
    waits = or_(col(ApprovalRequest.open_questions) > 0, col(ApprovalRequest.returned))
    return and_(col(ApprovalRequest.requester) == requester, col(ApprovalRequest.status) == "pending", waits)


def is_claimed(*, claimed: bool) -> ColumnElement[bool]:
    return col(ApprovalTask.assignee).is_not(None) if claimed else col(ApprovalTask.assignee).is_(None)


@of_rows
def timeline(session: Session, request_id: str) -> list[TimelineRow]:
    """Return the timeline of a request: its audit chain, with the deliveries merged in by time."""
    entries = session.scalars(
        select(AuditEntry).where(col(AuditEntry.request_id) == request_id).order_by(col(AuditEntry.seq))
    )
    deliveries = session.scalars(
        select(Delivery).where(col(Delivery.request_id) == request_id).order_by(col(Delivery.seq))
    )
    merged = [_happened(row, row.actor) for row in entries] + [_happened(row, "system") for row in deliveries]
    # The sort is stable: each chain keeps its order, and at the same moment entries come before deliveries.
    return sorted(merged, key=lambda row: row.at)


def _happened(row: AuditEntry | Delivery, actor: str) -> TimelineRow:
    try:
        detail = json.loads(row.detail)
    except ValueError:  # edited by hand; `verify` says so, and the rest can still be read
        detail = {"unreadable": row.detail}
    return TimelineRow(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        actor=actor,
        stage=row.stage,
        task_id=row.task_id,
        detail=readable_detail(detail) if isinstance(detail, dict) else {"unreadable": row.detail},
        hash=row.hash,
        delivery=isinstance(row, Delivery),
    )


def _tasks(connection: Connection, request_ids: list[str]) -> dict[str, tuple[TaskRow, ...]]:
    query = (
        select(*_TASK_COLUMNS)
        .where(col(ApprovalTask.request_id).in_(request_ids))
        .order_by(col(ApprovalTask.request_id), col(ApprovalTask.position))
    )
    found: dict[str, tuple[TaskRow, ...]] = {}
    for row in connection.execute(query):
        one = TaskRow(**row._mapping)
        found[one.request_id] = (*found.get(one.request_id, ()), one)
    return found


_NO_VALUES = ListValues()
_REQUEST_COLUMNS = tuple(getattr(ApprovalRequest, field.name) for field in fields(RequestRow))
_TASK_COLUMNS = tuple(getattr(ApprovalTask, field.name) for field in fields(TaskRow))
_REQUEST_FIELDS = tuple(field.name for field in fields(RequestRow))
_LISTED_FIELDS = tuple(field.name for field in fields(ListedTask) if field.name != "values")
_LISTED_TASKS = select(
    *_TASK_COLUMNS, *(getattr(ApprovalRequest, name) for name in _LISTED_FIELDS[len(_TASK_COLUMNS) :])
).join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
_VIEWER: BindParameter[str] = bindparam("viewer", type_=String())
_REQUEST = select(*_REQUEST_COLUMNS).where(col(ApprovalRequest.id) == bindparam("sought"))
_READ_REQUEST = Prepared(_REQUEST)
_READ_REQUEST_SEEN = Prepared(_REQUEST.where(visible(_VIEWER)))
_READ_ITS_TASKS = Prepared(
    select(*_TASK_COLUMNS)
    .where(col(ApprovalTask.request_id) == bindparam("sought"))
    .order_by(col(ApprovalTask.position))
)
_REQUESTER = Prepared(select(col(ApprovalRequest.requester)).where(col(ApprovalRequest.id) == bindparam("sought")))
_OWNER = Prepared(
    select(col(ApprovalRequest.owner))
    .join(ApprovalTask, col(ApprovalTask.request_id) == col(ApprovalRequest.id))
    .where(col(ApprovalTask.id) == bindparam("sought"))
)
_TASK = select(*_TASK_COLUMNS).where(col(ApprovalTask.id) == bindparam("sought"))
_ITS_REQUEST = col(ApprovalRequest.id) == col(ApprovalTask.request_id)
_READ_TASK = Prepared(_TASK)
_READ_TASK_SEEN = Prepared(_TASK.join(ApprovalRequest, _ITS_REQUEST).where(visible(_VIEWER)))
