"""Forget what SLAs have judged once no window can count it any more; breaches stay, for they are the record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from service.slas.monitoring import OVERLAP
from storage.queries.slas import definitions, executions
from storage.retention.retention import BATCH

_LEAST: Final = timedelta(days=1)  # what ended in this time stays in any case


def forget_executions(connection: Connection, now: datetime, kept: timedelta) -> int:
    """Delete one batch of executions that ended longer ago than `kept`, and than the window of their SLA.

    Returns how many. It is noted up to when, so that whoever verifies does not miss them.
    """
    for sla in definitions.every(connection):
        window = timedelta(hours=sla.slo_window_hours)
        until = min(now - max(kept, window, _LEAST), sla.judged_until - OVERLAP)
        if forgotten := executions.forget_ended(connection, sla.id, until, limit=BATCH):
            definitions.note_forgotten(connection, sla.id, max(until, sla.forgotten_until or until))
            return forgotten
    return 0
