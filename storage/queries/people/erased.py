"""Who was erased: such an id is not used again, because audit chains go on saying what it did."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select
from sqlmodel import col

from placet.errors import Conflict
from placet.sentences import sentence
from storage.tables.erasures import PersonErasure

_AT_ONCE: Final = 500  # ids of one query
_ROWS: Final = select(PersonErasure.__table__)  # type: ignore[attr-defined]  # SQLModel adds it with table=True


def find(connection: Connection, person: str) -> PersonErasure | None:
    """Return the erasure of a person; None where they were not erased."""
    row = connection.execute(_ROWS.where(col(PersonErasure.person) == person)).mappings().one_or_none()
    return None if row is None else PersonErasure(**row)


def among(connection: Connection, people: Iterable[str]) -> set[str]:
    """Return which of these people were erased."""
    wanted = sorted(set(people))
    found: set[str] = set()
    for first in range(0, len(wanted), _AT_ONCE):
        some = col(PersonErasure.person).in_(wanted[first : first + _AT_ONCE])
        found |= set(connection.scalars(select(col(PersonErasure.person)).where(some)))
    return found


def require_not_erased(connection: Connection, person: str) -> None:
    """Raise Conflict where a person of this id was erased: chains would say of somebody new what they did."""
    erasure = find(connection, person)
    if erasure is not None:
        raise Conflict(was_erased(person, erasure.erased_at))


def was_erased(person: str, at: datetime) -> str:
    """Return the sentence that says so."""
    return sentence(
        "The person {person!r} was erased on {day}, and audit chains go on naming them; choose another id.",
        person=person,
        day=at.date().isoformat(),
    )
