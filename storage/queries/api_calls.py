"""Mutating calls of the API: the answers that belong to an Idempotency-Key, and the calls that were refused.

Of several calls with the same key, the first is carried out and all of them get its answer. A refused update leaves no
trace in the engine, so refusals are stored here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.tables.approvals import IdempotentCall, Refusal


def reserve(
    connection: Connection, *, principal: str, key: str, fingerprint: str, subject: str | None, now: datetime
) -> IdempotentCall:
    """Return the call that uses this key: this call, or an earlier one.

    The caller compares the fingerprints: a different one means that the key was used for another call. `status_code` is
    None until the answer is known. The caller goes on with the returned `subject`.
    """
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"principal": principal, "key": key, "fingerprint": fingerprint, "subject": subject, "created_at": now}
    connection.execute(make(IdempotentCall).values(row).on_conflict_do_nothing())
    kept = connection.execute(select(IdempotentCall).where(*_is(principal, key)))
    return IdempotentCall(**kept.mappings().one())


def complete(
    connection: Connection, *, principal: str, key: str, status_code: int, answer: dict[str, Any] | None
) -> None:
    """Store the answer, unless there is one."""
    call = update(IdempotentCall).where(*_is(principal, key), col(IdempotentCall.status_code).is_(None))
    connection.execute(call.values(status_code=status_code, answer=answer))


def release(connection: Connection, *, principal: str, key: str) -> None:
    """Release a key whose call was refused before it had an effect. A key with an answer stays."""
    connection.execute(delete(IdempotentCall).where(*_is(principal, key), col(IdempotentCall.status_code).is_(None)))


def _is(principal: str, key: str) -> tuple[Any, Any]:
    return col(IdempotentCall.principal) == principal, col(IdempotentCall.key) == key


def add_refusal(connection: Connection, refusal: Refusal) -> None:
    """Store one refusal."""
    connection.execute(insert(Refusal).values(**refusal.model_dump(exclude={"id"})))


@of_rows
def refusals_of(session: Session, request_id: str) -> list[Refusal]:
    """List the refused calls about a request, oldest first."""
    query = select(Refusal).where(col(Refusal.request_id) == request_id)
    return list(session.scalars(query.order_by(col(Refusal.at), col(Refusal.id))))
