"""The entries of a request that say how its people were chosen, with all that they say."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import col

from storage.tables.approvals import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosingEntry:
    """An audit entry; `detail` is as it is hashed, with codes in place of words, and empty where it is unreadable."""

    seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]


def choosing_entries(connection: Connection, request_id: str, kinds: Collection[str]) -> list[ChoosingEntry]:
    """Return the entries of these kinds, oldest first."""
    query = select(
        col(AuditEntry.seq),
        col(AuditEntry.at),
        col(AuditEntry.kind),
        col(AuditEntry.actor),
        col(AuditEntry.stage),
        col(AuditEntry.task_id),
        col(AuditEntry.detail),
    ).where(col(AuditEntry.request_id) == request_id, col(AuditEntry.kind).in_(sorted(kinds)))
    return [
        ChoosingEntry(**(row._asdict() | {"detail": _read(row.detail)}))
        for row in connection.execute(query.order_by(col(AuditEntry.seq)))
    ]


def _read(text: str) -> dict[str, Any]:
    try:
        detail = json.loads(text)
    except ValueError:  # edited by hand; `verify` says so
        return {}
    return detail if isinstance(detail, dict) else {}
