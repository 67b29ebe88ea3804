"""Erasures of people: begun in one transaction, carried on in batches, and what of each waits and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from placet.errors import Conflict
from storage.retention.erasure import erase_content
from storage.retention.person_rows import ids_of, names
from storage.retention.person_texts import erase_texts, waits_for
from storage.tables.approvals import ApprovalRequest, AuditEntry, Participant
from storage.tables.erasures import OWN, REHEARSAL, TAKEN_PART, PersonErasure, PersonErasureItem
from storage.tables.simulations import WorkflowSimulation

BATCH: Final = 20  # requests of one transaction: the chains of each are verified before
LISTED: Final = 500  # items that are written together
AGAIN: Final = timedelta(minutes=50)
"""After how long a request is tried again that still ran, or whose content could not be erased: the next hourly run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What of an erasure waits: a request by its id, or a rehearsal; `reason` None where its request still runs."""

    name: str
    kind: str
    in_database: bool
    reason: str | None


def listed(connection: Connection) -> list[PersonErasure]:
    """Return all erasures, oldest first."""
    query = select(PersonErasure.__table__)  # type: ignore[attr-defined]  # SQLModel adds it with table=True
    rows = connection.execute(query.order_by(col(PersonErasure.erased_at), col(PersonErasure.person)))
    return [PersonErasure(**row) for row in rows.mappings()]


def incomplete(connection: Connection) -> list[str]:
    """Return the people of whom something is still to be erased, oldest first."""
    query = select(col(PersonErasure.person)).where(col(PersonErasure.completed_at).is_(None))
    return list(connection.scalars(query.order_by(col(PersonErasure.erased_at), col(PersonErasure.person))))


def put(connection: Connection, erasure: PersonErasure) -> None:
    """Store an erasure that begins."""
    connection.execute(insert(PersonErasure).values(**erasure.model_dump()))


def running_requests(connection: Connection, person: str, *, most: int) -> tuple[list[str], int]:
    """Return the requests of a person that have not ended or whose action can be claimed: the first, and how many."""
    mine = (
        col(ApprovalRequest.requester) == person,
        or_(col(ApprovalRequest.status) == "pending", col(ApprovalRequest.claim_status) == "open"),
    )
    ids = select(col(ApprovalRequest.id)).where(*mine).order_by(col(ApprovalRequest.started_at)).limit(most)
    number = connection.execute(select(func.count()).select_from(ApprovalRequest).where(*mine)).scalar_one()
    return list(connection.scalars(ids)), number


def items_of(connection: Connection, person: str) -> list[tuple[str, str]]:
    """Return what is to be looked at of a person, as (name, kind): it reads all audit entries through once."""
    own = select(col(ApprovalRequest.id)).where(col(ApprovalRequest.requester) == person)
    found = dict.fromkeys(connection.scalars(own), OWN)
    entries = select(col(AuditEntry.request_id)).where(
        or_(col(AuditEntry.actor).in_(ids_of(person)), names(col(AuditEntry.detail), person))
    )
    taken_part = select(col(Participant.request_id)).where(col(Participant.person) == person)
    for query in (taken_part, entries.distinct()):
        for request_id in connection.scalars(query):
            found.setdefault(request_id, TAKEN_PART)
    rehearsed = select(col(WorkflowSimulation.id)).where(
        col(WorkflowSimulation.created_by) == person, col(WorkflowSimulation.mode) == "rehearse"
    )
    found |= {f"rehearsal-{one}": REHEARSAL for one in connection.scalars(rehearsed)}
    return sorted(found.items())


def add_items(connection: Connection, person: str, items: Sequence[tuple[str, str]], now: datetime) -> None:
    """Add what is to be erased; what is there already stays as it is. Of rehearsals, the engine alone holds it."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    rows = [
        {"person": person, "name": name, "kind": kind, "rows_at": now if kind == REHEARSAL else None}
        for name, kind in items
    ]
    if rows:
        connection.execute(make(PersonErasureItem).on_conflict_do_nothing(), rows)


def all_listed(connection: Connection, person: str, now: datetime) -> None:
    """Note that all items of a person are there."""
    connection.execute(update(PersonErasure).where(col(PersonErasure.person) == person).values(listed_at=now))


def changed(connection: Connection, person: str, now: datetime) -> None:
    """Note that something was erased, whose bytes a database may still hold."""
    connection.execute(update(PersonErasure).where(col(PersonErasure.person) == person).values(changed_at=now))


