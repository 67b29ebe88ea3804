"""The state of escalations: open tasks by stage, the delay of the last escalations, and the last failures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.audit.reasons import why_of
from storage.database import of_rows
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry
from storage.tables.notifications import NotificationMessage

# How many of the last escalations are measured, and how many of the last failures are listed.
RECENT = 1000
LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLoad:
    """The open tasks of one stage of one process by SLA state."""

    template: str
    stage: str
    pending: int
    near_breach: int
    breached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """Seconds between due and recorded, over the last `escalations`; None without escalations."""

    escalations: int
    p50: float | None
    p95: float | None
    max: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationFailure:
    """An escalation without an assignee (`escalation_skipped`), or a given-up message (`notification_failed`)."""

    at: datetime
    kind: str
    request_id: str
    stage: str | None
    task_id: str | None
    why: str | None


def by_stage(connection: Connection) -> list[StageLoad]:
    """Count the open tasks of each stage; the fullest come first."""
    number, state = func.count(), col(ApprovalTask.sla_state)

    def in_state(name: str) -> Any:
        return func.sum(case((state == name, 1), else_=0))

    query = (
        select(
            col(ApprovalRequest.template), col(ApprovalTask.stage), number, in_state("warning"), in_state("breached")
        )
        .join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
        .where(col(ApprovalTask.status) == "open")
        .group_by(col(ApprovalRequest.template), col(ApprovalTask.stage))
        .order_by(number.desc(), col(ApprovalRequest.template), col(ApprovalTask.stage))
    )
    return [
        StageLoad(template=template, stage=stage, pending=pending, near_breach=near, breached=breached)
        for template, stage, pending, near, breached in connection.execute(query)
    ]


def lateness(connection: Connection) -> Lateness:
    """Return the delay of the last escalations."""
    query = (
        select(col(AuditEntry.detail), col(AuditEntry.recorded_at))
        .where(col(AuditEntry.kind) == "escalated")
        .order_by(col(AuditEntry.at).desc())
        .limit(RECENT)
    )
    late = sorted([late_by(json.loads(detail), at) for detail, at in connection.execute(query)])
    return Lateness(
        escalations=len(late), p50=_quantile(late, 0.5), p95=_quantile(late, 0.95), max=late[-1] if late else None
    )


def late_by(detail: dict[str, Any], recorded_at: datetime) -> float:
    """Return the seconds from the moment an `escalated` entry was due to when it was recorded; never below 0."""
    return max(0.0, (recorded_at - datetime.fromisoformat(detail["due"])).total_seconds())


@of_rows
def failures(session: Session) -> list[EscalationFailure]:
    """List the last failures, newest first."""
    skipped = (
        select(AuditEntry)
        .where(col(AuditEntry.kind) == "escalation_skipped")
        .order_by(col(AuditEntry.at).desc())
        .limit(LISTED)
    )
    unsent = (
        select(NotificationMessage, col(AuditEntry.stage), col(AuditEntry.task_id))
        .outerjoin(
            AuditEntry,
            (col(AuditEntry.request_id) == col(NotificationMessage.request_id))
            & (col(AuditEntry.seq) == col(NotificationMessage.seq)),
        )
        .where(col(NotificationMessage.status) == "failed")
        .order_by(col(NotificationMessage.finished_at).desc())
        .limit(LISTED)
    )
    found = [
        EscalationFailure(
            at=entry.at,
            kind=entry.kind,
            request_id=entry.request_id,
            stage=entry.stage,
            task_id=entry.task_id,
            why=_nobody_at(json.loads(entry.detail)),
        )
        for entry in session.scalars(skipped)
    ]
    found += [
        EscalationFailure(
            at=message.finished_at or message.created_at,
            kind="notification_failed",
            request_id=message.request_id,
            stage=stage,
            task_id=task_id,
            why=f"{message.channel}: {message.last_error}",
        )
        for message, stage, task_id in session.execute(unsent)
    ]
    return sorted(found, key=lambda failure: failure.at, reverse=True)[:LISTED]


def _nobody_at(detail: dict[str, Any]) -> str:
    return f"{detail.get('to')}: {why_of(detail)}"


def _quantile(rising: list[float], share: float) -> float | None:
    """Return the smallest value that at least this share of all does not exceed."""
    return rising[math.ceil(share * len(rising)) - 1] if rising else None
