"""Executions that SLAs judge: which requests are to be looked at, their facts, and what was judged.

A request is looked at when it has been open for as long as the lowest threshold, when the next threshold is due, when
something has happened to it since, and when it has ended. Each is found by an index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Executable, Select, Table, delete, exists, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.queries.ordering import hidden
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry
from storage.tables.slas import SlaExecution, WorkflowSla

_ENDED = ("completed", "failed", "cancelled")
_OF_KEY = ("sla_id", "request_id", "visit")


class StepRow(NamedTuple):
    """What executions are read from (insight.slas.executions.Step)."""

    seq: int
    at: datetime
    kind: str
    stage: str | None
    task_id: str | None


class KnownRow(NamedTuple):
    """An execution of which it is known how it fared."""

    began_at: datetime
    ended_at: datetime | None
    known_at: datetime
    breached: bool
    actual_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """A request as its executions are judged."""

    id: str
    template_id: str
    template: str
    owner: str | None
    head: str
    steps: tuple[StepRow, ...]
    hashes: dict[int, str]  # of the entries, by their number


def to_look_at(
    connection: Connection, sla: WorkflowSla, now: datetime, *, since: datetime, stage_ends: Collection[str], limit: int
) -> list[str]:
    """Return the ids of requests that the SLA has to look at now; of those that ended, the ones after `since`."""
    queries = [*_known(sla, now, since)]
    if sla.stage is None:
        queries += [_open_process(sla, now), _ended_process(sla, since)]
    else:
        queries += [_open_stage(sla, now), _ended_stage(sla, since, stage_ends), _broken_off_stage(sla, since)]
    found: dict[str, None] = {}
    for query in queries:
        found.update(dict.fromkeys(connection.scalars(query.limit(limit))))
    return list(found)[:limit]


def of_process(connection: Connection, template: str, *, after: str, limit: int) -> list[str]:
    """Return ids of requests of a process, in order, the first of them after `after`."""
    query = select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.template) == template, col(ApprovalRequest.id) > after
    )
    return list(connection.scalars(query.order_by(col(ApprovalRequest.id)).limit(limit)))


def facts(
    connection: Connection, ids: Sequence[str], *, kinds: Collection[str], lock: bool = False
) -> Iterator[RequestFacts]:
    """Yield the facts of requests, by their ids in order; with `lock`, nothing is recorded of them meanwhile."""
    query = (
        select(
            col(ApprovalRequest.id),
            col(ApprovalRequest.template_id),
            col(ApprovalRequest.template),
            col(ApprovalRequest.owner),
            col(ApprovalRequest.head),
        )
        .where(col(ApprovalRequest.id).in_(ids))
        .order_by(col(ApprovalRequest.id))
    )
    rows = connection.execute(query.with_for_update(read=True) if lock else query).all()
    entries = (
        select(
            col(AuditEntry.request_id),
            *(col(getattr(AuditEntry, name)) for name in StepRow._fields),
            col(AuditEntry.hash),
        )
        .where(col(AuditEntry.request_id).in_(ids), hidden(col(AuditEntry.kind)).in_(sorted(kinds)))
        .order_by(col(AuditEntry.request_id), col(AuditEntry.seq))
    )
    steps: dict[str, list[StepRow]] = {}
    hashes: dict[str, dict[int, str]] = {}
    for entry in connection.execute(entries):
        request_id, *step, entry_hash = entry
        steps.setdefault(request_id, []).append(StepRow(*step))
        hashes.setdefault(request_id, {})[step[0]] = entry_hash
    for row in rows:
        yield RequestFacts(
            id=row.id,
            template_id=row.template_id,
            template=row.template,
            owner=row.owner,
            head=row.head,
            steps=tuple(steps.get(row.id, ())),
            hashes=hashes.get(row.id, {}),
        )


def known(connection: Connection, sla_id: str, until: datetime, *, limit: int) -> list[KnownRow]:
    """Return the executions of which it was known by a moment how they fared, the latest first."""
    query = (
        select(*(col(getattr(SlaExecution, name)) for name in KnownRow._fields))
        .where(col(SlaExecution.sla_id) == sla_id, col(SlaExecution.known_at) <= until)
        .order_by(col(SlaExecution.known_at).desc())
    )
    return [KnownRow(*row) for row in connection.execute(query.limit(limit))]


def pending(connection: Connection, sla: WorkflowSla, *, limit: int) -> tuple[int, list[str]]:
    """Return how many requests are open in what an SLA measures, and the ids of some of them."""
    where = [col(ApprovalRequest.template) == sla.template, col(ApprovalRequest.status) == "pending"]
    if sla.stage is not None:
        asked = exists().where(
            col(ApprovalTask.request_id) == col(ApprovalRequest.id),
            col(ApprovalTask.stage) == sla.stage,
            col(ApprovalTask.status) == "open",
        )
        where.append(asked)
    number = connection.execute(select(func.count()).select_from(ApprovalRequest).where(*where)).scalar_one()
    ids = select(col(ApprovalRequest.id)).where(*where).order_by(col(ApprovalRequest.id)).limit(limit)
    return number, list(connection.scalars(ids))


def judged(connection: Connection, sla_id: str, ids: Sequence[str]) -> dict[tuple[str, int], SlaExecution]:
    """Return what an SLA has judged of these requests, by request and visit."""
    query = select(_TABLE).where(col(SlaExecution.sla_id) == sla_id, col(SlaExecution.request_id).in_(ids))
    rows = (SlaExecution(**row) for row in connection.execute(query).mappings())
    return {(row.request_id, row.visit): row for row in rows}


def put(connection: Connection, rows: Sequence[SlaExecution]) -> None:
    """Store what was judged, in the place of what was judged of the same executions before."""
    if rows:
        connection.execute(_putting(connection.dialect.name), [row.model_dump() for row in rows])


def forget(connection: Connection, sla_id: str, keys: Collection[tuple[str, int]] | None = None) -> None:
    """Delete what was judged of these executions (request and visit), or of all of an SLA."""
    if keys is None:
        connection.execute(delete(SlaExecution).where(col(SlaExecution.sla_id) == sla_id))
        return
    for request_id, visit in keys:
        connection.execute(
            delete(SlaExecution).where(
                col(SlaExecution.sla_id) == sla_id,
                col(SlaExecution.request_id) == request_id,
                col(SlaExecution.visit) == visit,
            )
        )


def forget_ended(connection: Connection, sla_id: str, before: datetime, *, limit: int) -> int:
    """Delete executions of an SLA that ended before a moment, so many at most; return how many."""
    request, visit = col(SlaExecution.request_id), col(SlaExecution.visit)
    old = select(request, visit).where(col(SlaExecution.sla_id) == sla_id, col(SlaExecution.ended_at) < before)
    keys = [tuple(row) for row in connection.execute(old.limit(limit))]
    if keys:
        connection.execute(
            delete(SlaExecution).where(col(SlaExecution.sla_id) == sla_id, tuple_(request, visit).in_(keys))
        )
    return len(keys)


_TABLE: Table = SlaExecution.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True


def _putting(dialect: str) -> Executable:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(_TABLE)
    changed = {c.name: statement.excluded[c.name] for c in _TABLE.columns if c.name not in _OF_KEY}
    return statement.on_conflict_do_update(index_elements=list(_OF_KEY), set_=changed)


def _cutoff(sla: WorkflowSla, now: datetime) -> datetime:
    """Return since when an open execution may have exceeded a threshold; working time is never more than time."""
    lowest = sla.target_duration_seconds
    if sla.warning_threshold_seconds is not None:
        lowest = min(lowest, sla.warning_threshold_seconds)
    return now - timedelta(seconds=lowest)


def _known(sla: WorkflowSla, now: datetime, since: datetime) -> Iterator[Select[str]]:
    """Yield selects of open executions of which a threshold is due, and of those of requests that have gone on since.

    The latter are two, each of which an index begins: what is open, and what ended lately.
    """
    of_sla, ended = col(SlaExecution.sla_id) == sla.id, col(SlaExecution.ended_at)
    yield select(col(SlaExecution.request_id)).where(of_sla, ended.is_(None), col(SlaExecution.look_at) < now)
    for lately in (ended.is_(None), ended > since):
        yield (
            select(col(SlaExecution.request_id))
            .join(ApprovalRequest, col(ApprovalRequest.id) == col(SlaExecution.request_id))
            .where(of_sla, lately, col(SlaExecution.head) != col(ApprovalRequest.head))
        )


_AS_IT_IS = col(SlaExecution.head) == col(ApprovalRequest.head)
"""The condition of what was judged since something last happened to its request: all of a request is, or nothing."""


def _judged_at_all(sla: WorkflowSla, *more: Any) -> Any:
    return exists().where(
        col(SlaExecution.sla_id) == sla.id, col(SlaExecution.request_id) == col(ApprovalRequest.id), *more
    )


def _open_process(sla: WorkflowSla, now: datetime) -> Select[str]:
    return select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.template) == sla.template,
        col(ApprovalRequest.status) == "pending",
        col(ApprovalRequest.started_at) <= _cutoff(sla, now),
        ~_judged_at_all(sla),
    )


def _ended_process(sla: WorkflowSla, since: datetime) -> Select[str]:
    return select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.template) == sla.template,
        col(ApprovalRequest.status).in_(_ENDED),
        col(ApprovalRequest.ended_at) > since,
        ~_judged_at_all(sla),
    )


def _open_stage(sla: WorkflowSla, now: datetime) -> Select[str]:
    return (
        select(col(ApprovalRequest.id))
        .join(ApprovalTask, col(ApprovalTask.request_id) == col(ApprovalRequest.id))
        .where(
            col(ApprovalRequest.template) == sla.template,
            col(ApprovalRequest.status) == "pending",
            col(ApprovalRequest.started_at) <= _cutoff(sla, now),
            col(ApprovalTask.status) == "open",
            col(ApprovalTask.stage) == sla.stage,
            ~_judged_at_all(sla, col(SlaExecution.ended_at).is_(None)),
        )
        .distinct()
    )


def _ended_stage(sla: WorkflowSla, since: datetime, ends: Collection[str]) -> Select[str]:
    return (
        select(col(ApprovalRequest.id))
        .join(AuditEntry, col(AuditEntry.request_id) == col(ApprovalRequest.id))
        .where(
            col(AuditEntry.kind).in_(sorted(ends)),
            col(AuditEntry.at) > since,
            col(AuditEntry.stage) == sla.stage,
            col(ApprovalRequest.template) == sla.template,
            ~_judged_at_all(sla, _AS_IT_IS),
        )
        .distinct()
    )


def _broken_off_stage(sla: WorkflowSla, since: datetime) -> Select[str]:
    """Select requests that ended, perhaps before a stage came to its result, and that were not judged since."""
    asked = exists().where(
        col(ApprovalTask.request_id) == col(ApprovalRequest.id), col(ApprovalTask.stage) == sla.stage
    )
    return select(col(ApprovalRequest.id)).where(
        col(ApprovalRequest.template) == sla.template,
        col(ApprovalRequest.status).in_(_ENDED),
        col(ApprovalRequest.ended_at) > since,
        asked,
        ~_judged_at_all(sla, _AS_IT_IS),
    )
