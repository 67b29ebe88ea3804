"""Retention: delete rows after a time, in batches, so that no other writer waits long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_, update
from sqlmodel import SQLModel, col

from storage.tables.approvals import IdempotentCall, Refusal
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from storage.tables.identity import BrowserSession, LoginCode, PasskeyChallenge, RateCount, StepUp
from storage.tables.reading import ReadingMark

BATCH = 1000  # rows of one transaction
DRAFTS = 20  # of one transaction: each has up to a hundred contents


def delete_old_calls(connection: Connection, before: datetime) -> int:
    """Delete one batch of answers to Idempotency-Keys from before a moment; return how many."""
    keys = (col(IdempotentCall.principal), col(IdempotentCall.key))
    return _delete(connection, IdempotentCall, keys, col(IdempotentCall.created_at) < before)


def delete_old_refusals(connection: Connection, before: datetime) -> int:
    """Delete one batch of refused calls from before a moment; return how many."""
    return _delete(connection, Refusal, (col(Refusal.id),), col(Refusal.at) < before)


def delete_ended_sessions(connection: Connection, before: datetime) -> int:
    """Delete one batch of browser sessions that ended before a moment; return how many."""
    return _delete(connection, BrowserSession, (col(BrowserSession.digest),), col(BrowserSession.expires_at) < before)


def delete_spent_codes(connection: Connection, before: datetime) -> int:
    """Delete one batch of one-time codes that ended before a moment; return how many."""
    return _delete(connection, LoginCode, (col(LoginCode.digest),), col(LoginCode.expires_at) < before)


def delete_ended_step_ups(connection: Connection, before: datetime) -> int:
    """Delete one batch of decisions whose time to be signed ended before a moment; return how many."""
    return _delete(connection, StepUp, (col(StepUp.id),), col(StepUp.expires_at) < before)


def delete_old_challenges(connection: Connection, before: datetime) -> int:
    """Delete one batch of challenges that nobody has answered before a moment; return how many."""
    keys = (col(PasskeyChallenge.challenge),)
    return _delete(connection, PasskeyChallenge, keys, col(PasskeyChallenge.expires_at) < before)


def delete_old_counts(connection: Connection, before: datetime) -> int:
    """Delete one batch of counters whose window ended before a moment; return how many."""
    return _delete(connection, RateCount, (col(RateCount.key),), col(RateCount.expires_at) < before)


def delete_old_marks(connection: Connection, before: datetime) -> int:
    """Delete one batch of marks of people who last looked before a moment; return how many."""
    keys = (col(ReadingMark.request_id), col(ReadingMark.person))
    return _delete(connection, ReadingMark, keys, col(ReadingMark.looked_at) < before)


def delete_abandoned_drafts(connection: Connection, before: datetime) -> int:
    """Delete one batch of drafts, with their acts, that were discarded, or open and not changed, before a moment.

    One that is submitted waits for somebody's answer and stays. Returns how many there were.
    """
    draft = col(BlueprintDraft.id)
    old = col(BlueprintDraft.status).in_(("open", "discarded")) & (col(BlueprintDraft.updated_at) < before)
    # Locked: nobody saves into a draft whose acts are gone.
    ids = connection.scalars(select(draft).where(old).limit(DRAFTS).with_for_update(skip_locked=True)).all()
    if ids:
        connection.execute(delete(BlueprintDraftRevision).where(col(BlueprintDraftRevision.draft_id).in_(ids)))
        connection.execute(delete(BlueprintDraft).where(draft.in_(ids)))
    return len(ids)


def empty_published_drafts(connection: Connection, before: datetime) -> int:
    """Delete one batch of what drafts held on the way to a version that was published before a moment.

    Who did what stays: it says who wrote the version, and who published it. Returns how many contents there were.
    """
    draft, number = col(BlueprintDraftRevision.draft_id), col(BlueprintDraftRevision.number)
    published = (col(BlueprintDraft.status) == "published") & (col(BlueprintDraft.updated_at) < before)
    query = (
        select(draft, number)
        .join(BlueprintDraft, col(BlueprintDraft.id) == draft)
        .where(published, col(BlueprintDraftRevision.content).is_not(None))
        .limit(BATCH)
    )
    batch = [tuple(row) for row in connection.execute(query)]
    if batch:
        emptied = update(BlueprintDraftRevision).where(tuple_(draft, number).in_(batch))
        connection.execute(emptied.values(content=None))
    return len(batch)


def _delete(connection: Connection, model: type[SQLModel], keys: tuple[Any, ...], old: Any) -> int:
    batch = connection.execute(select(*keys).where(old).limit(BATCH)).all()
    if batch:
        connection.execute(delete(model).where(tuple_(*keys).in_([tuple(row) for row in batch])))
    return len(batch)
