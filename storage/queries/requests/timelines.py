"""The timelines of requests: what the audit chain of each holds, with the deliveries of its notifications."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.reasons import readable_detail
from placet.errors import Conflict
from placet.sentences import sentence
from storage.database import of_rows
from storage.tables.approvals import AuditEntry, Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One line of a timeline; deliveries count their own `seq`, for their chain is another."""

    seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    hash: str
    delivery: bool = False


@of_rows
def of_request(session: Session, request_id: str) -> list[TimelineRow]:
    """Return the timeline of a request: its audit chain, with the deliveries merged in by time.

    Raises Conflict where a row was edited so that it cannot be read, or has no place in time.
    """
    chain = select(AuditEntry).where(col(AuditEntry.request_id) == request_id).order_by(col(AuditEntry.seq))
    sent = select(Delivery).where(col(Delivery.request_id) == request_id).order_by(col(Delivery.seq))
    try:
        entries, deliveries = session.scalars(chain).all(), session.scalars(sent).all()
    except (ValueError, TypeError, DataError) as error:
        raise Conflict(
            sentence(
                "an entry of the timeline of {request_id} cannot be read, for its row was edited; run `placet verify` "
                "on the request",
                request_id=request_id,
            )
        ) from error
    merged = [_happened(row, row.actor) for row in entries] + [_happened(row, "system") for row in deliveries]
    # The sort is stable: each chain keeps its order, and at the same moment entries come before deliveries.
    return sorted(merged, key=lambda row: row.at)


def _happened(row: AuditEntry | Delivery, actor: str) -> TimelineRow:
    try:
        detail = json.loads(row.detail)
    except ValueError:  # edited by hand; `verify` says so, and the rest can still be read
        detail = {"unreadable": row.detail}
    return TimelineRow(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        actor=actor,
        stage=row.stage,
        task_id=row.task_id,
        detail=readable_detail(detail) if isinstance(detail, dict) else {"unreadable": row.detail},
        hash=row.hash,
        delivery=isinstance(row, Delivery),
    )
