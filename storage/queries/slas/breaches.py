"""Breaches of SLAs: each is stored once, counted, and mailed in the transaction that stores it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, false, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.announcements.announce import READY, announce
from storage.queries import cursor as cursors
from storage.recording import metrics
from storage.tables.approvals import Outbox
from storage.tables.slas import SlaBreach

TOTAL = "workflow_sla_breach_total"
_PARTS = ("waiting", "acknowledged")  # of a list that begins with what waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What people are told of an execution: `key` is the same whenever the same is told."""

    key: str
    event: str
    request_id: str
    seq: int  # the entry with which the execution began, and its hash
    hash: str
    people: tuple[str, ...]
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which breaches are asked for; `owners` are the names under which whoever asks owns processes, None: all."""

    sla_id: str | None = None
    template: str | None = None
    severity: str | None = None
    acknowledged: bool | None = None
    owners: frozenset[str] | None = None


def page(
    connection: Connection, *, limit: int, cursor: str | None = None, chosen: Chosen | None = None
) -> cursors.Page[SlaBreach]:
    """List breaches, the latest first; raises InputInvalid for a cursor that is none."""
    at, ident = col(SlaBreach.breached_at), col(SlaBreach.id)
    query = select(_TABLE).where(*_conditions(chosen or Chosen())).order_by(at.desc(), ident.desc())
    if cursor is not None:
        query = query.where(cursors.after(at, ident, cursor))
    rows = [SlaBreach(**row) for row in connection.execute(query.limit(limit + 1)).mappings()]
    return cursors.page(rows, limit, lambda row: (row.breached_at, row.id))


def waiting_first(
    connection: Connection, *, limit: int, cursor: str | None = None, chosen: Chosen | None = None
) -> cursors.Page[SlaBreach]:
    """List breaches, those that nobody has acknowledged first; raises InputInvalid for a cursor that is none."""
    asked = chosen or Chosen()
    if asked.acknowledged is not None:
        return page(connection, limit=limit, cursor=cursor, chosen=asked)
    done, inner = False, None
    if cursor is not None:
        part, inner = cursors.read_names(cursor, 2)
        if part not in _PARTS:
            cursors.refuse()
        done, inner = part == "acknowledged", inner or None
    rows: list[SlaBreach] = []
    if not done:
        waiting = page(connection, limit=limit, cursor=inner, chosen=replace(asked, acknowledged=False))
        if waiting.next_cursor is not None:
            return cursors.Page(items=waiting.items, next_cursor=cursors.write("waiting", waiting.next_cursor))
        rows, inner = list(waiting.items), None
        if len(rows) == limit:
            return cursors.Page(items=waiting.items, next_cursor=cursors.write("acknowledged", ""))
    rest = page(connection, limit=limit - len(rows), cursor=inner, chosen=replace(asked, acknowledged=True))
    after = None if rest.next_cursor is None else cursors.write("acknowledged", rest.next_cursor)
    return cursors.Page(items=(*rows, *rest.items), next_cursor=after)


def count_waiting(connection: Connection, owners: Collection[str], *, most: int) -> int:
    """Count, up to `most`, the breaches of these owners that nobody has acknowledged."""
    some = (
        select(col(SlaBreach.id))
        .where(col(SlaBreach.owner).in_(sorted(owners)), col(SlaBreach.acknowledged_at).is_(None))
        .limit(most)
        .subquery()
    )
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def get(connection: Connection, breach_id: str) -> SlaBreach:
    """Return one breach; raises NotFound."""
    row = connection.execute(select(_TABLE).where(col(SlaBreach.id) == breach_id)).mappings().first()
    if row is None:
        raise NotFound(sentence("There is no breach {breach_id!r}", breach_id=breach_id))
    return SlaBreach(**row)


def of_requests(connection: Connection, sla_id: str, ids: Sequence[str]) -> list[SlaBreach]:
    """Return the breaches of an SLA by these requests."""
    query = select(_TABLE).where(col(SlaBreach.sla_id) == sla_id, col(SlaBreach.request_id).in_(ids))
    return [SlaBreach(**row) for row in connection.execute(query).mappings()]


def acknowledge(connection: Connection, breach_id: str, *, by: str, notes: str | None, now: datetime) -> SlaBreach:
    """Note who has acknowledged a breach; raises NotFound, and Conflict where somebody has."""
    changed = connection.execute(
        update(SlaBreach)
        .where(col(SlaBreach.id) == breach_id, col(SlaBreach.acknowledged_at).is_(None))
        .values(acknowledged_by=by, acknowledged_at=now, notes=notes, remind_at=None)
    )
    row = get(connection, breach_id)
    if not changed.rowcount:
        raise Conflict(sentence("This breach is acknowledged already, by {by}.", by=f"user:{row.acknowledged_by}"))
    drop_mails(connection, [breach_id])
    return row


def add(connection: Connection, rows: Sequence[SlaBreach]) -> list[SlaBreach]:
    """Store breaches, and return those that were not stored before; `count` them at the end."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = []
    for row in rows:
        statement = make(_TABLE).values(row.model_dump()).on_conflict_do_nothing().returning(_TABLE.c.id)
        if connection.execute(statement).first() is not None:
            fresh.append(row)
    return fresh


