"""Requests and their tasks as `record` stored them, and their timeline."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    SQLColumnExpression,
    String,
    and_,
    bindparam,
    or_,
    select,
)
from sqlmodel import col

from placet.engine.state import Status, TaskStatus
from placet.errors import NotFound
from placet.sentences import sentence
from storage.prepared import Prepared, among
from storage.queries import cursor as cursors
from storage.queries.ordering import Search, SortOrder, hidden, order_of_requests, order_of_tasks
from storage.queries.requests import processes, waiting_pages
from storage.queries.requests.list_fields import ListValues, list_values
from storage.queries.requests.titles import with_part
from storage.queries.requests.visibility import (
    Visibility,
    claimed_rules,
    in_status,
    searches_for,
    seen_in_lists,
    visible,
    visible_now,
)
from storage.queries.requests.waiting_pages import Waiting
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry
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
    started_by: str | None = None  # who entered it for the requester, if another
    action: dict[str, Any] | None = None  # placet.engine.bound_action.BoundAction.document
    action_digest: str | None = None
    claim_status: str | None = None
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    claim_key: str | None = None


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
    signature: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask(TaskRow):
    """A task with columns of its request."""

    title: str
    template: str
    template_id: str
    requester: str
    action_digest: str | None
    values: ListValues


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
_Places = dict[str, tuple[str | datetime, ...]]  # of rows by their ids, in a list's order


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWithTasks:
    """A request and all of its tasks, oldest first."""

    request: RequestRow
    tasks: tuple[TaskRow, ...]


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
        raise NotFound(sentence("There is no request {request_id!r}, or it is not yours to see", request_id=request_id))
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

    `title` is a part of it, in any case. `waits_for_answer_of` is the requester of those that wait for an answer.
    """
    query, order, few = select(col(ApprovalRequest.id)), order_of_requests(sort), False
    if viewer is not None and requester != viewer.person:
        rule, few = seen_in_lists(connection, viewer, col(ApprovalRequest.id))
        query = query.where(rule)
    for column, value in (
        (ApprovalRequest.outcome, outcome),
        (ApprovalRequest.template, template),
        (ApprovalRequest.requester, requester),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    if title is not None:
        rule, rare = with_part(connection, title, col(ApprovalRequest.id))
        query, few = query.where(rule), few or rare
    if waits_for_answer_of is not None:
        query = query.where(waits_for_answer(waits_for_answer_of))
    if watched_by is not None:
        watched = select(col(Watch.request_id)).where(col(Watch.person) == watched_by)
        query, few = query.where(col(ApprovalRequest.id).in_(watched)), True
    query = query.where(*started.holds(col(ApprovalRequest.started_at)), *ended.holds(col(ApprovalRequest.ended_at)))
    if requester is not None:  # theirs have an index by when they were started
        few = few or sort in {"due", "ended", "amount"}
    known = few or requester is not None  # what finds them finds fewer than their status
    of_status = hidden(col(ApprovalRequest.status)) if known else col(ApprovalRequest.status)
    if status is not None:
        searches = [Search(query=query.where(of_status == status), few=few)]
    elif few or sort not in {"ended", "amount"}:
        searches = [Search(query=query, few=few)]
    else:  # the indexes of these orders begin with the status
        searches = [Search(query=query.where(of_status == one)) for one in get_args(Status)]
    places = _found(connection, order, searches, cursor=cursor, limit=limit)
    ids = list(places)[: limit + 1]
    stored = {row.id: RequestRow(**row._asdict()) for row in _READ_REQUESTS.rows(connection, ids=ids)} if ids else {}
    tasks = _tasks(connection, ids[:limit])
    rows = [RequestWithTasks(request=stored[one], tasks=tasks.get(one, ())) for one in ids]
    return cursors.page(rows, limit, lambda row: places[row.request.id])


def _found(
    connection: Connection, order: SortOrder, searches: Sequence[Search], *, cursor: str | None, limit: int
) -> _Places:
    return _places(order, map(connection.execute, order.pages(searches, cursor=cursor, limit=limit)), limit)


def _places(order: SortOrder, pages: Iterable[Iterable[Any]], limit: int) -> _Places:
    """Return the ids of a page and one more row at least, in their order, with the place of each."""
    places: _Places = {}  # what two searches find is there once
    for page in pages:
        for row in page:
            places[row.id] = order.place(row.sorted_by, row.id)
        if len(places) > limit:
            break
    return places


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
        raise NotFound(sentence("There is no task {task_id!r}, or it is not yours to see", task_id=task_id))
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
    order, others = order_of_tasks(sort), (viewer, assignee, request_id, decided_by, title)
    if waits_for is not None and due == ANY_TIME and all(one is None for one in others):
        given = {"sla_state": sla_state, "template": template}
        fields = {name: value for name, value in given.items() if value is not None}
        asked = Waiting(waits_for=waits_for, status=status, claimed=claimed, fields=fields)
        read = waiting_pages.pages_of(connection, asked, order, cursor=cursor, limit=limit)
        return _task_page(connection, _places(order, read, limit), limit)
    rules: list[ColumnElement[bool]] = [*due.holds(col(ApprovalTask.due_at))]
    few = rare = False
    if title is not None:
        rule, rare = with_part(connection, title, col(ApprovalTask.request_id))
        rules.append(rule)
    if viewer is not None and waits_for is not None:
        rules.append(visible_now(viewer))
    elif viewer is not None:
        rule, few = seen_in_lists(connection, viewer, col(ApprovalTask.request_id))
        rules.append(rule)
    if template is not None:
        open_ = status == "open"
        rule, rare = processes.in_process(connection, template, pending=open_, rare=rare, decided_by=decided_by)
        rules.append(rule)
    for column, value in (
        (ApprovalTask.assignee, assignee),
        (ApprovalTask.sla_state, sla_state),
        (ApprovalTask.request_id, request_id),
        (ApprovalTask.decided_by, decided_by),
    ):
        if value is not None:
            rules.append((hidden(col(column)) if rare else col(column)) == value)
    tasks = select(col(ApprovalTask.id)).where(*rules)
    if template is not None or (viewer is not None and not few):
        tasks = tasks.join(ApprovalRequest, _ITS_REQUEST)
    if waits_for is not None:
        searches = searches_for(waits_for, tasks, status=status, claimed=claimed, rare=rare)
    else:
        tasks, apart = tasks.where(*claimed_rules(claimed, few=rare)), request_id is None and decided_by is None
        searches = _in_status(tasks, status, few=few or rare, apart=apart)
    return _task_page(connection, _found(connection, order, searches, cursor=cursor, limit=limit), limit)


def _in_status(tasks: Select[Any], status: str | None, *, few: bool, apart: bool) -> list[Search]:
    """Return the searches for tasks of a status, or of any; `apart` looks for each by itself where they are many."""
    if status is not None:
        rule = hidden(col(ApprovalTask.status)) == status if few else in_status(status)
        return [Search(query=tasks.where(rule), few=few)]
    if few or not apart:
        return [Search(query=tasks, few=few)]
    # The indexes of these orders begin with the status.
    return [Search(query=tasks.where(in_status(one))) for one in get_args(TaskStatus)]


def _task_page(connection: Connection, places: _Places, limit: int) -> cursors.Page[ListedTask]:
    ids = list(places)[: limit + 1]
    listed = {row.id: row for row in tasks_listed(connection, ids)}
    return cursors.page([listed[one] for one in ids], limit, lambda row: places[row.id])


def actions_of(connection: Connection, ids: Collection[str]) -> list[RequestRow]:
    """Return those of these requests that ask for an action, in no order."""
    rows = _READ_REQUESTS.rows(connection, ids=sorted(ids)) if ids else []
    return [RequestRow(**row._asdict()) for row in rows if row.action is not None]


def tasks_listed(connection: Connection, ids: Collection[str]) -> list[ListedTask]:
    """Return these tasks as lists show them, in no order."""
    rows = _LISTED.rows(connection, ids=sorted(ids)) if ids else []
    values = list_values(connection, [(row.template_id, row.input) for row in rows])
    return [
        ListedTask(**{name: getattr(row, name) for name in _LISTED_FIELDS}, values=its)
        for row, its in zip(rows, values, strict=True)
    ]


def waits_for_answer(requester: str | BindParameter[str]) -> ColumnElement[bool]:
    """Build the rule for requests that wait for their requester: a question is open, or changes are asked for."""
    waits = or_(col(ApprovalRequest.open_questions) > 0, col(ApprovalRequest.returned))
    return and_(col(ApprovalRequest.requester) == requester, hidden(col(ApprovalRequest.status)) == "pending", waits)


def _tasks(connection: Connection, request_ids: list[str]) -> dict[str, tuple[TaskRow, ...]]:
    found: dict[str, tuple[TaskRow, ...]] = {}
    for row in _TASKS_OF.rows(connection, requests=request_ids) if request_ids else ():
        one = TaskRow(**row._asdict())
        found[one.request_id] = (*found.get(one.request_id, ()), one)
    return found


_REQUEST_COLUMNS = tuple(getattr(ApprovalRequest, field.name) for field in fields(RequestRow))
_TASK_COLUMNS = tuple(getattr(ApprovalTask, field.name) for field in fields(TaskRow))
_LISTED_FIELDS = tuple(field.name for field in fields(ListedTask) if field.name != "values")
_ITS_REQUEST = col(ApprovalRequest.id) == col(ApprovalTask.request_id)
_LISTED = Prepared(
    lambda dialect: (
        select(
            *_TASK_COLUMNS,
            *(getattr(ApprovalRequest, name) for name in (*_LISTED_FIELDS[len(_TASK_COLUMNS) :], "input")),
        )
        .join(ApprovalRequest, _ITS_REQUEST)
        .where(among(dialect, col(ApprovalTask.id), "ids"))
    )
)
_READ_REQUESTS = Prepared(
    lambda dialect: select(*_REQUEST_COLUMNS).where(among(dialect, col(ApprovalRequest.id), "ids"))
)
_TASKS_OF = Prepared(
    lambda dialect: (
        select(*_TASK_COLUMNS)
        .where(among(dialect, col(ApprovalTask.request_id), "requests"))
        .order_by(col(ApprovalTask.request_id), col(ApprovalTask.position))
    )
)
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
_READ_TASK = Prepared(_TASK)
_READ_TASK_SEEN = Prepared(_TASK.join(ApprovalRequest, _ITS_REQUEST).where(visible(_VIEWER)))
