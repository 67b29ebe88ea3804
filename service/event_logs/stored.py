"""Rows of event logs, and the acts by which they come and go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from placet.audit.admin_acts import Act
from storage.tables.event_logs import EventLog

LONGEST_NAME: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def row_of(
    *, log_id: str, name: str, file_name: str, size: int, sha256: str, mapped: dict[str, Any], by: str, at: datetime
) -> EventLog:
    """Return the row of a log that begins to be read."""
    return EventLog(
        id=log_id,
        name=name,
        status="running",
        file_name=file_name[:LONGEST_NAME],
        size=size,
        sha256=sha256,
        map=mapped,
        warnings=[],
        created_by=by,
        created_at=at,
    )


def act_of(kind: str, row: EventLog) -> Act:
    """Return the act of importing or deleting a log."""
    return Act(kind=kind, target=f"event_log:{row.id}", detail={"sha256": row.sha256, "size": row.size})


def moment_of(milliseconds: int) -> datetime:
    """Return a moment of an event."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
