"""The population of a process and a period, in batches, and the chains of its requests and of their deliveries."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select
from sqlmodel import col

from placet.audit.chain import Entry
from placet.audit.evidence import DECISIONS
from storage.queries.ordering import hidden
from storage.tables.approvals import ApprovalRequest, AuditEntry, Delivery

BATCH = 200  # requests that are held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRow:
    """A request of the population; `decided` counts its decisions in the period.

    `owner` is a person's id, or a role or group with its kind, such as `role:cfo`.
    """

    id: str
    version: str
    status: str
    outcome: str | None
    requester: str
    owner: str | None
    started_at: datetime
    ended_at: datetime | None
    seq: int
    head: str
    erased_at: datetime | None
    decided: int


def population(
    connection: Connection, process: str, since: datetime, until: datetime
) -> Iterator[Sequence[PopulationRow]]:
    """Yield the requests of a process that ended, or were decided in, from `since` until before `until`, by their ids.

    They come in batches, so that no more than one is held.
    """
    # The index of kinds and moments finds the decisions of all requests, once for each request.
    kind, at = hidden(col(AuditEntry.kind)), hidden(col(AuditEntry.at))
    decision = and_(
        col(AuditEntry.request_id) == col(ApprovalRequest.id), kind.in_(sorted(DECISIONS)), at >= since, at < until
    )
    decided = select(func.count()).where(decision).correlate(ApprovalRequest).scalar_subquery()
    ended = and_(col(ApprovalRequest.ended_at) >= since, col(ApprovalRequest.ended_at) < until)
    fields = [getattr(ApprovalRequest, name) for name in PopulationRow.__slots__ if name != "decided"]
    query = (
        select(*fields, decided.label("decided"))
        .where(col(ApprovalRequest.template) == process)
        .where(or_(ended, select(1).where(decision).correlate(ApprovalRequest).exists()))
        .order_by(col(ApprovalRequest.id))
        .limit(BATCH)
    )
    after = ""
    while True:
        rows = connection.execute(query.where(col(ApprovalRequest.id) > after)).all()
        if rows:
            yield [PopulationRow(**row._asdict()) for row in rows]
        if len(rows) < BATCH:
            return
        after = rows[-1].id


def entries_of_kinds(
    connection: Connection, requests: Collection[str], kinds: Collection[str]
) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of these kinds with the id of their request, by request and in the order of its chain."""
    query = (
        select(AuditEntry.__table__)  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
        .where(col(AuditEntry.request_id).in_(sorted(requests)), hidden(col(AuditEntry.kind)).in_(sorted(kinds)))
        .order_by(col(AuditEntry.request_id), col(AuditEntry.seq))
    )
    for row in connection.execute(query):
        yield row.request_id, _entry(row)


def chain_of(connection: Connection, request_id: str) -> list[Entry]:
    """Return a request's chain as it is stored, without the words of reasons and with the salts."""
    query = (
        select(AuditEntry.__table__)  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
        .where(col(AuditEntry.request_id) == request_id)
        .order_by(col(AuditEntry.seq))
    )
    return [_entry(row) for row in connection.execute(query)]


def deliveries(connection: Connection, request_id: str) -> list[Entry]:
    """Return the chain of a request's deliveries as it is stored; all of them are the system's."""
    query = (
        select(Delivery.__table__)  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
        .where(col(Delivery.request_id) == request_id)
        .order_by(col(Delivery.seq))
    )
    return [_entry(row, actor="system") for row in connection.execute(query)]


def _entry(row: Any, *, actor: str | None = None) -> Entry:
    """Read a row; what was edited into nonsense is kept as text, and does not verify."""
    return Entry(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        actor=row.actor if actor is None else actor,
        stage=row.stage,
        task_id=row.task_id,
        detail=_object(row.detail),
        hash=row.hash,
        salts=_object(row.salts or "{}"),
    )


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"unreadable": text}
    return found if isinstance(found, dict) else {"unreadable": text}
