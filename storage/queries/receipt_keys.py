"""The public keys that receipts were signed with; none is ever forgotten, so that old receipts can be verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.prepared import Prepared
from storage.tables.receipts import ReceiptKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key of 32 bytes, its id, since when it is in use, and the how many-th of its secret it is."""

    id: str
    key: bytes
    since: datetime
    generation: int = 1


_GENERATION = Prepared(select(func.max(col(ReceiptKey.generation)).label("generation")))
_KNOWN = Prepared(select(col(ReceiptKey.id)).where(col(ReceiptKey.id) == bindparam("id")))


def generation(connection: Connection) -> int:
    """Return the generation of the key that signs now."""
    found: int | None = _GENERATION.scalar(connection)
    return found or 1


def is_kept(connection: Connection, key_id: str) -> bool:
    """Say whether a key is kept already."""
    return _KNOWN.first(connection, id=key_id) is not None


def keep(connection: Connection, key: PublicKey) -> None:
    """Keep a key; one that is kept already stays as it is."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insert = make(ReceiptKey).values(id=key.id, public_key=key.key.hex(), since=key.since, generation=key.generation)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["id"]))


def listed(connection: Connection) -> list[PublicKey]:
    """Return every key, oldest first."""
    rows = connection.execute(
        select(
            col(ReceiptKey.id), col(ReceiptKey.public_key), col(ReceiptKey.since), col(ReceiptKey.generation)
        ).order_by(col(ReceiptKey.since), col(ReceiptKey.id))
    )
    return [
        PublicKey(id=row.id, key=bytes.fromhex(row.public_key), since=row.since, generation=row.generation)
        for row in rows
    ]
