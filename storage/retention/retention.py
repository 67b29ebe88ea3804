"""Retention: delete rows after a time, in batches, so that no other writer waits long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, literal, or_, select, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from storage.queries.notifications.webhooks import OVERLAP, PREFIX
from storage.tables.approvals import ApprovalRequest, IdempotentCall, Outbox, Refusal
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from storage.tables.event_logs import EventLog, EventLogPart
from storage.tables.identity import BrowserSession, LoginCode, PasskeyChallenge, RateCount, StepUp
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from storage.tables.reading import ReadingMark
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow

BATCH = 1000  # rows of one transaction
DRAFTS = 20  # of one transaction: each has up to a hundred contents
LARGE = 5  # simulations or event logs of one transaction: each has up to thousands of rows


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


def delete_old_messages(connection: Connection, before: datetime) -> int:
    """Delete one batch of messages that were sent, given up or dropped before a moment.

    Those of requests that go on stay: by them it is known how far history holds a request. So do those that an endpoint
    would be sent again, because it has not come further since.
    """
    message = NotificationMessage
    endpoint = literal(PREFIX).concat(col(WebhookEndpoint.id)) == col(message.channel)
    # An interval cannot be added to a column alike on both databases, so the moment before is what is compared.
    still = exists().where(endpoint, col(WebhookEndpoint.seen_at) < before + OVERLAP)
    old = (
        col(message.status).in_(("sent", "failed", "dropped")),
        col(message.finished_at) < before,
        ~_goes_on(col(message.request_id)),
        or_(~col(message.channel).startswith(PREFIX), ~still),
    )
    return _delete(connection, message, (col(message.key), col(message.channel)), *old)


def delete_old_notifications(connection: Connection, before: datetime) -> int:
    """Delete one batch of notifications from before a moment whose messages are gone; running requests keep theirs."""
    messages = exists().where(col(NotificationMessage.key) == col(Outbox.key))
    old = (
        col(Outbox.status).in_(("sent", "failed", "dropped")),
        col(Outbox.next_attempt_at) < before,
        col(Outbox.created_at) < before,
        ~_goes_on(col(Outbox.request_id)),
        ~messages,
    )
    return _delete(connection, Outbox, (col(Outbox.key),), *old)


def delete_old_simulations(connection: Connection, before: datetime) -> int:
    """Delete one batch of simulations, with their rows, that ended before a moment.

    The newest of a process stays: costs are computed by its prices.
    """
    simulation, newer = WorkflowSimulation, aliased(WorkflowSimulation)
    newest = ~exists().where(
        col(newer.template) == col(simulation.template), col(newer.created_at) > col(simulation.created_at)
    )
    old = (
        col(simulation.status) != "running",
        col(simulation.created_at) < before,
        col(simulation.finished_at) < before,
        or_(col(simulation.template).is_(None), ~newest),
    )
    return _delete_whole(connection, col(simulation.id), simulation, col(WorkflowSimulationRow.simulation_id), *old)


def delete_old_event_logs(connection: Connection, before: datetime) -> int:
    """Delete one batch of imported event logs, with their cases, that were read before a moment."""
    old = (
        col(EventLog.status) != "running",
        col(EventLog.created_at) < before,
        col(EventLog.finished_at) < before,
    )
    return _delete_whole(connection, col(EventLog.id), EventLog, col(EventLogPart.log_id), *old)


def _goes_on(request_id: Any) -> ColumnElement[bool]:
    return exists().where(col(ApprovalRequest.id) == request_id, col(ApprovalRequest.status) == "pending")


def _delete_whole(
    connection: Connection, key: Any, model: type[SQLModel], part_of: Any, *old: ColumnElement[bool]
) -> int:
    """Delete a few rows together with their parts; `part_of` is the column of the parts that names the row."""
    ids = connection.scalars(select(key).where(*old).limit(LARGE).with_for_update(skip_locked=True)).all()
    if ids:
        connection.execute(delete(part_of.class_).where(part_of.in_(ids)))
        connection.execute(delete(model).where(key.in_(ids)))
    return len(ids)


def _delete(connection: Connection, model: type[SQLModel], keys: tuple[Any, ...], *old: Any) -> int:
    batch = connection.execute(select(*keys).where(*old).limit(BATCH)).all()
    if batch:
        connection.execute(delete(model).where(tuple_(*keys).in_([tuple(row) for row in batch])))
    return len(batch)
