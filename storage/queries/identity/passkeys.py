"""Passkeys of people, and the challenges that they answer, each once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlmodel import col

from storage.tables.identity import Passkey, PasskeyChallenge


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPasskey:
    """A passkey; id and public key are base64url."""

    id: str
    person: str
    name: str
    public_key: str
    sign_count: int
    created_at: datetime
    last_used_at: datetime | None


def of_person(connection: Connection, person: str) -> list[StoredPasskey]:
    """Return the passkeys of a person, oldest first."""
    query = select(*Passkey.__table__.columns).where(col(Passkey.person) == person)  # type: ignore[attr-defined] # of SQLModel
    rows = connection.execute(query.order_by(col(Passkey.created_at), col(Passkey.id)))
    return [StoredPasskey(**row) for row in rows.mappings()]


def has_any(connection: Connection, person: str) -> bool:
    """Whether a person has a passkey."""
    query = select(func.count()).select_from(Passkey).where(col(Passkey.person) == person)
    return bool(connection.execute(query).scalar_one())


def add(connection: Connection, passkey: StoredPasskey) -> bool:
    """Store a passkey; False where its id is known already."""
    if connection.execute(select(col(Passkey.id)).where(col(Passkey.id) == passkey.id)).first() is not None:
        return False
    values = {name: getattr(passkey, name) for name in StoredPasskey.__slots__}
    connection.execute(insert(Passkey).values(**values))
    return True


def remove(connection: Connection, person: str, passkey_id: str) -> bool:
    """Delete a passkey of a person; False where they have none of this id."""
    mine = col(Passkey.person) == person, col(Passkey.id) == passkey_id
    return bool(connection.execute(delete(Passkey).where(*mine)).rowcount)


def note_use(connection: Connection, passkey: StoredPasskey, sign_count: int, now: datetime) -> bool:
    """Store the new counter of a passkey; False where it was used meanwhile, or is gone."""
    same = col(Passkey.id) == passkey.id, col(Passkey.sign_count) == passkey.sign_count
    changed = update(Passkey).where(*same).values(sign_count=sign_count, last_used_at=now)
    return bool(connection.execute(changed).rowcount)


def ask(connection: Connection, challenge: PasskeyChallenge) -> None:
    """Keep a challenge until it is answered or expires."""
    connection.execute(insert(PasskeyChallenge).values(**challenge.model_dump()))


def take(connection: Connection, challenge: str, *, person: str, purpose: str, now: datetime) -> bool:
    """Use a challenge up; False where it was never made for this, was used, or has expired."""
    mine = col(PasskeyChallenge.challenge) == challenge
    query = select(col(PasskeyChallenge.person), col(PasskeyChallenge.purpose), col(PasskeyChallenge.expires_at))
    row = connection.execute(query.where(mine)).first()
    used = connection.execute(delete(PasskeyChallenge).where(mine)).rowcount
    return row is not None and bool(used) and (row.person, row.purpose) == (person, purpose) and now < row.expires_at
