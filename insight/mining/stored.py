"""Read the past of a process from storage as a history: page by page through the index, so that memory is bounded.

Rows are taken as the driver has them and go into the history by column: a million decisions are read in seconds, which
objects for them would take half a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import isnan
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Double,
    Executable,
    Integer,
    String,
    Text,
    bindparam,
    cast,
    extract,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlmodel import col

from insight.mining.history import MISSING, CasePage, History, TaskPage
from placet.audit.sealed import erased
from storage.database import Database
from storage.prepared import Prepared
from storage.queries.ordering import hidden
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, StoredPerson
from storage.tables.columns import Moment

MOST_DECISIONS: Final = 1_000_000
"""Tasks that one history holds; older ones are left out."""
_AT_ONCE = 2_000  # requests that one transaction reads
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as SQLite has moments, in UTC and without saying so


class Place(NamedTuple):
    """Where a page ended: what the requests are ordered by, the newest first."""

    started_at: datetime
    request_id: str


_NEWEST: Final = Place(datetime.max.replace(tzinfo=UTC), "")


async def read_history(
    database: Database, template: str, *, since: datetime, now: datetime, most: int = MOST_DECISIONS
) -> History:
    """Return the requests of a process that were started since then, with their tasks; the newest, up to `most` tasks.

    Of a request whose content was erased nothing is read but who decided what, and when.
    """
    history = History()
    machines = await database.read(_machines)
    after: Place | None = _NEWEST
    while after is not None and len(history.tasks) < most:
        after = await database.read(_add_page, history, template, since=since, now=now, after=after, machines=machines)
    history.reverse()
    return history


def _machines(connection: Connection) -> dict[str, str]:
    """Return the actor type of everyone who is no person."""
    query = select(col(StoredPerson.id), col(StoredPerson.actor_type)).where(col(StoredPerson.actor_type) != "person")
    return {row[0]: row[1] for row in connection.execute(query)}


def _moment(dialect: str, column: Any) -> ColumnElement[Any]:
    """Return a moment as seconds since 1970; on SQLite as its text, which Python reads faster."""
    if dialect == "postgresql":
        return cast(extract("epoch", column), Double)
    return type_coerce(column, String)


def _requests_of(dialect: str) -> Executable:
    started, ident = col(ApprovalRequest.started_at), col(ApprovalRequest.id)
    until = bindparam("until", type_=Moment())
    template: Any = col(ApprovalRequest.template)
    if dialect == "sqlite":
        # Without statistics it would take the index by process, and sort all requests of the process for each page.
        template = literal_column("+approval_request.template", String())
    return (
        select(
            ident,
            col(ApprovalRequest.version),
            col(ApprovalRequest.outcome),
            _moment(dialect, started).label("started"),
            _moment(dialect, col(ApprovalRequest.ended_at)).label("ended"),
            col(ApprovalRequest.amount),
            cast(col(ApprovalRequest.input), Text).label("given"),
            col(ApprovalRequest.revision),
            type_coerce(col(ApprovalRequest.erased_at), String).label("erased"),
        )
        .where(
            started >= bindparam("since", type_=Moment()),
            # An index can begin here; the condition behind it alone would have it read from the newest on.
            started <= until,
            (started < until) | (ident < bindparam("ident", type_=String())),
            template == bindparam("sought", type_=String()),
        )
        .order_by(started.desc(), ident.desc())
        .limit(bindparam("most", type_=Integer()))
    )


def _tasks_of(dialect: str) -> Executable:
    """Build what reads the tasks of requests in the order of their ids in a list, each from the last task on."""
    if dialect == "postgresql":
        given: Any = func.unnest(bindparam("ids", type_=ARRAY(String())))
        listed = given.table_valued("value", with_ordinality="key", name="listed").render_derived()
    else:
        listed = func.json_each(bindparam("ids", type_=Text())).table_valued("key", "value", name="listed")
    task = ApprovalTask
    return (
        select(
            listed.c.key,
            col(task.stage),
            col(task.round),
            func.coalesce(col(task.decided_by), col(task.assignee)).label("person"),
            col(task.decided_by).is_not(None).label("by_somebody"),
            col(task.assigned_via),
            _moment(dialect, col(task.opened_at)).label("opened"),
            _moment(dialect, col(task.decided_at)).label("decided"),
            _moment(dialect, col(task.due_at)).label("due"),
            col(task.decision),
            col(task.escalation_level),
        )
        .select_from(listed)
        .join(task, col(task.request_id) == listed.c.value)
        .order_by(listed.c.key, col(task.position).desc())
    )


_REQUESTS = Prepared(_requests_of)
_TASKS = Prepared(_tasks_of)


class _Requests(NamedTuple):
    """A page of requests by column, as the driver has them."""

    ids: Sequence[str]
    versions: Sequence[str]
    outcomes: Sequence[str | None]
    started: Sequence[Any]
    ended: Sequence[Any]
    amounts: Sequence[float | None]
    given: Sequence[str]
    revisions: Sequence[int]
    erased: Sequence[Any]


def _add_page(
    connection: Connection,
    history: History,
    template: str,
    *,
    since: datetime,
    now: datetime,
    after: Place,
    machines: Mapping[str, str],
) -> Place | None:
    """Add the next requests to a history, the newest first, and return where they end; None where there are no more."""
    rows = _REQUESTS.raw(
        connection, sought=template, since=since, until=after.started_at, ident=after.request_id, most=_AT_ONCE
    )
    if not rows:
        return None
    page = _Requests(*zip(*rows, strict=True))
    gone = [erased_at is not None for erased_at in page.erased]
    changed = [
        ident for ident, revision, is_gone in zip(page.ids, page.revisions, gone, strict=True)
        if revision > 1 and not is_gone
    ]  # fmt: skip
    revised = _revised(connection, changed)
    started, ended = _seconds(page.started), _seconds(page.ended)
    first = history.add_cases(
        CasePage(
            template=template,
            ids=page.ids,
            versions=page.versions,
            outcomes=page.outcomes,
            started=started,
            ended=ended,
            amounts=[
                MISSING if amount is None or is_gone else amount
                for amount, is_gone in zip(page.amounts, gone, strict=True)
            ],
            values=[
                {} if is_gone else revised.opening[ident] if ident in revised.opening else json.loads(given)
                for ident, given, is_gone in zip(page.ids, page.given, gone, strict=True)
            ],
        )
    )
    ids = list(page.ids) if connection.dialect.name == "postgresql" else json.dumps(page.ids)
    tasks = _TASKS.raw(connection, ids=ids)
    if tasks:
        # PostgreSQL counts from one.
        begin = 1 if connection.dialect.name == "postgresql" else 0
        until = now.timestamp()
        ends = [until if isnan(end) else end for end in ended]
        history.add_tasks(_task_page(tasks, page.ids, ends, first=first, begin=begin, revised=revised, kinds=machines))
    if len(rows) < _AT_ONCE:
        return None
    return Place(datetime.fromtimestamp(started[-1], UTC), page.ids[-1])


def _task_page(
    rows: Sequence[tuple[Any, ...]],
    ids: Sequence[str],
    ends: Sequence[float],
    *,
    first: int,
    begin: int,
    revised: _Revised,
    kinds: Mapping[str, str],
) -> TaskPage:
    """Return tasks by column; `first` is the number of the first case, `begin` what the database calls it."""
    keys, stages, rounds, people, by_somebody, ways, *moments, decisions, escalations = zip(*rows, strict=True)
    places = [key - begin for key in keys] if begin else keys
    opened, decided, due = map(_seconds, moments)
    changes: Sequence[tuple[str, ...]] = [()] * len(rows)
    if revised.changes:
        changes = [
            revised.after(ids[place], at) if decision == "request_changes" else ()
            for place, at, decision in zip(places, decided, decisions, strict=True)
        ]
    return TaskPage(
        cases=[first + place for place in places],
        stages=stages,
        rounds=rounds,
        assignees=people,
        ways=ways,
        # Where nobody had decided in time, the process itself did.
        actor_types=[
            kinds.get(person, "person") if decided_by else "" if decision is None else "service"
            for person, decided_by, decision in zip(people, by_somebody, decisions, strict=True)
        ],
        opened=opened,
        decided=decided,
        due=due,
        decisions=decisions,
        waited=[
            max(0.0, (ends[place] if isnan(at) else at) - began)
            for place, at, began in zip(places, decided, opened, strict=True)
        ],
        escalations=escalations,
        changes=changes,
    )


def _seconds(moments: Iterable[Any]) -> list[float]:
    """Return moments, as `_moment` has the database write them, in seconds since 1970; NaN where there is none."""
    read, epoch = datetime.fromisoformat, _EPOCH
    return [
        MISSING if one is None else (read(one) - epoch).total_seconds() if isinstance(one, str) else one
        for one in moments
    ]


class _Revised(NamedTuple):
    """Of requests that were changed: the values that they began with, and which fields were changed when."""

    opening: dict[str, Mapping[str, Any]]
    changes: dict[str, list[tuple[float, tuple[str, ...]]]]

    def after(self, request_id: str, decided: float) -> tuple[str, ...]:
        """Return the fields that were changed first after a moment, in seconds since 1970."""
        return next((fields for at, fields in self.changes.get(request_id, ()) if at >= decided), ())


def _revised(connection: Connection, ids: Sequence[str]) -> _Revised:
    found = _Revised(opening={}, changes={})
    if not ids:
        return found
    query = (
        select(col(AuditEntry.request_id), col(AuditEntry.kind), col(AuditEntry.at), col(AuditEntry.detail))
        .where(col(AuditEntry.request_id).in_(ids), hidden(col(AuditEntry.kind)).in_(("started", "resubmitted")))
        .order_by(col(AuditEntry.request_id), col(AuditEntry.seq))
    )
    for request_id, kind, at, text in connection.execute(query):
        detail = json.loads(text)
        if kind == "started":
            given = detail.get("input")
            found.opening[request_id] = given if isinstance(given, dict) and not erased(given) else {}
        else:
            changes = detail.get("changes")
            fields = tuple(one["field"] for one in changes) if isinstance(changes, list) else ()
            found.changes.setdefault(request_id, []).append((at.timestamp(), fields))
    return found
