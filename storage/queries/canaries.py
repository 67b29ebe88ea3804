"""Canaries: which process has one that is running, which requests they have given a version, and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple

from semver import Version
from sqlalchemy import Connection, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.announcements.announce import READY, announce
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries import cursor as cursors
from storage.recording import metrics
from storage.tables.approvals import ApprovalRequest, DefinitionVersion, Outbox
from storage.tables.canaries import CanaryRequest, WorkflowCanary

_COUNT = "workflow_canary_total"
_RUNNING = "running"


class Split(NamedTuple):
    """How the requests of a process are split while a canary runs."""

    id: str
    version_id: str
    baseline_id: str
    share: float
    people_sample: float


class Candidate(NamedTuple):
    """A version with which a canary can begin."""

    id: str
    name: str
    version: str


class ToMeasure(NamedTuple):
    """A request that is to be measured."""

    request_id: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


class Measured(NamedTuple):
    """What was measured of a request; None where it has no such measure."""

    arm: str
    duration_seconds: float | None
    outcome: float | None
    sla: float | None
    cost: float | None


_SPLIT = Prepared(
    select(
        col(WorkflowCanary.id),
        col(WorkflowCanary.version_id),
        col(WorkflowCanary.baseline_id),
        col(WorkflowCanary.share),
        col(WorkflowCanary.people_sample),
    ).where(col(WorkflowCanary.template) == bindparam("sought"), col(WorkflowCanary.status) == _RUNNING)
)
_ANY = Prepared(
    select(col(WorkflowCanary.id), col(WorkflowCanary.version_id)).where(col(WorkflowCanary.status) == _RUNNING)
)


def split_of(connection: Connection, template: str) -> Split | None:
    """Return how the requests of a process are split now; None without a canary."""
    row = _SPLIT.first(connection, sought=template)
    return None if row is None else Split(*row)


def running(connection: Connection) -> list[str]:
    """Return the ids of the canaries that run."""
    return [row[0] for row in _ANY.rows(connection)]


def shared_versions(connection: Connection) -> frozenset[str]:
    """Return the ids of the new versions of all canaries that run."""
    return frozenset(row[1] for row in _ANY.rows(connection))


def candidates(connection: Connection, *, limit: int) -> list[Candidate]:
    """Return versions with which a canary can begin: newer than every other published one of a process that has none.

    The latest first.
    """
    taken = select(col(WorkflowCanary.template)).where(col(WorkflowCanary.status) == _RUNNING)
    version = select(
        col(DefinitionVersion.id),
        col(DefinitionVersion.name),
        col(DefinitionVersion.version),
        col(DefinitionVersion.status),
        col(DefinitionVersion.created_at),
    ).where(col(DefinitionVersion.status) != "deprecated", col(DefinitionVersion.name).not_in(taken))
    number_of = cache(Version.parse)  # many processes have versions of the same numbers
    rows = connection.execute(version).all()
    newest: dict[str, list[Version]] = {}  # the two newest published ones of each process
    for row in rows:
        if row.status == "published":
            there = newest.setdefault(row.name, [])
            there.append(number_of(row.version))
            there.sort(reverse=True)
            del there[2:]
    found = []
    for row in rows:
        # A published one is the newest, and is compared with the one before.
        older = newest.get(row.name, [])[-1:] if row.status == "published" else newest.get(row.name, [])[:1]
        if older and older[0] < number_of(row.version):
            found.append((row.created_at, Candidate(row.id, row.name, row.version)))
    return [one for _, one in sorted(found, reverse=True)[:limit]]


def require_none(connection: Connection, template: str) -> None:
    """Raise Conflict where a process has a canary that runs: its versions stay as they are until it has ended."""
    if split_of(connection, template) is not None:
        raise Conflict(
            sentence(
                "A canary of {name!r} is running; promote or revert it first, then its versions can be changed.",
                name=template,
            )
        )


@of_rows
def add(session: Session, row: WorkflowCanary) -> WorkflowCanary:
    """Store a new canary; raises Conflict where its process has one that runs."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(
            sentence("A canary of {name!r} is running already; promote or revert it first.", name=row.template)
        ) from error
    return row