def remove(connection: Connection, rows: Sequence[SlaBreach]) -> list[SlaBreach]:
    """Take back breaches that the engine's history does not hold, and their mails; return those that were there."""
    if not rows:
        return []
    ids = [row.id for row in rows]
    drop_mails(connection, ids)
    gone = set(connection.scalars(delete(SlaBreach).where(col(SlaBreach.id).in_(ids)).returning(_TABLE.c.id)))
    return [row for row in rows if row.id in gone]


def set_actual(connection: Connection, breach_id: str, seconds: float) -> None:
    """Note how long an execution has taken in the end."""
    connection.execute(update(SlaBreach).where(col(SlaBreach.id) == breach_id).values(actual_duration_seconds=seconds))


def any_to_remind(connection: Connection, now: datetime) -> bool:
    """Whether a breach is to be mailed again: asked far more often than one is, and without a lock."""
    query = select(col(SlaBreach.id)).where(_due_again(now)).limit(1)
    return connection.execute(query).first() is not None


def _due_again(now: datetime) -> ColumnElement[bool]:
    return and_(col(SlaBreach.acknowledged_at).is_(None), col(SlaBreach.remind_at) <= now)


def to_remind(connection: Connection, now: datetime, *, limit: int) -> list[SlaBreach]:
    """Return breaches that nobody has acknowledged, and that are to be mailed again."""
    query = (
        select(_TABLE)
        .where(_due_again(now))
        .order_by(col(SlaBreach.remind_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [SlaBreach(**row) for row in connection.execute(query).mappings()]


def note_reminded(connection: Connection, breach_id: str, reminders: int, again: datetime | None) -> None:
    """Note how often a breach was mailed again, and when it is next."""
    connection.execute(
        update(SlaBreach).where(col(SlaBreach.id) == breach_id).values(reminders=reminders, remind_at=again)
    )


def mail(connection: Connection, letters: Iterable[Letter], now: datetime) -> None:
    """Put letters into the outbox; what was told before is not told again.

    They are ready at once: the entry with which an execution began has been in history for as long as its threshold.
    """
    rows = [
        {
            "key": f"{letter.key}:{person}",
            "request_id": letter.request_id,
            "seq": letter.seq,
            "hash": letter.hash,
            "event": letter.event,
            "person": person,
            "task_id": None,
            "detail": dict(letter.detail),
            "status": "ready",
            "created_at": now,
            "next_attempt_at": now,
            "attempts": 0,
        }
        for letter in letters
        for person in letter.people
    ]
    if not rows:
        return
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(make(Outbox).on_conflict_do_nothing(), rows)
    announce(connection, [READY])


def drop_mails(connection: Connection, ids: Iterable[str]) -> None:
    """Drop what has not been sent of these breaches: it is no longer needed."""
    for breach_id in ids:
        connection.execute(
            update(Outbox)
            .where(
                col(Outbox.key).startswith(f"{key_of(breach_id)}:", autoescape=True),
                col(Outbox.status).in_(("held", "ready")),
            )
            .values(status="dropped")
        )


def count(connection: Connection, added: Collection[SlaBreach], removed: Collection[SlaBreach]) -> None:
    """Count breaches that were added, and no longer those that were removed. Call it last, as metrics.count."""
    changes: metrics.Changes = Counter()
    for rows, by in ((added, 1), (removed, -1)):
        for row in rows:
            changes.update(metrics.increment(TOTAL, row.severity, by=by))
    metrics.count(connection, changes)


def key_of(breach_id: str) -> str:
    """Return the key of what is told of a breach."""
    return f"sla-breach:{breach_id}"


def counted(connection: Connection) -> dict[str, float]:
    """Return how many breaches the metric has counted, by severity, without those that were taken back."""
    return {labels[0]: value for labels, value in metrics.exact(connection, TOTAL).items()}


def totals(connection: Connection) -> dict[str, int]:
    """Count the breaches on record, by severity."""
    severity = col(SlaBreach.severity)
    query = select(severity, func.count()).group_by(severity)
    return {"warning": 0, "critical": 0} | {name: int(number) for name, number in connection.execute(query)}


def _conditions(chosen: Chosen) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (col(SlaBreach.sla_id), chosen.sla_id),
        (col(SlaBreach.template), chosen.template),
        (col(SlaBreach.severity), chosen.severity),
    ):
        if value is not None:
            found.append(column == value)
    if chosen.acknowledged is not None:
        at = col(SlaBreach.acknowledged_at)
        found.append(at.is_not(None) if chosen.acknowledged else at.is_(None))
    if chosen.owners is not None:
        found.append(col(SlaBreach.owner).in_(sorted(chosen.owners)) if chosen.owners else false())
    return found


_TABLE: Table = SlaBreach.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
