"""Erase the content of a request: its input, title and texts. Its audit chains stay valid.

The chains hold commitments (placet.audit.sealed), so that values and salts can be deleted. Who did what and when stays,
by ids and codes. The engine's history has its own retention, and mails that were sent are with their receivers. The
request's files are listed to be deleted, for the store of files knows no transactions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, tuple_, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.chain import canonical_json
from placet.audit.sealed import committed, erased
from placet.errors import Conflict, NotFound
from storage.database import of_rows
from storage.queries.requests import titles
from storage.queries.requests.attachments import attachments_of
from storage.recording.verify import verify_rows
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, AuditSuperseded, Delivery, Outbox
from storage.tables.identity import StepUp
from storage.tables.notifications import NotificationMessage
from storage.tables.reading import ReadingMark
from storage.tables.request_drafts import DraftFile
from storage.tables.retention import ErasedFile
from storage.tables.slas import SlaBreach

TITLE = "(erased)"  # in the place of a request's own
UNSENT = ("held", "ready")  # what notifications are that would still be sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased: how many values, in how many rows of the audit chains."""

    rows: int
    values: int


@of_rows
def erase_content(session: Session, request_id: str, now: datetime) -> Erased:
    """Erase the content of one request that has ended, in the session's transaction. A repeat has no effect.

    Raises NotFound, and Conflict where the request still runs, where a chain is invalid (the erasure would hide edits),
    or where the request is older than sealed content, so that its chain contains the content itself.
    """
    request = session.get(ApprovalRequest, request_id, with_for_update=True)
    if request is None:
        raise NotFound(f"There is no request {request_id!r}")
    if request.status == "pending":
        raise Conflict(f"Request {request_id!r} has not ended; erase it once it has")
    if request.claim_status == "open":
        raise Conflict(f"The action of request {request_id!r} can still be claimed; erase it once that is over")
    verdict = verify_rows(session.connection(), request_id)
    if not verdict["ok"]:
        raise Conflict(f"An audit chain of {request_id!r} is invalid; run `placet verify` on the request first")
    entries = session.scalars(select(AuditEntry).where(col(AuditEntry.request_id) == request_id)).all()
    if any(row.salts is None and _open(row) for row in entries):
        raise Conflict(
            f"Request {request_id!r} is older than sealed content: its chain contains the content and cannot be erased"
        )
    deliveries = session.scalars(select(Delivery).where(col(Delivery.request_id) == request_id)).all()
    superseded = session.scalars(select(AuditSuperseded).where(col(AuditSuperseded.request_id) == request_id))
    _list_files(session.connection(), request_id, now)
    counts = _erase([*entries, *deliveries, *superseded.all()])
    _erase_projection(session.connection(), request, now)
    return Erased(rows=len(counts), values=sum(counts))


def without_texts(questions: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return the questions of a request without what was asked and answered."""
    return None if questions is None else [{**one, "text": None, "answer": None} for one in questions]


def list_files(connection: Connection, files: set[tuple[str, str]], now: datetime) -> None:
    """List files, by request and SHA-256, to be deleted from the store; those that are listed stay so."""
    of = (col(ErasedFile.request_id), col(ErasedFile.sha256))
    there = {tuple(row) for row in connection.execute(select(*of).where(tuple_(*of).in_(list(files))))}
    fresh = [{"request_id": one, "sha256": digest, "erased_at": now} for one, digest in sorted(files - there)]
    if fresh:
        connection.execute(insert(ErasedFile), fresh)


def drop_unsent(
    connection: Connection, notices: ColumnElement[bool], messages: ColumnElement[bool], now: datetime
) -> None:
    """Give up what would still be sent, of the rows of `outbox` and `notification_message` that these rules choose."""
    unsent = update(Outbox).where(notices, col(Outbox.status).in_(UNSENT))
    connection.execute(unsent.values(status="dropped"))
    pending = update(NotificationMessage).where(messages, col(NotificationMessage.status) == "pending")
    connection.execute(pending.values(status="dropped", lease=None, finished_at=now))


def _open(row: AuditEntry) -> bool:
    """Tell whether an unsealed first entry contains content: every request begins with a title."""
    return row.kind == "started" and not erased(json.loads(row.detail).get("title"))


def _erase(rows: Sequence[AuditEntry | Delivery | AuditSuperseded]) -> list[int]:
    """Replace sealed values by their commitments; return how many in each row that had any."""
    counts: list[int] = []
    for row in rows:
        if row.salts is not None:
            salts: dict[str, str] = json.loads(row.salts)
            row.detail = canonical_json(committed(json.loads(row.detail), salts, canonical_json)).decode()
            row.salts = None
            counts.append(len(salts))
    return counts


def _list_files(connection: Connection, request_id: str, now: datetime) -> None:
    """List the request's files to be deleted, also those that its form has held and not sent in."""
    of_form = col(DraftFile.request_id) == request_id
    unsent = connection.scalars(select(col(DraftFile.sha256)).where(of_form)).all()
    digests = {*unsent, *(one.sha256 for one in attachments_of(connection, request_id))}
    if digests:
        list_files(connection, {(request_id, digest) for digest in digests}, now)
        connection.execute(delete(DraftFile).where(of_form))


def _erase_projection(connection: Connection, request: ApprovalRequest, now: datetime) -> None:
    """Empty the columns that repeat the content or speak of it, and drop notifications that were not sent.

    Who has read how far is forgotten.
    """
    request.title, request.input, request.content_digest = TITLE, {}, None
    request.action = request.action_digest = None
    titles.put(connection, [{"id": request.id, "title": TITLE}])
    request.questions = without_texts(request.questions)
    request.erased_at = request.erased_at or now
    tasks = update(ApprovalTask).where(col(ApprovalTask.request_id) == request.id)
    connection.execute(tasks.values(comment=None, form=None, signature=None, content_digest=None))
    connection.execute(delete(StepUp).where(col(StepUp.request_id) == request.id))
    connection.execute(update(SlaBreach).where(col(SlaBreach.request_id) == request.id).values(notes=None))
    connection.execute(delete(ReadingMark).where(col(ReadingMark.request_id) == request.id))
    notices, messages = col(Outbox.request_id) == request.id, col(NotificationMessage.request_id) == request.id
    connection.execute(update(Outbox).where(notices).values(detail={}))
    connection.execute(update(NotificationMessage).where(messages).values(last_error=None))
    drop_unsent(connection, notices, messages, now)
