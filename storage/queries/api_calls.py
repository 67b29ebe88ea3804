"""Mutating calls of the API: the answers that belong to an Idempotency-Key, and the calls that were refused.

Of several calls with the same key, the first is carried out and all of them get its answer. A refused update leaves no
trace in the engine, so refusals are stored here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from storage.tables.approvals import IdempotentCall, Refusal


def reserve(
    connection: Connection, *, principal: str, key: str, fingerprint: str, subject: str | None, now: datetime
) -> IdempotentCall:
    """Return the call that this key stands for: this one from now on, or the one that came before.

    The caller compares fingerprints: another one means that the key was used for something else. `status_code` is None
    until the answer is known; the `subject` that was chosen first is the one to go on with.
    """
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"principal": principal, "key": key, "fingerprint": fingerprint, "subject": subject, "created_at": now}
    connection.execute(make(IdempotentCall).values(row).on_conflict_do_nothing())
    kept = connection.execute(select(IdempotentCall).where(*_is(principal, key)))
    return IdempotentCall(**kept.mappings().one())


def complete(
    connection: Connection, *, principal: str, key: str, status_code: int, answer: dict[str, Any] | None
) -> None:
    """Keep the answer; the first one stands."""
    call = update(IdempotentCall).where(*_is(principal, key), col(IdempotentCall.status_code).is_(None))
    connection.execute(call.values(status_code=status_code, answer=answer))


def release(connection: Connection, *, principal: str, key: str) -> None:
    """Free a key whose call was refused before anything happened; an answered one stays."""
    connection.execute(delete(IdempotentCall).where(*_is(principal, key), col(IdempotentCall.status_code).is_(None)))


def _is(principal: str, key: str) -> tuple[Any, Any]:
    return col(IdempotentCall.principal) == principal, col(IdempotentCall.key) == key


def add_refusal(connection: Connection, refusal: Refusal) -> None:
    """Store one refusal."""
    connection.execute(insert(Refusal).values(**refusal.model_dump(exclude={"id"})))


async def refusals_of(session: AsyncSession, request_id: str) -> list[Refusal]:
    """List what was refused on a request, oldest first."""
    query = select(Refusal).where(col(Refusal.request_id) == request_id)
    return list(await session.scalars(query.order_by(col(Refusal.at), col(Refusal.id))))
