"""The kinds of rows that are deleted after a time, each with the setting that says after how many days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from service.retention.periods import Periods
from storage.retention import retention

CONTENTS: Final = "contents"
"""The contents of requests that have ended, which have rules of their own (service.retention.rules)."""
SLA_EXECUTIONS: Final = "sla_executions"
"""What SLAs have judged: never less than the window of each (service.slas.forgetting)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of rows: what it is called in `retention_run`, how a batch is deleted, and the days that it is kept.

    `delete` takes a connection and the moment before which rows are old, and returns how many it has deleted; `days` is
    the field of Periods, None where a row says itself when it ends.
    """

    name: str
    delete: Callable[[Connection, datetime], int]
    days: str | None

    def kept(self, periods: Periods) -> int:
        """Return for how many days rows of this kind are kept."""
        return 0 if self.days is None else int(getattr(periods, self.days))


KINDS: Final = (
    Kind(name="answers", delete=retention.delete_old_calls, days="answers"),
    Kind(name="refusals", delete=retention.delete_old_refusals, days="refusals"),
    Kind(name="marks", delete=retention.delete_old_marks, days="marks"),
    Kind(name="messages", delete=retention.delete_old_messages, days="messages"),
    Kind(name="notifications", delete=retention.delete_old_notifications, days="messages"),
    Kind(name="simulations", delete=retention.delete_old_simulations, days="simulations"),
    Kind(name="event_logs", delete=retention.delete_old_event_logs, days="event_logs"),
    Kind(name="drafts", delete=retention.delete_abandoned_drafts, days="drafts"),
    Kind(name="published_drafts", delete=retention.empty_published_drafts, days="drafts"),
    Kind(name="sessions", delete=retention.delete_ended_sessions, days=None),
    Kind(name="login_codes", delete=retention.delete_spent_codes, days=None),
    Kind(name="step_ups", delete=retention.delete_ended_step_ups, days=None),
    Kind(name="challenges", delete=retention.delete_old_challenges, days=None),
    Kind(name="rate_counts", delete=retention.delete_old_counts, days=None),
)
"""All kinds, in the order in which they are deleted: messages before the notifications that they are of."""
