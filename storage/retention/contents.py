"""Erase the contents of requests that ended long enough ago, batch by batch, and keep count of what could not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from placet.errors import Conflict
from storage.retention.erasure import erase_content
from storage.tables.approvals import ApprovalRequest, DefinitionVersion
from storage.tables.retention import ErasedFile, KeptContent

BATCH = 50  # requests of one transaction: the chains of each are verified before
FILES = 100  # that are deleted one after the other
AGAIN = timedelta(days=7)
"""After how long a request is tried again whose content could not be erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedContents:
    """What became of a batch: whose content is erased, and whose could not be."""

    erased: int
    kept: int


def processes(connection: Connection) -> Sequence[str]:
    """Return the names of all processes that there are versions of."""
    return connection.scalars(select(col(DefinitionVersion.name)).distinct()).all()


def erase_due(connection: Connection, template: str, before: datetime, now: datetime) -> ErasedContents:
    """Erase one batch of contents of a process's requests that ended before a moment.

    Those whose action can still be claimed wait. One that cannot be erased is noted with the reason, and left out for
    a week.
    """
    request_id = col(ApprovalRequest.id)
    tried = exists().where(col(KeptContent.request_id) == request_id, col(KeptContent.tried_at) > now - AGAIN)
    due = (
        select(request_id)
        .where(*_due(template, before), ~tried)
        .order_by(col(ApprovalRequest.ended_at), request_id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    erased = kept = 0
    for found in connection.scalars(due).all():
        try:
            erase_content(connection, found, now)
        except Conflict as error:
            _note_kept(connection, found, template, str(error.message), now)
            kept += 1
        else:
            erased += 1
            connection.execute(delete(KeptContent).where(col(KeptContent.request_id) == found))
    return ErasedContents(erased=erased, kept=kept)


def count_due(connection: Connection, template: str, before: datetime) -> int:
    """Return how many requests of a process that ended before a moment still have their content."""
    return connection.execute(
        select(func.count()).select_from(ApprovalRequest).where(*_due(template, before))
    ).scalar_one()


def _due(template: str, before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ApprovalRequest.template) == template,
        col(ApprovalRequest.ended_at).is_not(None),
        col(ApprovalRequest.ended_at) < before,
        col(ApprovalRequest.erased_at).is_(None),
        col(ApprovalRequest.claim_status).is_distinct_from("open"),
    )


def _note_kept(connection: Connection, request_id: str, template: str, reason: str, now: datetime) -> None:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"template": template, "reason": reason, "tried_at": now}
    noted = make(KeptContent).values(request_id=request_id, **values)
    connection.execute(noted.on_conflict_do_update(index_elements=["request_id"], set_=values))


def files_to_delete(connection: Connection) -> list[tuple[str, str]]:
    """Return files of erased requests that are still in the store, as (request, SHA-256), some of them."""
    query = select(col(ErasedFile.request_id), col(ErasedFile.sha256)).order_by(col(ErasedFile.erased_at)).limit(FILES)
    return [(row.request_id, row.sha256) for row in connection.execute(query)]


def file_deleted(connection: Connection, request_id: str, sha256: str) -> None:
    """Note that a file is gone."""
    gone = delete(ErasedFile).where(col(ErasedFile.request_id) == request_id, col(ErasedFile.sha256) == sha256)
    connection.execute(gone)
