"""Write what others have signed of the log's checkpoints, and when each of them is asked again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.queries.log_attestations import attesters
from storage.tables.transparency_log import LogAttestation, LogAttester


def set_up(connection: Connection, names: Collection[tuple[str, str]], now: datetime) -> None:
    """Have exactly these attesters, by kind and name; those of before keep their state."""
    there = {(one.kind, one.name) for one in attesters(connection)}
    if gone := there - set(names):
        key = tuple_(col(LogAttester.kind), col(LogAttester.name))
        connection.execute(delete(LogAttester).where(key.in_(gone)))
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for kind, name in set(names) - there:
        values = {"kind": kind, "name": name, "checkpoint": 0, "failures": 0, "next_at": now}
        connection.execute(make(LogAttester).values(**values).on_conflict_do_nothing())


def claim(connection: Connection, state: LogAttester, until: datetime) -> bool:
    """Claim an attester as it was read, so that until a moment nobody else asks it; False where somebody else has."""
    as_read = and_(_is(state.kind, state.name), col(LogAttester.next_at) == state.next_at)
    return connection.execute(update(LogAttester).where(as_read).values(next_at=until)).rowcount == 1


def signed(connection: Connection, row: LogAttestation, next_at: datetime) -> None:
    """Store what an attester has signed of a checkpoint, once, and when it is asked again."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(make(LogAttestation).values(**row.model_dump()).on_conflict_do_nothing())
    fared = {
        "checkpoint": row.checkpoint,
        "signed_at": row.stored_at,
        "failures": 0,
        "failure": None,
        "next_at": next_at,
    }
    connection.execute(update(LogAttester).where(_is(row.kind, row.name)).values(**fared))


def failed(connection: Connection, kind: str, name: str, why: str, next_at: datetime) -> None:
    """Store why an attester has signed nothing, and when it is asked again."""
    fared = {"failures": col(LogAttester.failures) + 1, "failure": why, "next_at": next_at}
    connection.execute(update(LogAttester).where(_is(kind, name)).values(**fared))


def _is(kind: str, name: str) -> ColumnElement[bool]:
    return and_(col(LogAttester.kind) == kind, col(LogAttester.name) == name)