@of_rows
def get(session: Session, canary_id: str) -> WorkflowCanary:
    """Return one canary; raises NotFound."""
    return _known(session.get(WorkflowCanary, canary_id), canary_id)


@of_rows
def find(session: Session, canary_id: str) -> WorkflowCanary | None:
    """Return one canary, or None."""
    return session.get(WorkflowCanary, canary_id)


@of_rows
def end(session: Session, canary_id: str, values: Mapping[str, Any]) -> WorkflowCanary:
    """Write how a canary has ended; raises NotFound, and Conflict where it has ended before."""
    row = _known(session.get(WorkflowCanary, canary_id, with_for_update=True), canary_id)
    if row.status != _RUNNING:
        raise Conflict(sentence("This canary was {status} already; what was decided stands.", status=row.status))
    for name, value in values.items():
        setattr(row, name, value)
    return row


@of_rows
def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    equal: Mapping[str, str | None] | None = None,
    owners: frozenset[str] | None = None,
) -> cursors.Page[WorkflowCanary]:
    """List canaries, newest first; raises InputInvalid for a cursor that is none.

    `equal` says what columns have to be, by their names; `owners` whose processes are meant, None: everybody's.
    """
    at, ident = col(WorkflowCanary.began_at), col(WorkflowCanary.id)
    query = select(WorkflowCanary)
    for name, value in (equal or {}).items():
        if value is not None:
            query = query.where(col(getattr(WorkflowCanary, name)) == value)
    if owners is not None:
        query = query.where(col(WorkflowCanary.owner).in_(sorted(owners)))
    if cursor is not None:
        moment, last = cursors.read_moment(cursor)
        query = query.where((at < moment) | ((at == moment) & (ident < last)))
    rows = session.scalars(query.order_by(at.desc(), ident.desc()).limit(limit + 1)).all()
    return cursors.page(rows, limit, lambda row: (row.began_at, row.id))


def assign(connection: Connection, canary_id: str, request_id: str, arm: str, now: datetime) -> None:
    """Note that a request was given a version, and count it; what was noted first stands."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"canary_id": canary_id, "request_id": request_id, "arm": arm, "assigned_at": now}
    new = make(CanaryRequest).values(row).on_conflict_do_nothing().returning(col(CanaryRequest.request_id))
    if connection.execute(new).first() is not None:
        template = connection.scalar(select(col(WorkflowCanary.template)).where(col(WorkflowCanary.id) == canary_id))
        metrics.count(connection, metrics.increment(metrics.CANARY_REQUESTS, str(template), arm))


def count(connection: Connection, status: Literal["began", "promoted", "reverted", "harm"]) -> None:
    """Count a canary that began, or how one ended; call it last, as `metrics.count`."""
    metrics.count(connection, metrics.increment(_COUNT, status))


def to_measure(connection: Connection, canary_id: str, *, before: datetime, limit: int) -> list[ToMeasure]:
    """Return the requests that have ended, or began before that moment, and were not measured."""
    begun, ended = col(ApprovalRequest.started_at), col(ApprovalRequest.ended_at)
    query = (
        select(col(CanaryRequest.request_id), begun, ended, col(ApprovalRequest.outcome))
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(CanaryRequest.request_id))
        .where(
            col(CanaryRequest.canary_id) == canary_id,
            col(CanaryRequest.measured_at).is_(None),
            or_(ended.is_not(None), begun <= before),
        )
        .order_by(col(CanaryRequest.assigned_at), col(CanaryRequest.request_id))
        .limit(limit)
    )
    return [ToMeasure(*row) for row in connection.execute(query)]


def note_measured(connection: Connection, canary_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write what was measured of requests: their `request_id`, `measured_at` and measures."""
    for row in rows:
        values = dict(row)
        connection.execute(
            update(CanaryRequest)
            .where(
                col(CanaryRequest.canary_id) == canary_id,
                col(CanaryRequest.request_id) == values.pop("request_id"),
                col(CanaryRequest.measured_at).is_(None),
            )
            .values(values)
        )


