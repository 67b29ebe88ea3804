"""Mutating calls of the API: the answers that belong to an Idempotency-Key, and the calls that were refused.

Of several calls with the same key, the first is carried out and all of them get its answer. A refused update leaves no
trace in the engine, so refusals are stored here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.prepared import Prepared
from storage.tables.approvals import IdempotentCall, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call that uses a key; `subject` is the id of what it creates."""

    principal: str
    key: str
    fingerprint: str
    subject: str | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The answer of a call with a key."""

    principal: str
    key: str
    status_code: int
    answer: dict[str, Any] | None


def reserve_all(
    connection: Connection, reservations: Sequence[Reservation], _now: datetime | None = None
) -> list[IdempotentCall]:
    """Do what `reserve` does for calls with different keys; for `storage.recording.group_commit`."""
    found = {
        (one.principal, one.key): reserve(
            connection,
            principal=one.principal,
            key=one.key,
            fingerprint=one.fingerprint,
            subject=one.subject,
            now=one.now,
        )
        for one in sorted(reservations, key=key_of)  # everyone locks in the same order
    }
    return [found[key_of(one)] for one in reservations]


def complete_all(connection: Connection, completions: Sequence[Completion], _now: datetime | None = None) -> list[None]:
    """Store the answers of calls with different keys, unless there are some; for `storage.recording.group_commit`."""
    _COMPLETE.run_all(
        connection,
        [
            {"of_principal": one.principal, "of_key": one.key, "status": one.status_code, "given": one.answer}
            for one in sorted(completions, key=key_of)
        ],
    )
    return [None] * len(completions)


def key_of(call: Reservation | Completion) -> tuple[str, str]:
    """Return whose key it is, and the key."""
    return call.principal, call.key


def reserve(
    connection: Connection, *, principal: str, key: str, fingerprint: str, subject: str | None, now: datetime
) -> IdempotentCall:
    """Return the call that uses this key: this call, or an earlier one.

    The caller compares the fingerprints: a different one means that the key was used for another call. `status_code` is
    None until the answer is known. The caller goes on with the returned `subject`.
    """
    row: dict[str, Any] = {
        "principal": principal,
        "key": key,
        "fingerprint": fingerprint,
        "subject": subject,
        "created_at": now,
    }
    if not _RESERVE.run(connection, **row):  # an earlier one has it
        row = _KEPT.rows(connection, of_principal=principal, of_key=key)[0]._asdict()
    return IdempotentCall(**row)


def release(connection: Connection, *, principal: str, key: str) -> None:
    """Release a key whose call was refused before it had an effect. A key with an answer stays."""
    _RELEASE.run(connection, of_principal=principal, of_key=key)


def add_refusal(connection: Connection, refusal: Refusal) -> None:
    """Store one refusal."""
    connection.execute(insert(Refusal).values(**refusal.model_dump(exclude={"id"})))


@of_rows
def refusals_of(session: Session, request_id: str) -> list[Refusal]:
    """List the refused calls about a request, oldest first."""
    query = select(Refusal).where(col(Refusal.request_id) == request_id)
    return list(session.scalars(query.order_by(col(Refusal.at), col(Refusal.id))))


def _reserving(dialect: str) -> Executable:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return make(IdempotentCall).on_conflict_do_nothing()


_CALLS: Table = IdempotentCall.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
_IT = (_CALLS.c.principal == bindparam("of_principal"), _CALLS.c.key == bindparam("of_key"))
_UNANSWERED = (*_IT, _CALLS.c.status_code.is_(None))
_RESERVE = Prepared(_reserving)
_KEPT = Prepared(select(_CALLS).where(*_IT))
_COMPLETE = Prepared(
    update(_CALLS).where(*_UNANSWERED).values(status_code=bindparam("status"), answer=bindparam("given"))
)
_RELEASE = Prepared(delete(_CALLS).where(*_UNANSWERED))