def erase_requests(connection: Connection, person: str, now: datetime) -> int:
    """Erase contents of one batch of requests; return how many were looked at, 0 where none is due.

    One that goes on, or that cannot be erased, is noted with the reason, and looked at again by the next hourly run.
    """
    item = PersonErasureItem
    due = (
        select(col(item.name), col(item.kind))
        .where(
            col(item.person) == person,
            col(item.rows_at).is_(None),
            or_(col(item.tried_at).is_(None), col(item.tried_at) <= now - AGAIN),
        )
        .order_by(col(item.name))
        .limit(BATCH)
    )
    batch = [(row.name, row.kind) for row in connection.execute(due)]
    for name, kind in batch:
        this = (col(item.person) == person, col(item.name) == name)
        if waits_for(connection, name):
            connection.execute(update(item).where(*this).values(tried_at=now, reason=None))
            continue
        try:
            family = _erase(connection, name, kind, person, now)
        except Conflict as error:
            connection.execute(update(item).where(*this).values(tried_at=now, reason=str(error.message)))
        else:
            add_items(connection, person, [(one, kind) for one in family], now)
            done = update(item).where(col(item.person) == person, col(item.name).in_(family))
            connection.execute(done.values(rows_at=now, reason=None))
    if batch:
        changed(connection, person, now)
    return len(batch)


def _erase(connection: Connection, request_id: str, kind: str, person: str, now: datetime) -> list[str]:
    if kind == OWN:
        erase_content(connection, request_id, now)
        return [request_id]
    return erase_texts(connection, request_id, person, now)


def try_again(connection: Connection, person: str) -> None:
    """Have everything of a person looked at again at once."""
    connection.execute(update(PersonErasureItem).where(col(PersonErasureItem.person) == person).values(tried_at=None))


def in_engine(connection: Connection, person: str, *, after: str, most: int) -> list[tuple[str, str]]:
    """Return items behind a name whose rows are erased and whose histories may be in the engine, as (name, kind)."""
    item = PersonErasureItem
    mine = (col(item.person) == person, col(item.rows_at).is_not(None), col(item.name) > after)
    query = select(col(item.name), col(item.kind)).where(*mine)
    return [(row.name, row.kind) for row in connection.execute(query.order_by(col(item.name)).limit(most))]


def item_done(connection: Connection, person: str, name: str, now: datetime) -> None:
    """Note that nothing is left of an item."""
    item = PersonErasureItem
    connection.execute(delete(item).where(col(item.person) == person, col(item.name) == name))
    changed(connection, person, now)


def waiting(connection: Connection, person: str, *, most: int) -> tuple[list[Waiting], int]:
    """Return the first items that are left of a person, those that cannot be erased first, and how many there are."""
    item = PersonErasureItem
    mine = col(item.person) == person
    number = connection.execute(select(func.count()).select_from(item).where(mine)).scalar_one()
    first = case((col(item.reason).is_not(None), 0), else_=1)
    query = select(col(item.name), col(item.kind), col(item.rows_at), col(item.reason)).where(mine)
    rows = connection.execute(query.order_by(first, col(item.name)).limit(most))
    return [
        Waiting(name=row.name, kind=row.kind, in_database=row.rows_at is None, reason=row.reason) for row in rows
    ], number


def compacted(connection: Connection, began: datetime) -> None:
    """Note that what was erased before a moment is in no freed page any more."""
    connection.execute(update(PersonErasure).where(col(PersonErasure.changed_at) <= began).values(compacted_at=began))


def complete(connection: Connection, person: str, now: datetime) -> bool:
    """Note that nothing is left of a person, where that is so; return whether it is."""
    left = select(col(PersonErasureItem.name)).where(col(PersonErasureItem.person) == person).limit(1)
    if connection.execute(left).first() is not None:
        return False
    mine = (
        col(PersonErasure.person) == person,
        col(PersonErasure.listed_at).is_not(None),
        col(PersonErasure.compacted_at) >= col(PersonErasure.changed_at),
    )
    done = connection.execute(update(PersonErasure).where(*mine).values(completed_at=now, mail_digest=None))
    return bool(done.rowcount)


def requests_of(connection: Connection, person: str) -> list[str]:
    """Return the requests that a person asked for or had a task in, and those of which something is left."""
    own = select(col(ApprovalRequest.id)).where(col(ApprovalRequest.requester) == person)
    taken_part = select(col(Participant.request_id)).where(col(Participant.person) == person)
    left = select(col(PersonErasureItem.name)).where(col(PersonErasureItem.person) == person)
    return sorted({name for query in (own, taken_part, left) for name in connection.scalars(query)})