def count_measured(connection: Connection, canary_id: str) -> int:
    """Count the requests of a canary that were measured."""
    query = select(func.count()).where(
        col(CanaryRequest.canary_id) == canary_id, col(CanaryRequest.measured_at).is_not(None)
    )
    return connection.execute(query).scalar_one()


def measured(connection: Connection, canary_id: str, *, began_before: datetime, limit: int) -> list[Measured]:
    """Return what was measured of a canary's requests in the order of their draw, as far as all before are measured.

    A request that was drawn before that moment and never began is passed over.
    """
    there = exists().where(col(ApprovalRequest.id) == col(CanaryRequest.request_id))
    query = (
        select(col(CanaryRequest.assigned_at), col(CanaryRequest.request_id))
        .where(
            col(CanaryRequest.canary_id) == canary_id,
            col(CanaryRequest.measured_at).is_(None),
            or_(col(CanaryRequest.assigned_at) >= began_before, there),
        )
        .order_by(col(CanaryRequest.assigned_at), col(CanaryRequest.request_id))
        .limit(1)
    )
    first = connection.execute(query).first()
    at, ident = col(CanaryRequest.assigned_at), col(CanaryRequest.request_id)
    wanted = select(
        col(CanaryRequest.arm),
        col(CanaryRequest.duration_seconds),
        col(CanaryRequest.outcome),
        col(CanaryRequest.sla),
        col(CanaryRequest.cost),
    ).where(col(CanaryRequest.canary_id) == canary_id, col(CanaryRequest.measured_at).is_not(None))
    if first is not None:
        wanted = wanted.where(or_(at < first[0], (at == first[0]) & (ident < first[1])))
    return [Measured(*row) for row in connection.execute(wanted.order_by(at, ident).limit(limit))]


def counts(connection: Connection, canary_ids: Sequence[str]) -> dict[str, Counter[str]]:
    """Count the requests of canaries by where they belong (`new`, `old`, `sample`), and those that are `measured`."""
    found: dict[str, Counter[str]] = {canary_id: Counter() for canary_id in canary_ids}
    query = (
        select(
            col(CanaryRequest.canary_id),
            col(CanaryRequest.arm),
            func.count(),
            func.count(col(CanaryRequest.measured_at)),
        )
        .where(col(CanaryRequest.canary_id).in_(canary_ids))
        .group_by(col(CanaryRequest.canary_id), col(CanaryRequest.arm))
    )
    for canary_id, arm, number, measured_ in connection.execute(query) if canary_ids else ():
        found[canary_id][arm] += number
        found[canary_id]["measured"] += measured_
    return found


def set_figures(connection: Connection, canary_id: str, figures: list[dict[str, Any]], now: datetime) -> None:
    """Write what was found when the versions of a canary that runs were compared."""
    connection.execute(
        update(WorkflowCanary)
        .where(col(WorkflowCanary.id) == canary_id, col(WorkflowCanary.status) == _RUNNING)
        .values(figures=figures, compared_at=now)
    )


def mail(
    connection: Connection,
    canary_id: str,
    event: str,
    people: Sequence[str],
    *,
    detail: Mapping[str, Any],
    now: datetime,
) -> None:
    """Tell people of a canary, once; it is about no request, so there is no entry that it would wait for."""
    rows = [
        {
            "key": f"canary:{canary_id}:{event}:{person}",
            "request_id": f"canary:{canary_id}",
            "seq": 0,
            "hash": "",
            "event": event,
            "person": person,
            "task_id": None,
            "detail": dict(detail),
            "status": "ready",
            "created_at": now,
            "next_attempt_at": now,
            "attempts": 0,
        }
        for person in people
    ]
    if not rows:
        return
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(make(Outbox).on_conflict_do_nothing(), rows)
    announce(connection, [READY])


def _known(row: WorkflowCanary | None, canary_id: str) -> WorkflowCanary:
    if row is None:
        raise NotFound(sentence("There is no canary {canary_id!r}.", canary_id=canary_id))
    return row
