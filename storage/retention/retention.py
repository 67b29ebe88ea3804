"""Retention: what is kept for a time and then deleted, in batches, so that nobody waits long for the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_
from sqlmodel import SQLModel, col

from storage.tables.approvals import IdempotentCall, Refusal

BATCH = 1000  # rows of one transaction


def delete_old_calls(connection: Connection, before: datetime) -> int:
    """Delete answers to Idempotency-Keys that were given before a moment, one batch; return how many they were."""
    keys = (col(IdempotentCall.principal), col(IdempotentCall.key))
    return _delete(connection, IdempotentCall, keys, col(IdempotentCall.created_at) < before)


def delete_old_refusals(connection: Connection, before: datetime) -> int:
    """Delete refusals of calls from before a moment, one batch; return how many they were."""
    return _delete(connection, Refusal, (col(Refusal.id),), col(Refusal.at) < before)


def _delete(connection: Connection, model: type[SQLModel], keys: tuple[Any, ...], old: Any) -> int:
    batch = connection.execute(select(*keys).where(old).limit(BATCH)).all()
    if batch:
        connection.execute(delete(model).where(tuple_(*keys).in_([tuple(row) for row in batch])))
    return len(batch)
