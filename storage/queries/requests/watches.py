"""Watches: which requests people watch, and whom of them to tell of an end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.prepared import Prepared, among
from storage.queries.requests import deciders
from storage.queries.requests.visibility import Visibility, visible_now
from storage.tables.approvals import ApprovalRequest, StoredPerson
from storage.tables.reading import Watch

_SEE_ALL = {"admin", "auditor"}
_SINCE = Prepared(
    lambda _: select(col(Watch.since)).where(
        col(Watch.person) == bindparam("person"), col(Watch.request_id) == bindparam("request_id")
    )
)
_WATCHERS = Prepared(
    lambda dialect: (
        select(col(Watch.request_id), col(Watch.person), col(StoredPerson.access))
        .join(StoredPerson, col(StoredPerson.id) == col(Watch.person))
        .where(among(dialect, col(Watch.request_id), "ids"), col(StoredPerson.active))
        .order_by(col(Watch.request_id), col(Watch.person))
    )
)


def since(connection: Connection, person: str, request_id: str) -> datetime | None:
    """Return since when somebody watches a request; None where they do not."""
    found: datetime | None = _SINCE.scalar(connection, person=person, request_id=request_id)
    return found


def watch(connection: Connection, person: str, request_id: str, now: datetime) -> datetime:
    """Note that somebody watches a request, and return since when; who watches it already keeps on."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = make(Watch).values(person=person, request_id=request_id, since=now)
    connection.execute(row.on_conflict_do_nothing())
    return since(connection, person, request_id) or now


def unwatch(connection: Connection, person: str, request_id: str) -> None:
    """Forget that somebody watches a request."""
    connection.execute(delete(Watch).where(col(Watch.person) == person, col(Watch.request_id) == request_id))


def templates_watched(connection: Connection, person: str, viewer: Visibility | None) -> tuple[str, ...]:
    """Return the processes of the requests that somebody watches and may see now; `viewer` None sees all."""
    query = (
        select(col(ApprovalRequest.template))
        .join(Watch, col(Watch.request_id) == col(ApprovalRequest.id))
        .where(col(Watch.person) == person)
    )
    if viewer is not None:
        query = query.where(visible_now(viewer))
    return tuple(sorted(connection.scalars(query.distinct())))


def watchers_of_ended(connection: Connection, ids: Collection[str], now: datetime) -> dict[str, list[str]]:
    """Return who is told that these requests end in this transaction: who watches one and still sees it afterwards.

    Nobody stands in for anybody once a request has ended, so what substitutes see does not count.
    """
    found: dict[str, list[str]] = {}
    for request_id, person, access in _WATCHERS.rows(connection, ids=sorted(ids)):
        if not _SEE_ALL & {*access}:
            viewer = replace(deciders.visibility_of(connection, person, now), absent=(), delegated=())
            seen = select(col(ApprovalRequest.id)).where(col(ApprovalRequest.id) == request_id, visible_now(viewer))
            if connection.execute(seen).first() is None:
                continue
        found.setdefault(request_id, []).append(person)
    return found
